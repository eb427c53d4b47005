import { describe, expect, it } from '@jest/globals';
import { createAggregates } from '#command-pipeline';
import type { EventStore } from '#event-store';
import { governedWorld, site, upsertOf } from '../../test/support/governed-world.ts';
import { createCurrentState } from './current-state.ts';

describe('what became of a command', () => {
  it('is found in a long stream, of which no more than a page is read at a time', async () => {
    const world = governedWorld();
    const { clock, store } = world;
    await world.must('UpsertWebhookSubscription', upsertOf('orders'));
    const sent: string[] = [];
    for (let n = 0; n < 1_100; n += 1) sent.push((await world.must('ResumeWebhookSubscription', { webhookSubscriptionId: 'orders' })).commandId);
    const pages: number[] = [];
    const readStream: EventStore['readStream'] = async (...asked) => {
      const events = await store.readStream(...asked);
      pages.push(events.length);
      return events;
    };
    const current = createCurrentState({ store: { readStream, head: () => store.head() }, clock }, createAggregates(store));
    for (const commandId of [sent[0], sent[998], sent[1_099]]) expect(await current.command(site, commandId ?? '')).toMatchObject({ commandId, outcome: 'NO_CHANGE', resourceId: 'orders' });
    expect(Math.max(...pages)).toBe(1_000);
  });
});
