import { expect, it } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import { createAggregates, type Fold } from './aggregate.ts';

type Noted = { readonly type: 'Noted'; readonly data: object };

/** A store whose reads see the log as it is when they are asked, and answer when they are let. */
class SlowStore {
  readonly #streams = new Map<string, RecordedEvent[]>();
  readonly reads: (() => void)[] = [];

  add(stream: string, count: number): void {
    const events = this.#streams.get(stream) ?? [];
    this.#streams.set(stream, events);
    for (let added = 0; added < count; added += 1) {
      const revision = events.length;
      events.push({ stream, revision, position: String(revision + 1), id: `${stream} ${revision}`, type: 'Noted', data: '{}', metadata: { recordedat: '2026-11-22T00:00:00.000Z' } });
    }
  }

  readStream(stream: string, from = 0): Promise<readonly RecordedEvent[]> {
    const events = (this.#streams.get(stream) ?? []).slice(from);
    return new Promise((resolve) => void this.reads.push(() => resolve(events)));
  }
}

const revisions: Fold<readonly number[], Noted> = { initialState: [], evolve: (state, { revision }) => [...state, revision] };

it('folds every event of a stream once, whatever other loads make of what is kept in between', async () => {
  const store = new SlowStore();
  const aggregates = createAggregates(store, 1);
  const load = async (stream: string): Promise<readonly number[]> => (await aggregates.load(stream, revisions)).state;
  const letAll = async <T>(loading: Promise<T>): Promise<T> => {
    let isDone = false;
    void loading.finally(() => (isDone = true));
    while (!isDone) {
      for (const answer of store.reads.splice(0)) answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return await loading;
  };
  store.add('orders-a', 2);
  const early = load('orders-a');
  const [letEarly] = store.reads.splice(0);
  store.add('orders-a', 2);
  expect(await letAll(load('orders-a'))).toEqual([0, 1, 2, 3]);
  store.add('orders-a', 1);
  const late = load('orders-a');
  const [letLate] = store.reads.splice(0);
  // Makes room: what was kept of the first stream goes.
  expect(await letAll(load('orders-b'))).toEqual([]);
  letEarly?.();
  expect(await early).toEqual([0, 1]);
  letLate?.();
  expect(await letAll(late)).toEqual([0, 1, 2, 3, 4]);
});
