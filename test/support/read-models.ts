import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import type { EventBatch, EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { openReadModels, type ReadModelAlarm, type ReadModels } from '#read-models';
import { History } from './history.ts';
import { testClock } from './wall-clock.ts';

/** A store over the same log, with something of it replaced. */
export const storeWith = (store: EventStore, replaced: Partial<EventStore>): EventStore => ({
  append: (...args) => store.append(...args),
  readStream: (...args) => store.readStream(...args),
  readAll: (...args) => store.readAll(...args),
  subscribe: (...args) => store.subscribe(...args),
  tombstone: (...args) => store.tombstone(...args),
  head: () => store.head(),
  close: () => store.close(),
  ...replaced,
});

/** Gives every batch three times. */
export const redelivering = (store: EventStore): EventStore =>
  storeWith(store, {
    async *subscribe(after, filter, signal): AsyncGenerator<EventBatch> {
      for await (const batch of store.subscribe(after, filter, signal)) yield* [batch, batch, batch];
    },
  });

/** Read models over a log in memory, in a folder of their own, for each test. */
export function readModelsFixture() {
  const fixture = {
    dataDir: '',
    memory: new MemoryLog(),
    store: createMemoryEventStore(),
    log: new History(createMemoryEventStore()),
    clock: testClock(),
    alarms: [] as ReadModelAlarm[],
    opened: [] as ReadModels[],
    /** Opens (not started) over this log or another store. */
    async open(store: EventStore = fixture.store, dataDir: string = fixture.dataDir): Promise<ReadModels> {
      const models = await openReadModels({ dataDir, store, clock: fixture.clock, historyDays: 30, onAlarm: (alarm) => fixture.alarms.push(alarm) });
      fixture.opened.push(models);
      return models;
    },
    async started(store: EventStore = fixture.store, dataDir: string = fixture.dataDir): Promise<ReadModels> {
      const models = await fixture.open(store, dataDir);
      models.start();
      return models;
    },
    async close(models: ReadModels): Promise<void> {
      fixture.opened.splice(fixture.opened.indexOf(models), 1);
      await models.close();
    },
    async caughtUp(models: ReadModels): Promise<ReadModels> {
      expect(await models.waitFor(await fixture.store.head(), 10_000)).toBe('reached');
      return models;
    },
    /** What a fold of the whole log from nothing comes to. */
    async digestOfRebuild(): Promise<unknown> {
      const models = await fixture.caughtUp(await fixture.started(fixture.store, join(fixture.dataDir, 'scratch')));
      const digest = await models.digest();
      await fixture.close(models);
      rmSync(join(fixture.dataDir, 'scratch'), { recursive: true });
      return digest;
    },
  };
  beforeEach(() => {
    fixture.dataDir = mkdtempSync(join(tmpdir(), 'read-models-'));
    fixture.memory = new MemoryLog();
    fixture.store = createMemoryEventStore(fixture.memory);
    fixture.log = new History(fixture.store);
    fixture.clock = testClock();
    fixture.alarms.length = 0;
  });
  afterEach(async () => {
    await Promise.all(fixture.opened.splice(0).map((models) => models.close()));
    rmSync(fixture.dataDir, { recursive: true, force: true });
  });
  return fixture;
}
