import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import type { EventBatch, EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import type { RecordedEvent } from '#kernel';
import { type Digest, openReadModels, type ReadModelAlarm, type ReadModels } from '#read-models';
import { ModelFile, removeModel } from '../../libs/read-models/model-file.ts';
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

/** What runs beside reads batches; opening only takes a look at an event or two, and is not to be held up. */
const isLook = (limit: number): boolean => limit <= 2;

/** A store over the same log in which the batches of what runs beside are read another way. */
export const storeWithBatches = (store: EventStore, readAll: EventStore['readAll']): EventStore =>
  storeWith(store, { readAll: (after, filter, limit) => (isLook(limit) ? store.readAll(after, filter, limit) : readAll(after, filter, limit)) });

/** Gives every batch three times. */
export const redelivering = (store: EventStore): EventStore =>
  storeWith(store, {
    async *subscribe(after, filter, signal): AsyncGenerator<EventBatch> {
      for await (const batch of store.subscribe(after, filter, signal)) yield* [batch, batch, batch];
    },
  });

/** What a fold of these events from nothing comes to. */
export function digestOf(dataDir: string, events: readonly RecordedEvent[]): Digest {
  const path = join(dataDir, 'scratch.db');
  const model = new ModelFile(path, { historyDays: 30 });
  try {
    for (let from = 0; from < events.length; from += 1_000) {
      const batch = events.slice(from, from + 1_000);
      model.apply(batch, batch.at(-1)?.position ?? '0');
    }
    return model.digest();
  } finally {
    model.close();
    removeModel(path);
  }
}

/** Read models over a log in memory, in a folder of their own: made anew for each test. */
class Fixture {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'read-models-'));
  readonly memory = new MemoryLog();
  readonly store = createMemoryEventStore(this.memory);
  readonly log = new History(this.store);
  readonly clock = testClock();
  readonly alarms: ReadModelAlarm[] = [];
  readonly #opened = new Set<ReadModels>();

  /** Opens, and does not start, over this log or another. */
  async open(store: EventStore = this.store, dataDir: string = this.dataDir, restMs = 0): Promise<ReadModels> {
    const models = await openReadModels({ dataDir, store, clock: this.clock, historyDays: 30, restMs, onAlarm: (alarm) => this.alarms.push(alarm) });
    this.#opened.add(models);
    return models;
  }

  async started(store?: EventStore, dataDir?: string): Promise<ReadModels> {
    const models = await this.open(store, dataDir);
    models.start();
    return models;
  }

  async close(models: ReadModels): Promise<void> {
    this.#opened.delete(models);
    await models.close();
  }

  async caughtUp(models: ReadModels): Promise<ReadModels> {
    expect(await models.waitFor(await this.store.head(), 10_000, models.status().map(({ name }) => name))).toBe('reached');
    return models;
  }

  /** What a fold of the whole log from nothing comes to. */
  digestOfRebuild(): Digest {
    return digestOf(this.dataDir, this.memory.events);
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#opened].map((models) => models.close()));
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** The fixture of the test that runs. */
export function readModelsFixture(): () => Fixture {
  let fixture: Fixture | undefined;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(async () => {
    await fixture?.dispose();
    fixture = undefined;
  });
  return () => {
    if (fixture === undefined) throw new Error('only within a test');
    return fixture;
  };
}
