import { copyFileSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import Database from 'better-sqlite3';
import type { EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { openSqliteEventStore } from '#event-store/sqlite';
import type { Site } from '#kernel';
import { History } from '../../test/support/history.ts';
import { digestOf, readModelsFixture } from '../../test/support/read-models.ts';

jest.setTimeout(30_000);
const site: Site = { tenant: 't', environment: 'production' };
const of = readModelsFixture();

/** Another log, which has the first events of this one. */
function logWith(events: number): { readonly memory: MemoryLog; readonly store: EventStore; readonly log: History } {
  const memory = new MemoryLog();
  for (const event of of().memory.events.slice(0, events)) {
    memory.events.push(event);
    memory.streams.set(event.stream, [...(memory.streams.get(event.stream) ?? []), event]);
    memory.head = Number(event.position);
  }
  const store = createMemoryEventStore(memory);
  return { memory, store, log: new History(store) };
}

/** Read models of a log of a subscription, an event and, of no concern to them, a checkpoint. */
async function folded(): Promise<void> {
  await of().log.create(site, 'whs_1');
  await of().log.publish(site, 'e1');
  await of().log.write('sagacheckpoint-fan-out', { type: 'SagaCheckpointed', data: {} });
  await of().close(await of().caughtUp(await of().started()));
}
const reasons = (): readonly string[] => of().alarms.map(({ alarm, detail }) => `${alarm}: ${detail}`);

/** Opens the file over another log; answers whether it comes to what that log folds to. */
async function openedOver({ memory, store }: ReturnType<typeof logWith>): Promise<void> {
  const models = await of().started(store);
  expect(await models.waitFor(await store.head(), 10_000, models.status().map(({ name }) => name))).toBe('reached');
  expect(await models.digest()).toEqual(digestOf(of().dataDir, memory.events));
}

describe('read models and the log that they were folded from', () => {
  it('are not suspected while it is the same, nor when it has grown', async () => {
    await folded();
    await of().log.publish(site, 'e2');
    await of().caughtUp(await of().started());
    expect(of().alarms).toEqual([]);
  });

  it('are built anew when it has lost events and others stand at their positions, with an alarm that says why', async () => {
    await folded();
    const other = logWith(of().memory.events.length - 2);
    for (const id of ['x1', 'x2', 'x3', 'x4']) await other.log.publish(site, id);
    await openedOver(other);
    expect(reasons()).toEqual([expect.stringMatching(/^read-models-remade: the file was folded from event [0-9a-f-]{36} at position \d+, which the log does not have there: the log has lost events, or it is another one; it is built anew$/)]);
  });

  it('are built anew when the last event stands, and behind it is what they passed over as of no concern', async () => {
    await folded();
    const kept = of().memory.events.length - 1;
    // Folded up to a position behind the last event that concerned them.
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.prepare('UPDATE checkpoints SET position = ?').run(kept + 1);
    file.close();
    const other = logWith(kept);
    await other.log.publish(site, 'x1');
    await openedOver(other);
    expect(reasons()).toEqual([expect.stringContaining('was not folded from what the log has after event')]);
  });

  it('are built anew when the log ends before them', async () => {
    await folded();
    await openedOver(logWith(1));
    expect(reasons()).toEqual([expect.stringContaining('ahead of the log')]);
  });

  it('are built anew when they do not say what they were folded from, as those of an older version', async () => {
    await folded();
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec('DROP TABLE last_event');
    file.close();
    await openedOver({ memory: of().memory, store: of().store, log: of().log });
    expect(reasons()).toEqual([expect.stringContaining('does not say which events')]);
  });

  it('know it also when a projection was built anew beside the others', async () => {
    await folded();
    const models = await of().caughtUp(await of().started());
    const rebuild = models.rebuild('subscriptions');
    if ('done' in rebuild) await rebuild.done;
    await of().close(models);
    await of().close(await of().started());
    expect(of().alarms).toEqual([]);
    const other = logWith(of().memory.events.length - 2);
    for (const id of ['x1', 'x2', 'x3', 'x4']) await other.log.publish(site, id);
    await openedOver(other);
    expect(of().alarms).toMatchObject([{ alarm: 'read-models-remade' }]);
  });

  it('are not guessed on when an older backup of the log was restored beside them, and written on', async () => {
    const [data, old] = [of().dataDir, join(of().dataDir, 'backup')];
    const opened = async (): Promise<{ readonly store: EventStore; readonly log: History }> => {
      const store = await openSqliteEventStore({ dataDir: data });
      return { store, log: new History(store) };
    };
    const before = await opened();
    await before.log.create(site, 'whs_1');
    await before.store.close();
    cpSync(join(data, 'events.db'), old);
    const after = await opened();
    for (const id of ['e1', 'e2']) await after.log.publish(site, id);
    await of().close(await of().started(after.store).then(async (models) => (await models.waitFor(await after.store.head(), 10_000), models)));
    await after.store.close();
    copyFileSync(old, join(data, 'events.db'));
    const restored = await opened();
    // It takes a position, so that no id comes to stand where it stood.
    await restored.store.tombstone('transcript-20260101.1');
    for (const id of ['x1', 'x2', 'x3']) await restored.log.publish(site, id);
    const models = await of().started(restored.store);
    expect(await models.waitFor(await restored.store.head(), 10_000)).toBe('reached');
    expect(of().alarms).toMatchObject([{ alarm: 'read-models-remade' }]);
    expect(await models.digest()).toEqual(digestOf(data, (await restored.store.readAll('0', undefined, 100)).events));
    await of().close(models);
    await restored.store.close();
  });
});
