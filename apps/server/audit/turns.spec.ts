import { describe, expect, it } from '@jest/globals';
import type { EventStore } from '#event-store';
import { governedWorld, upsertOf } from '../../../test/support/governed-world.ts';
import { startShell } from '../../../test/support/http-shell.ts';

describe('whole histories are read by one request at a time', () => {
  it.each(['/api/audit/states/orders?siteId=tnt_demo', '/api/audit/explanations?siteId=tnt_demo&eventId=e1&webhookSubscriptionId=orders'])('for %s', async (path) => {
    const world = governedWorld();
    const { store } = world;
    await world.must('UpsertWebhookSubscription', upsertOf('orders'));
    let reading = 0;
    let most = 0;
    const readStream: EventStore['readStream'] = async (...asked) => {
      most = Math.max(most, (reading += 1));
      await new Promise((resolve) => setImmediate(resolve));
      reading -= 1;
      return await store.readStream(...asked);
    };
    const shell = await startShell({ logReader: { readStream, readAll: store.readAll.bind(store), subscribe: store.subscribe.bind(store), head: () => store.head() } });
    const answers = await Promise.all([1, 2, 3, 4].map(() => shell.send('GET', path)));
    await shell.close();
    expect([answers.map(({ status }) => status), most]).toEqual([[200, 200, 200, 200], 1]);
  });
});
