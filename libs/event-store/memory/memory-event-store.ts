import type { NewEvent, Position, RecordedEvent } from '#kernel';
import { admitAppend, admitLimit, admitPosition, admitRevision, admitStream } from '../admission.ts';
import { prefixesOf } from '../filter.ts';
import { follow, Growth } from '../follow.ts';
import { sliceLog } from '../log-slice.ts';
import {
  type AppendResult,
  type CopyableEventStore,
  type EventBatch,
  type ExpectedRevision,
  StoreUnavailable,
  type StreamFilter,
  StreamTombstoned,
  WrongExpectedRevision,
} from '../port.ts';
import { judgeAppend } from '../verdict.ts';

/** What outlives a store that is closed or abandoned: the log itself. */
export class MemoryLog {
  head = 0;
  events: RecordedEvent[] = [];
  readonly streams = new Map<string, RecordedEvent[]>();
  readonly tombstones = new Set<string>();
  readonly growth = new Growth();
}

/**
 * The event store for tests and simulations: the same rules as the durable ones, and nothing but microtasks between a
 * call and its answer, so that a seeded run repeats exactly. Several stores over one log are several processes over one
 * log; a store that is closed or dropped, and another over its log, is a restart.
 */
export function createMemoryEventStore(log: MemoryLog = new MemoryLog()): CopyableEventStore {
  return new MemoryEventStore(log);
}

class MemoryEventStore implements CopyableEventStore {
  readonly #log: MemoryLog;
  readonly #closing = new AbortController();

  constructor(log: MemoryLog) {
    this.#log = log;
  }

  async append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    await this.#open();
    admitAppend(stream, expected, events);
    if (this.#log.tombstones.has(stream)) throw new StreamTombstoned(stream);
    const written = this.#log.streams.get(stream) ?? [];
    const before = expected === 'NO_STREAM' ? -1 : expected;
    const ids = events.map((event) => event.id);
    const verdict = judgeAppend(before, written.length - 1, ids, (revision) => written[revision]?.id);
    if (verdict === 'conflict') throw new WrongExpectedRevision(stream, expected, revisionOf(written));
    if (verdict === 'write') this.#write(stream, written, events);
    const revision = before + events.length;
    return { revision, position: written[revision]?.position ?? String(this.#log.head) };
  }

  #write(stream: string, written: RecordedEvent[], events: readonly NewEvent[]): void {
    for (const { id, type, data, metadata } of events) {
      this.#log.head += 1;
      const event = { id, type, data, metadata: { ...metadata }, stream, revision: written.length, position: String(this.#log.head) };
      written.push(event);
      this.#log.events.push(event);
    }
    this.#log.streams.set(stream, written);
    this.#log.growth.announce();
  }

  async readStream(stream: string, from = 0, limit = Number.MAX_SAFE_INTEGER): Promise<readonly RecordedEvent[]> {
    await this.#open();
    admitStream(stream);
    admitRevision(from);
    admitLimit(limit);
    return (this.#log.streams.get(stream) ?? []).slice(from, from + limit);
  }

  async readAll(after: Position, filter: StreamFilter | undefined, limit: number): Promise<EventBatch> {
    await this.#open();
    admitPosition(after);
    admitLimit(limit);
    return sliceLog(this.#log.events, String(this.#log.head), after, prefixesOf(filter), limit);
  }

  subscribe(after: Position, filter: StreamFilter | undefined, signal: AbortSignal): AsyncIterable<EventBatch> {
    return follow(this, this.#log.growth, after, filter, AbortSignal.any([signal, this.#closing.signal]));
  }

  async tombstone(stream: string): Promise<void> {
    await this.#open();
    admitStream(stream);
    if (this.#log.tombstones.has(stream)) return;
    this.#log.tombstones.add(stream);
    this.#log.streams.delete(stream);
    this.#log.events = this.#log.events.filter((event) => event.stream !== stream);
    this.#log.head += 1;
    this.#log.growth.announce();
  }

  async removals(): Promise<readonly string[]> {
    await this.#open();
    return [...this.#log.tombstones];
  }

  async head(): Promise<Position> {
    await this.#open();
    return String(this.#log.head);
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  /** One microtask, as every answer of a real store comes later than its question; refuses after `close`. */
  async #open(): Promise<void> {
    const closed = this.#closing.signal.aborted;
    await Promise.resolve();
    if (closed) throw new StoreUnavailable('the event store is closed');
  }
}

const revisionOf = (written: readonly RecordedEvent[]): ExpectedRevision => (written.length === 0 ? 'NO_STREAM' : written.length - 1);
