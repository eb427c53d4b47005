import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import Database from 'better-sqlite3';
import type { EventStore } from '#event-store';
import { isRefusal, type Site, streamOf } from '#kernel';
import { readModelsFixture, storeWith, storeWithBatches } from '../../test/support/read-models.ts';
import type { ReadModels } from './read-models.ts';

const site: Site = { tenant: 't', environment: 'production' };
const incarnation = '00000000-0000-4000-8000-000000000001';
const of = readModelsFixture();
jest.setTimeout(30_000);

/** A store whose `readAll`, which only a rebuild uses, waits to be let go. */
function gated(store: EventStore) {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let asked = (): void => undefined;
  const waits = new Promise<void>((resolve) => (asked = resolve));
  const readAll: EventStore['readAll'] = async (...args) => {
    asked();
    await gate;
    return store.readAll(...args);
  };
  return { store: storeWithBatches(store, readAll), waits, open: () => open() };
}

const done = async (rebuild: ReturnType<ReadModels['rebuild']>): Promise<void> => {
  if (isRefusal(rebuild)) throw new Error(rebuild.detail);
  await rebuild.done;
};
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const besides = (): string[] => readdirSync(of().dataDir).filter((name) => name.startsWith('read-models-'));
const stateOf = (models: ReadModels, name: string) => models.status().find((status) => status.name === name)?.state;
const ids = async (models: ReadModels): Promise<string[]> => {
  const page = await models.listSubscriptions({ site, includeDeleted: true, limit: 500 });
  return isRefusal(page) ? [] : page.items.map(({ id }) => id).sort();
};

/** Makes the file look like one that another version of the program wrote. */
function age(...names: string[]): void {
  const file = new Database(join(of().dataDir, 'read-models.db'));
  for (const name of names) file.prepare("UPDATE checkpoints SET definition = 'of another version' WHERE projection = ?").run(name);
  file.close();
}

async function oldFile(...names: string[]): Promise<void> {
  await of().log.create(site, 'whs_1');
  await of().log.publish(site, 'e1');
  await of().log.attempt(site, await of().log.schedule(site, 'e1', 'whs_1', incarnation), 'Succeeded');
  await of().close(await of().caughtUp(await of().started()));
  age(...names);
}

