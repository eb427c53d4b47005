import type { EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Clock, eventStream, formatInstant, type Ids, type Metadata, parseStream, type RecordedEvent, type Site } from '#kernel';
import { seededIds } from './seeded-ids.ts';

/** Facts to be written: a type and its data. */
export interface Written {
  readonly type: string;
  readonly data: object;
}

/** A log in memory that facts are written to as others would write them. */
export class TestLog {
  readonly log = new MemoryLog();
  readonly store: EventStore = createMemoryEventStore(this.log);
  readonly #clock: Pick<Clock, 'now'>;
  readonly #ids: Ids = seededIds(7);

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** Another process over the same log. */
  reopen(): EventStore {
    return createMemoryEventStore(this.log);
  }

  async append(stream: string, ...facts: readonly Written[]): Promise<RecordedEvent> {
    return await this.appendWith(stream, {}, ...facts);
  }

  /** Appends to the end of the stream in one go; answers the last event. */
  async appendWith(stream: string, metadata: Metadata, ...facts: readonly Written[]): Promise<RecordedEvent> {
    const written = this.log.streams.get(stream)?.length ?? 0;
    const site = parseStream(stream)?.site;
    const envelope = { recordedat: formatInstant(this.#clock.now()), schemaversion: '1', ...(site === undefined ? {} : { ...site, correlationid: `corr-${stream}` }), ...metadata };
    await this.store.append(
      stream,
      written === 0 ? 'NO_STREAM' : written - 1,
      facts.map(({ type, data }) => ({ id: this.#ids.uuid(), type, data: JSON.stringify(data), metadata: envelope })),
    );
    const last = this.log.streams.get(stream)?.at(-1);
    if (last === undefined) throw new Error(`nothing was written to ${stream}`);
    return last;
  }

  /** Publishes an event as the pipeline does. */
  async publish(site: Site, eventId: string, type: string, data: object = {}): Promise<RecordedEvent> {
    return await this.appendWith(eventStream(site, eventId), { publishedid: eventId, publishedtype: type }, { type: 'EventPublished', data });
  }

  /** All events of streams that start so, in log order. */
  of(prefix: string): readonly RecordedEvent[] {
    return this.log.events.filter(({ stream }) => stream.startsWith(prefix));
  }
}

/**
 * The store of a process that is killed at its `n`-th call, or when it is told: that call may still reach the log, but
 * nothing ever answers again.
 */
export function killedAt(store: EventStore, n: number, reaches: boolean): EventStore & { calls(): number; kill(): void } {
  let calls = 0;
  const never = new Promise<never>(() => undefined);
  const call = async <T>(action: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls > n || (calls === n && !reaches)) return await never;
    const answer = await action();
    return calls >= n ? await never : answer;
  };
  return {
    calls: () => calls,
    kill: () => {
      calls = Infinity;
    },
    append: (...args) => call(() => store.append(...args)),
    readStream: (...args) => call(() => store.readStream(...args)),
    readAll: (...args) => call(() => store.readAll(...args)),
    subscribe: async function* (...args) {
      for await (const batch of store.subscribe(...args)) yield await call(() => Promise.resolve(batch));
    },
    tombstone: (stream) => call(() => store.tombstone(stream)),
    head: () => call(() => store.head()),
    close: () => store.close(),
  };
}

/** The store, except that each batch of a subscription comes several times. */
export const redelivering = (store: EventStore, times: number): EventStore => ({
  append: (...args) => store.append(...args),
  readStream: (...args) => store.readStream(...args),
  readAll: (...args) => store.readAll(...args),
  subscribe: async function* (...args) {
    for await (const batch of store.subscribe(...args)) for (let time = 0; time < times; time += 1) yield batch;
  },
  tombstone: (stream) => store.tombstone(stream),
  head: () => store.head(),
  close: () => store.close(),
});
