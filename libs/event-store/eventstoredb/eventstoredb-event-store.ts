import type { AppendResp, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { type Clock, comparePositions, laterPosition, type NewEvent, type Position, type RecordedEvent, type Secret, startOfLog } from '#kernel';
import { admitAppend, admitLimit, admitPosition, admitRevision, admitStream } from '../admission.ts';
import { passes, prefixesOf } from '../filter.ts';
import { follow, Growth } from '../follow.ts';
import { patiently } from '../patience.ts';
import { type AppendResult, type CopyableEventStore, type EventBatch, type ExpectedRevision, OutcomeUnknown, StoreUnavailable, type StreamFilter, StreamTombstoned, WrongExpectedRevision } from '../port.ts';
import { Tail } from '../tail.ts';
import { catchUp } from './catch-up.ts';
import { readTarget } from './connection.ts';
import { type LogRecord, recordOf } from './envelope.ts';
import { appendFailure, isRefusedPlace, kindOf, readFailure } from './failure.ts';
import { Feed } from './feed.ts';
import { Page } from './page.ts';
import { type Sending, Wire, within } from './wire.ts';

export interface EventStoreDbOptions {
  /**
   * `esdb://` with one host or several, or `esdb+discover://`, with the options of the client; a password is percent-encoded.
   * It is in no error and no log line.
   */
  readonly connectionString: Secret;
  readonly clock: Clock;
  /** Told of what the store comes over by itself: a subscription that broke, a connection that was lost. */
  readonly onTrouble?: (error: Error) => void;
  /** How many of the newest events stay in memory, for those who follow the log at its head; default 8,192 (and 16 MiB at most). */
  readonly recentEvents?: number;
  /** How long an append or a removal may take before its outcome is unknown, and a read before the store is unavailable; default 3 s. */
  readonly timeoutMs?: number;
  /** How often it is checked that the subscription is not silent while the log moves; default 10 s. It is found at the second look. */
  readonly lookMs?: number;
}

/** How many records of the log one `readAll` looks at. */
const mostRecords = 4_096;
/** How many records of the server's own are expected among ours. */
const fewRecords = 16;

let taken = false;

/**
 * Opens the event store on EventStoreDB or KurrentDB (servers from 22.6 on), over one connection; a second one in the same process is
 * refused until the first is closed, because the client keeps what is under way in one place for all of them.
 * What was removed is hidden from the first answer on, so opening reads the marks of removed streams out of the whole log.
 * Throws `TypeError` for a connection string that can't be used, `StoreUnavailable` when the server can't be read.
 */
export async function openEventStoreDb(options: EventStoreDbOptions): Promise<CopyableEventStore & { serverVersion(): Promise<string> }> {
  const target = readTarget(options.connectionString);
  if (taken) throw new Error('an EventStoreDB connection is open in this process already: one process has one');
  taken = true;
  const { clock, timeoutMs = 3_000, recentEvents = 8_192, lookMs = 10_000, onTrouble = () => undefined } = options;
  try {
    const wire = new Wire(target, clock, timeoutMs, onTrouble);
    const store = new EventStoreDb(wire, { clock, timeoutMs, recentEvents, lookMs, onTrouble });
    await store.open();
    return store;
  } catch (error) {
    taken = false;
    throw error;
  }
}

type Settings = Required<Omit<EventStoreDbOptions, 'connectionString'>>;

class EventStoreDb implements CopyableEventStore {
  readonly #wire: Wire;
  readonly #settings: Settings;
  readonly #growth = new Growth();
  readonly #closing = new AbortController();
  readonly #removed = new Set<string>();
  readonly #pending = new Set<Promise<unknown>>();
  #tail = new Tail(startOfLog, 0);
  #feed: Feed | undefined;
  /** The latest position that was acknowledged here: nobody in this process is told that the log ends before it. */
  #acknowledged: Position = startOfLog;
  #closed: Promise<void> | undefined;

  constructor(wire: Wire, settings: Settings) {
    this.#wire = wire;
    this.#settings = settings;
  }

  async open(): Promise<void> {
    try {
      const head = await this.#head();
      for await (const message of this.#wire.removals()) this.#removed.add(recordOf(message)?.stream ?? '');
      this.#tail = new Tail(head, this.#settings.recentEvents);
    } catch (error) {
      await this.#wire.close();
      throw readFailure(error);
    }
    const { clock, lookMs, onTrouble } = this.#settings;
    const follows = (after: Position, signal: AbortSignal): AsyncIterable<ReadResp> => this.#wire.follow(after, undefined, signal);
    this.#feed = new Feed({ clock, lookMs, onTrouble, tail: this.#tail, growth: this.#growth, removed: this.#removed, follow: follows, end: () => this.#end() });
    this.#feed.start();
  }

  serverVersion(): Promise<string> {
    return this.#wire.serverVersion();
  }

  async append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    const metadata = admitAppend(stream, expected, events);
    return await this.#during(async () => {
      const answer = await this.#settled(() => this.#wire.append(stream, expected, events, metadata), stream, expected);
      const refused = answer.getWrongExpectedVersion();
      if (refused !== undefined) throw new WrongExpectedRevision(stream, expected, refused.hasCurrentRevision() ? Number(refused.getCurrentRevision()) : 'NO_STREAM');
      const position = await this.#positionOf(answer);
      this.#acknowledged = laterPosition(this.#acknowledged, position);
      return { revision: (expected === 'NO_STREAM' ? -1 : expected) + events.length, position };
    });
  }

  /** A repeated append is told no position: the head's is an upper bound. */
  async #positionOf(answer: AppendResp): Promise<Position> {
    const position = answer.getSuccess()?.getPosition();
    if (position !== undefined) return position.getCommitPosition();
    try {
      return await this.#head();
    } catch (error) {
      throw new OutcomeUnknown(`written, but not where: ${readFailure(error).message}`);
    }
  }

  /** The client has no deadline of its own for an answer that does not come. A server that does not lead names the one that does. */
  async #settled<T>(send: () => Sending<T>, stream: string, expected: ExpectedRevision, again = true): Promise<T> {
    const { clock, timeoutMs } = this.#settings;
    const sending = send();
    try {
      return await within(clock, timeoutMs, sending.answer, sending.cancel);
    } catch (error) {
      if (again && kindOf(error) === 'not-leader') return await this.#settled(send, stream, expected, false);
      throw appendFailure(error, sending.sent(), stream, expected);
    }
  }

  async readStream(stream: string, from = 0, limit = Number.MAX_SAFE_INTEGER): Promise<readonly RecordedEvent[]> {
    admitStream(stream);
    admitRevision(from);
    admitLimit(limit);
    return await this.#during(() => this.#reading(async () => {
      const events: RecordedEvent[] = [];
      try {
        for await (const message of this.#wire.readStream(stream, from, limit)) {
          const record = recordOf(message);
          if (record?.kind === 'event') events.push(record.read());
        }
      } catch (error) {
        if (kindOf(error) === 'stream-deleted') return [];
        throw error;
      }
      return events;
    }));
  }

  async readAll(after: Position, filter: StreamFilter | undefined, limit: number): Promise<EventBatch> {
    admitPosition(after);
    admitLimit(limit);
    const prefixes = prefixesOf(filter);
    return await this.#during(() => this.#reading(() => this.#page(after, prefixes, limit)));
  }

  /**
   * A read begins at a position inclusive, and is refused where no record begins. After a checkpoint one begins, or will, just behind; where
   * that is not so either, as after a failover, the place is looked for from the start.
   */
  async #page(after: Position, prefixes: readonly string[] | undefined, limit: number): Promise<EventBatch> {
    for (const from of [after, String(BigInt(after) + 1n)]) {
      try {
        return await this.#pageFrom(from, after, prefixes, limit);
      } catch (error) {
        if (after === startOfLog || !isRefusedPlace(error)) throw error;
      }
    }
    return await this.#pageFrom(startOfLog, after, prefixes, limit);
  }

  async #pageFrom(from: Position, after: Position, prefixes: readonly string[] | undefined, limit: number): Promise<EventBatch> {
    const page = new Page(after, limit, (record) => this.#shows(record, prefixes));
    const count = from !== startOfLog || after === startOfLog ? 2 + (prefixes === undefined ? Math.min(limit + fewRecords, mostRecords) : mostRecords) : Number.MAX_SAFE_INTEGER;
    let received = 0;
    for await (const message of this.#wire.readAll({ from }, count)) {
      received += 1;
      const record = recordOf(message);
      if (record !== undefined && !page.take(record)) return page.cut();
    }
    return received >= count ? page.cut() : page.end();
  }

  #shows(record: LogRecord, prefixes: readonly string[] | undefined): boolean {
    return record.kind === 'event' && passes(prefixes, record.stream) && !this.#removed.has(record.stream);
  }

  async *subscribe(after: Position, filter: StreamFilter | undefined, signal: AbortSignal): AsyncGenerator<EventBatch> {
    admitPosition(after);
    const prefixes = prefixesOf(filter);
    const ends = AbortSignal.any([signal, this.#closing.signal]);
    let position = after;
    if (prefixes !== undefined && prefixes.length > 0) {
      for await (const batch of this.#catchUp(after, prefixes, ends)) {
        position = batch.position;
        yield batch;
      }
    }
    try {
      yield* follow({ readAll: (from, _, limit) => this.#next(from, prefixes, limit, ends) }, this.#growth, position, filter, ends);
    } catch (error) {
      if (!ends.aborted) throw error;
    }
  }

  /** Far from the head the server filters. What breaks off is gone on with page by page, which waits until the store can be read again. */
  async *#catchUp(after: Position, prefixes: readonly string[], signal: AbortSignal): AsyncGenerator<EventBatch> {
    const { onTrouble, timeoutMs } = this.#settings;
    if (signal.aborted || this.#tail.covers(after)) return;
    try {
      const messages = this.#wire.follow(after, prefixes, signal, timeoutMs);
      yield* catchUp(messages, after, (record) => this.#shows(record, prefixes), (position) => this.#tail.covers(position));
    } catch (error) {
      if (!signal.aborted) onTrouble(readFailure(error));
    }
  }

  /** What follows a position, out of memory where it is there; waits until it can be read. */
  async #next(after: Position, prefixes: readonly string[] | undefined, limit: number, signal: AbortSignal): Promise<EventBatch> {
    const current = this.#feed?.live === true && comparePositions(this.#tail.head, this.#acknowledged) >= 0;
    const recent = current ? this.#tail.read(after, prefixes, limit) : undefined;
    if (recent !== undefined) return recent;
    const { clock, onTrouble } = this.#settings;
    return await patiently(() => this.#reading(() => this.#page(after, prefixes, limit)), { clock, signal, onTrouble });
  }

  async tombstone(stream: string): Promise<void> {
    admitStream(stream);
    await this.#during(async () => {
      try {
        const answer = await this.#settled(() => this.#wire.tombstone(stream), stream, 'NO_STREAM');
        this.#acknowledged = laterPosition(this.#acknowledged, answer.getPosition()?.getCommitPosition() ?? startOfLog);
      } catch (error) {
        if (!(error instanceof StreamTombstoned)) throw error;
      }
      this.#removed.add(stream);
    });
  }

  async removals(): Promise<readonly string[]> {
    return await this.#during(() => Promise.resolve([...this.#removed]));
  }

  async head(): Promise<Position> {
    return await this.#during(() => this.#reading(() => this.#head()));
  }

  /** The last record that is not the server's own: looked for backwards from the end, at most to what is known. */
  async #head(): Promise<Position> {
    const known = laterPosition(this.#tail.head, this.#acknowledged);
    for (let count = fewRecords; ; count *= 8) {
      let received = 0;
      for await (const message of this.#wire.readAll({ backwardsFromEnd: true }, count)) {
        received += 1;
        const record = recordOf(message);
        if (record !== undefined && comparePositions(record.position, known) <= 0) return known;
        if (record !== undefined && record.kind !== 'system') return record.position;
      }
      if (received < count) return known;
    }
  }

  async #end(): Promise<Position> {
    for await (const message of this.#wire.readAll({ backwardsFromEnd: true }, 1)) return recordOf(message)?.position ?? startOfLog;
    return startOfLog;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#pending]);
    await this.#feed?.stop();
    await this.#wire.close();
    taken = false;
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw new StoreUnavailable('the event store is closed');
    const running = work();
    this.#pending.add(running);
    try {
      return await running;
    } finally {
      this.#pending.delete(running);
    }
  }

  /** Once more at a server that named the leader: the connection goes there from now on. */
  async #reading<T>(read: () => Promise<T>, again = true): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (again && kindOf(error) === 'not-leader') return await this.#reading(read, false);
      throw readFailure(error);
    }
  }
}