describe('a new version of a projection', () => {
  it('is built beside the old one, which serves until then, while the others go on', async () => {
    await oldFile('subscriptions');
    const slow = gated(of().store);
    const models = await of().started(slow.store);
    await slow.waits;
    await of().log.create(site, 'whs_2');
    await of().log.publish(site, 'e2');
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    expect([stateOf(models, 'subscriptions'), stateOf(models, 'events')]).toEqual(['REBUILDING', 'RUNNING']);
    expect(besides()[0]).toMatch(/^read-models-[0-9a-f]{8}\.db$/);
    expect(await ids(models)).toEqual(['whs_1']);
    expect(await models.waitFor(await of().store.head(), 20)).toBe('behind');
    slow.open();
    await of().caughtUp(models);
    expect(await ids(models)).toEqual(['whs_1', 'whs_2']);
    expect(stateOf(models, 'subscriptions')).toBe('RUNNING');
    expect(besides()).toEqual([]);
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('is built anew from nothing when every projection is another', async () => {
    await oldFile('subscriptions', 'deliveries', 'transcripts', 'events', 'missed-while-paused', 'approvals', 'approval-policies', 'api-keys', 'commands');
    const models = await of().started();
    await until(() => models.status().every(({ state }) => state === 'RUNNING'));
    await of().caughtUp(models);
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('is one that the old file does not know, too', async () => {
    await oldFile();
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec("DELETE FROM checkpoints WHERE projection = 'commands'; DROP TABLE commands");
    file.close();
    const models = await of().caughtUp(await of().started());
    await models.reached('commands', await of().store.head(), AbortSignal.timeout(5_000));
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('shows no missing or double item, and tells every event once, while the log grows through the switch', async () => {
    await oldFile('subscriptions', 'deliveries');
    const models = await of().open();
    const told: string[] = [];
    const listed: string[][] = [];
    models.onCommitted(({ events }) => told.push(...events.map(({ position }) => position)));
    models.start();
    const before = of().memory.events.length;
    for (let n = 0; n < 300; n += 1) {
      await of().log.pass(1).create(site, `whs_new_${String(n).padStart(5, '0')}`);
      if (n % 10 === 0) listed.push(await ids(models));
    }
    await of().caughtUp(models);
    for (const [index, now] of listed.entries()) {
      expect(new Set(now).size).toBe(now.length);
      expect(now.length).toBeGreaterThanOrEqual(listed[index - 1]?.length ?? 1);
    }
    expect(await ids(models)).toHaveLength(301);
    expect(told).toEqual(of().memory.events.slice(before).map(({ position }) => position));
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('takes over no earlier than where the old one stands', async () => {
    await oldFile();
    let answer = (): void => undefined;
    const late = new Promise<void>((resolve) => (answer = resolve));
    let ask = (): void => undefined;
    const asked = new Promise<void>((resolve) => (ask = resolve));
    // It has caught up with the log as it was when it asked.
    const stale = storeWithBatches(of().store, async (...args) => {
      const batch = await of().store.readAll(...args);
      ask();
      await late;
      return batch;
    });
    const models = await of().caughtUp(await of().started(stale));
    const rebuild = models.rebuild('subscriptions');
    await asked;
    await of().log.create(site, 'whs_2');
    await of().caughtUp(models);
    answer();
    await done(rebuild);
    expect(models.position('subscriptions')).toBe(await of().store.head());
    expect(await ids(models)).toEqual(['whs_1', 'whs_2']);
  });

  it('tells what it had folded before the old one did', async () => {
    await oldFile();
    let held = false;
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let hold = (): void => undefined;
    const holds = new Promise<void>((resolve) => (hold = resolve));
    const holding = storeWith(of().store, {
      async *subscribe(after, filter, signal) {
        for await (const batch of of().store.subscribe(after, filter, signal)) {
          if (held) {
            hold();
            await gate;
          }
          yield batch;
        }
      },
    });
    const models = await of().open(holding);
    const told: string[] = [];
    models.onCommitted(({ events }) => told.push(...events.map(({ position }) => position)));
    models.start();
    await of().log.publish(site, 'e2');
    await of().caughtUp(models);
    held = true;
    const before = of().memory.events.length;
    await of().log.create(site, 'whs_2');
    await holds;
    await of().log.create(site, 'whs_3');
    await done(models.rebuild('subscriptions'));
    letGo();
    await of().log.create(site, 'whs_4');
    await of().caughtUp(models);
    expect(told.slice(1)).toEqual(of().memory.events.slice(before).map(({ position }) => position));
  });

  it('that can not fold the log leaves the old one serving, with an alarm', async () => {
    await oldFile();
    await of().log.write(streamOf('webhooksubscription', site, 'whs_x'), { type: 'WebhookSubscriptionRenamed', data: {} });
    age('subscriptions');
    const models = await of().started();
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    await until(() => of().alarms.some(({ alarm }) => alarm === 'rebuild-failed'));
    expect(of().alarms).toContainEqual({ alarm: 'rebuild-failed', projection: 'subscriptions', detail: expect.stringContaining('WebhookSubscriptionRenamed') });
    expect(await ids(models)).toEqual(['whs_1']);
    expect(besides()).toEqual([]);
  });
});

describe('a rebuild on demand', () => {
  it('comes to the same rows, and says meanwhile that it is under way', async () => {
    await oldFile();
    const slow = gated(of().store);
    const models = await of().caughtUp(await of().started(slow.store));
    const digest = await models.digest();
    const rebuild = models.rebuild('deliveries');
    await slow.waits;
    expect(stateOf(models, 'deliveries')).toBe('REBUILDING');
    expect(models.rebuild('events')).toMatchObject({ refused: 'concurrent-modification' });
    slow.open();
    await done(rebuild);
    expect(stateOf(models, 'deliveries')).toBe('RUNNING');
    expect(await models.digest()).toEqual(digest);
    expect(of().alarms).toEqual([]);
  });

  it('repairs rows that were spoilt', async () => {
    await oldFile();
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec("UPDATE subscriptions SET status = 'DELETED'");
    file.close();
    const models = await of().caughtUp(await of().started());
    await done(models.rebuild('subscriptions'));
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('is refused for a name there is none of', async () => {
    expect((await of().started()).rebuild('users')).toMatchObject({ refused: 'not-found' });
  });

  it('that is cancelled leaves the old one serving, and the next one succeeds', async () => {
    await oldFile();
    const slow = gated(of().store);
    const models = await of().caughtUp(await of().started(slow.store));
    const digest = await models.digest();
    const cancel = new AbortController();
    const rebuild = models.rebuild('subscriptions', cancel.signal);
    await slow.waits;
    cancel.abort();
    slow.open();
    await done(rebuild);
    expect(besides()).toEqual([]);
    await of().log.create(site, 'whs_2');
    await of().caughtUp(models);
    expect(await ids(models)).toEqual(['whs_1', 'whs_2']);
    await done(models.rebuild('subscriptions'));
    const after = await models.digest();
    expect(after).toEqual(of().digestOfRebuild());
    expect(after).not.toEqual(digest);
    expect(of().alarms).toEqual([]);
  });

  it('that a crash interrupted leaves nothing behind', async () => {
    await oldFile();
    writeFileSync(join(of().dataDir, 'read-models-rebuild.db'), 'half');
    writeFileSync(join(of().dataDir, 'read-models-rebuild.db-wal'), 'half');
    const models = await of().caughtUp(await of().started());
    expect([existsSync(join(of().dataDir, 'read-models-rebuild.db')), existsSync(join(of().dataDir, 'read-models-rebuild.db-wal'))]).toEqual([false, false]);
    expect(await ids(models)).toEqual(['whs_1']);
  });

  it('is given up when the read models are closed', async () => {
    await oldFile();
    const slow = gated(of().store);
    const models = await of().caughtUp(await of().started(slow.store));
    const rebuild = models.rebuild('subscriptions');
    await slow.waits;
    const closing = of().close(models);
    slow.open();
    await done(rebuild);
    await closing;
    expect(besides()).toEqual([]);
    expect(await ids(await of().caughtUp(await of().started()))).toEqual(['whs_1']);
  });

  it('serves from the new file after a restart', async () => {
    await oldFile();
    const models = await of().caughtUp(await of().started());
    await done(models.rebuild('subscriptions'));
    await of().log.create(site, 'whs_2');
    await of().caughtUp(models);
    await of().close(models);
    const again = await of().caughtUp(await of().started());
    expect(await again.digest()).toEqual(of().digestOfRebuild());
  });
});

describe('history', () => {
  /** A delivery a day; every seventh stays open. Answers their ids. */
  async function days(count: number): Promise<readonly string[]> {
    const opened: string[] = [];
    for (let day = 0; day < count; day += 1) {
      const id = await of().log.passDays(1).schedule(site, `e${day}`, 'whs_1', incarnation);
      opened.push(id);
      await of().log.attempt(site, id, 'AttemptFailed');
      if (day % 7 !== 0) await of().log.attempt(site, id, 'DeadLettered', 2);
      await of().log.write(`transcript-day${day + of().memory.head}.1`, { type: 'WebhookTranscriptsRecorded', data: { transcripts: [{ deliveryId: id, attempt: 1 }] } });
    }
    return opened;
  }

  it('older than its days is dropped when a day begins; a rebuild, which skips it, comes to the same', async () => {
    const live = await of().started();
    await of().log.create(site, 'whs_1');
    const first = await days(41);
    await of().log.replay(site, first[15] ?? '');
    await of().caughtUp(live);
    const opened = [...first, ...(await days(29))];
    // A replay of what was dropped already changes nothing.
    await of().log.replay(site, opened[1] ?? '');
    await of().caughtUp(live);
    const page = await live.listDeliveries({ site, limit: 500 });
    if (isRefusal(page)) throw new Error(page.detail);
    const kept = page.items.map(({ id, status }) => [opened.indexOf(id), status] as const).sort(([a], [b]) => a - b);
    expect(kept.filter(([day]) => day < 39)).toEqual([[0, 'SCHEDULED'], [7, 'SCHEDULED'], [14, 'SCHEDULED'], [15, 'PENDING'], [21, 'SCHEDULED'], [28, 'SCHEDULED'], [35, 'SCHEDULED']]);
    expect(kept.filter(([day]) => day >= 39)).toHaveLength(31);
    expect(await live.attempts(site, opened[14] ?? '')).toEqual([]);
    expect(await live.attempts(site, opened[60] ?? '')).toHaveLength(2);
    const digest = await live.digest();
    expect(digest).toEqual(of().digestOfRebuild());
    await done(live.rebuild('deliveries'));
    await done(live.rebuild('transcripts'));
    expect(await live.digest()).toEqual(digest);
  });

  it('of a purged subscription goes too, open deliveries included', async () => {
    const live = await of().started();
    await of().log.create(site, 'whs_1');
    await of().log.schedule(site, 'e1', 'whs_1', incarnation);
    await of().log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    await of().log.passDays(30).subscription(site, 'whs_1', 'Purged', { shreddedSecrets: [] });
    await of().caughtUp(live);
    expect(await live.listDeliveries({ site, subscriptionId: 'whs_1', limit: 10 })).toMatchObject({ items: [{ status: 'CANCELLED' }] });
    await of().log.passDays(1).create(site, 'whs_2');
    await of().caughtUp(live);
    expect(await live.listDeliveries({ site, subscriptionId: 'whs_1', limit: 10 })).toMatchObject({ items: [] });
    expect(await live.digest()).toEqual(of().digestOfRebuild());
  });
});
