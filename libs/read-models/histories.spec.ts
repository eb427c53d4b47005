import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { deliveryId, eventStream, type Position, type RecordedEvent, type Site, streamOf } from '#kernel';
import { History } from '../../test/support/history.ts';
import { digestOf } from '../../test/support/read-models.ts';
import { ModelFile, removeModel } from './model-file.ts';

jest.setTimeout(60_000);

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'histories-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const sites: readonly Site[] = [
  { tenant: 'a', environment: 'production' },
  { tenant: 'a', environment: 'staging' },
];

const step = fc.record({
  does: fc.constantFrom('create', 'pause', 'resume', 'update', 'delete', 'restore', 'purge', 'publish', 'publish', 'schedule', 'schedule', 'fail', 'succeed', 'deadLetter', 'duplicate', 'replay', 'missed', 'recover', 'progress', 'end', 'pass'),
  site: fc.nat(1),
  which: fc.nat(2),
  pick: fc.nat(999),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const days = [0, 0, 1, 3, 20, 45];

/** Writes the steps as a history that could have been: what a state does not allow is left out. */
async function write(steps: readonly Step[]): Promise<readonly RecordedEvent[]> {
  const memory = new MemoryLog();
  const log = new History(createMemoryEventStore(memory));
  const states = new Map<string, string>();
  const deliveries: { site: Site; id: string; open: boolean }[] = [];
  const recoveries: string[] = [];
  for (const [index, { does, site: siteIndex, which, pick }] of steps.entries()) {
    const site = sites[siteIndex] ?? sites[0] ?? { tenant: 'a', environment: 'b' };
    const id = `whs_${which}`;
    const state = states.get(`${site.environment}${id}`) ?? 'NONE';
    const becomes = (from: readonly string[], to: string, writes: () => Promise<unknown>): Promise<unknown> | undefined => {
      if (!from.includes(state)) return undefined;
      states.set(`${site.environment}${id}`, to);
      return writes();
    };
    const delivery = deliveries[pick % Math.max(1, deliveries.length)];
    const outcome = async (type: 'Succeeded' | 'AttemptFailed' | 'DeadLettered', open: boolean): Promise<void> => {
      if (delivery?.open !== true) return;
      delivery.open = open;
      await log.attempt(delivery.site, delivery.id, type, pick);
    };
    log.pass(pick % 50);
    const actions: Record<Step['does'], () => Promise<unknown> | undefined> = {
      create: () => becomes(['NONE'], pick % 2 === 0 ? 'ACTIVE' : 'PAUSED', () => log.create(site, id, { status: pick % 2 === 0 ? 'ACTIVE' : 'PAUSED', eventPattern: pick % 3 === 0 ? 'version.*' : '**' })),
      pause: () => becomes(['ACTIVE'], 'PAUSED', () => log.subscription(site, id, 'Paused', { reason: 'requested' })),
      resume: () => becomes(['PAUSED'], 'ACTIVE', () => log.subscription(site, id, 'Resumed')),
      update: () => becomes(['ACTIVE', 'PAUSED'], state, () => log.subscription(site, id, 'Updated', { eventPattern: pick % 2 === 0 ? 'claim.*' : '**', targetUrl: 'https://example.org', deliveryMode: 'ORDERED', description: null })),
      delete: () => becomes(['ACTIVE', 'PAUSED'], `DELETED ${state}`, () => log.subscription(site, id, 'Deleted', { purgeAt: '2026-03-01T00:00:00.000Z' })),
      restore: () => becomes(['DELETED ACTIVE', 'DELETED PAUSED'], state.replace('DELETED ', ''), () => log.subscription(site, id, 'Restored')),
      purge: () => becomes(['DELETED ACTIVE', 'DELETED PAUSED'], 'NONE', () => log.subscription(site, id, 'Purged', { shreddedSecrets: [] })),
      publish: () => log.publish(site, `e${index}`, pick % 2 === 0 ? 'version.published' : 'claim.opened', pick % 5 === 0),
      schedule: async () => void deliveries.push({ site, id: await log.schedule(site, `e${index}`, id, `i${pick % 3}`), open: true }),
      fail: () => outcome('AttemptFailed', true),
      succeed: () => outcome('Succeeded', false),
      deadLetter: () => outcome('DeadLettered', false),
      duplicate: () => (delivery === undefined ? undefined : log.attempt(delivery.site, delivery.id, 'DuplicateAttempted', pick)),
      replay: async () => {
        if (delivery === undefined) return;
        delivery.open = true;
        await log.replay(delivery.site, delivery.id, pick % 2 === 0);
      },
      // Of an event from long ago: its id is as old as that.
      missed: async () => {
        const eventId = `m${index}`;
        const missed = deliveryId(site, eventId, id, log.nowMs - (days[pick % days.length] ?? 0) * 86_400_000);
        const data = { subscriptionId: id, incarnation: `i${pick % 3}`, eventId, eventType: 'version.published', eventPosition: '1', eventStream: eventStream(site, eventId), operational: false };
        await log.write(streamOf('webhookdelivery', site, missed), { type: 'WebhookDeliveryScheduled', data });
        deliveries.push({ site, id: missed, open: true });
      },
      recover: async () => {
        const stream = streamOf('recovery', site, `rec_${index}`);
        const [since, until] = [log.nowMs - 86_400_000, log.nowMs].map((atMs) => new Date(atMs).toISOString());
        await log.write(stream, { type: 'WebhookRecoveryStarted', data: { subscriptionId: id, incarnation: 'i0', since, until, statuses: ['MISSED'], ratePerSecond: 1 } }, log.receipt('RecoverWebhookDeliveries', `rec_${index}`, 1));
        recoveries.push(stream);
      },
      progress: async () => {
        const stream = recoveries[pick % Math.max(1, recoveries.length)];
        if (stream !== undefined) await log.write(stream, { type: 'WebhookRecoveryProgressed', data: { cursor: { part: 'MISSED', position: String(pick) }, total: 999, recovered: pick, skipped: 0 } });
      },
      end: async () => {
        const [stream] = recoveries.splice(pick % Math.max(1, recoveries.length), 1);
        if (stream !== undefined) await log.write(stream, pick % 2 === 0 ? { type: 'WebhookRecoveryCancelled', data: {} } : { type: 'WebhookRecoveryFinished', data: { total: 999, recovered: pick, skipped: 0, detail: null } });
      },
      pass: () => void log.passDays(days[pick % days.length] ?? 0),
    };
    await actions[does]();
  }
  return memory.events;
}

/** Folds in batches of any size, some of them several times, closing and opening in between. */
function live(events: readonly RecordedEvent[], cuts: readonly number[]): ReturnType<ModelFile['digest']> {
  const path = join(dataDir, 'live.db');
  let model = new ModelFile(path, { historyDays: 30 });
  try {
    let from = 0;
    for (const [index, cut] of [...cuts, events.length].entries()) {
      const batch = events.slice(from, from + cut);
      const position: Position | undefined = batch.at(-1)?.position;
      if (position === undefined) break;
      // What was seen comes again, alone and together with what is new.
      model.apply(events.slice(Math.max(0, from - index * 3), from + cut), position);
      model.apply(batch, position);
      from += cut;
      if (index % 4 !== 3) continue;
      model.close();
      model = new ModelFile(path, { historyDays: 30 });
    }
    return model.digest();
  } finally {
    model.close();
    removeModel(path);
  }
}

describe('any history', () => {
  it('comes to the same rows live, in whatever batches, redelivered and restarted, as in one rebuild', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), fc.array(fc.integer({ min: 1, max: 25 }), { maxLength: 20 }), async (steps, cuts) => {
        const events = await write(steps);
        expect(live(events, cuts)).toEqual(digestOf(dataDir, events));
      }),
      { numRuns: 60 },
    );
  });

  it('forgets what it dropped in memory, too: what still happens to it leaves no rows', async () => {
    const memory = new MemoryLog();
    const log = new History(createMemoryEventStore(memory));
    const [site = { tenant: 'a', environment: 'b' }] = sites;
    const id = await log.schedule(site, 'e1', 'whs_1', 'i1');
    await log.attempt(site, id, 'DeadLettered');
    await log.passDays(40).replay(site, id);
    await log.attempt(site, id, 'Succeeded', 2);
    const model = new ModelFile(join(dataDir, 'live.db'), { historyDays: 30 });
    model.apply(memory.events, String(memory.head));
    const rows = ['deliveries', 'attempts'].map((table) => model.database.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
    model.close();
    expect(rows).toEqual([0, 0]);
  });
});
