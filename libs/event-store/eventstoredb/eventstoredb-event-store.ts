import type { AppendResp, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { type Clock, comparePositions, laterPosition, type NewEvent, type Position, type RecordedEvent, type Secret, startOfLog } from '#kernel';
import { admitAppend, admitLimit, admitPosition, admitRevision, admitStream } from '../admission.ts';
import { exitProcess } from '../exit-process.ts';
import { passes, prefixesOf } from '../filter.ts';
import { follow, Growth } from '../follow.ts';
import { patiently } from '../patience.ts';
import { type AppendResult, type CopyableEventStore, type EventBatch, type ExpectedRevision, OutcomeUnknown, StoreUnavailable, type StreamFilter, StreamTombstoned, WrongExpectedRevision } from '../port.ts';
import { Tail } from '../tail.ts';
import { Acknowledged } from './acknowledged.ts';
import { catchUp } from './catch-up.ts';
import { readTarget } from './connection.ts';
import { type LogRecord, recordOf } from './envelope.ts';
import { appendFailure, isRefusedPlace, kindOf, readFailure } from './failure.ts';
import { Feed } from './feed.ts';
import { Page } from './page.ts';
import { type Mark, markOf, removal, Trail } from './trail.ts';
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
  /**
   * Called once when the store has lost events that it had shown or acknowledged to this process (a failover to a node that never
   * had them). Nobody can tell what in this process was made of them, so it must end; by default it says why on stderr and exits
   * with 1.
   */
  readonly onFatal?: (error: Error) => void;
  /** How many of the newest events stay in memory, for those who follow the log at its head; default 8,192 (and 8 MiB at most). */
  readonly recentEvents?: number;
  /** How long an append or a removal may take before its outcome is unknown, and a read before the store is unavailable; default 3 s. */
  readonly timeoutMs?: number;
  /** How often it is checked that the subscription is not silent while the log moves (which is found at the second look), and that nothing was lost; default 10 s. */
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
  const { clock, timeoutMs = 3_000, recentEvents = 8_192, lookMs = 10_000, onTrouble = () => undefined, onFatal = exitProcess } = options;
  try {
    const wire = new Wire(target, clock, timeoutMs, onTrouble);
    const store = new EventStoreDb(wire, { clock, timeoutMs, recentEvents, lookMs, onTrouble, onFatal });
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
  readonly #acknowledged: Acknowledged;
  #tail = new Tail(startOfLog, 0);
  #trail = new Trail(startOfLog, undefined);
  #feed: Feed | undefined;
  /** Why nothing of this process can be relied on any more. */
  #lost: StoreUnavailable | undefined;
  #closed: Promise<void> | undefined;

  constructor(wire: Wire, settings: Settings) {
    this.#wire = wire;
    this.#settings = settings;
    this.#acknowledged = new Acknowledged({ clock: settings.clock, shown: () => this.#tail.head, wake: () => this.#growth.announce() });
  }

  async open(): Promise<void> {
    try {
      const head = await this.#head();
      for await (const message of this.#wire.removals()) this.#removed.add(recordOf(message)?.stream ?? '');
      const last = await this.#last(({ kind, stream }) => kind === 'event' && !this.#removed.has(stream), startOfLog, mostRecords);
      this.#trail = new Trail(head, last);
      this.#tail = new Tail(head, this.#settings.recentEvents);
    } catch (error) {
      await this.#wire.close();
      throw readFailure(error);
    }
    const { clock, lookMs, onTrouble } = this.#settings;
    const follows = (after: Position, signal: AbortSignal): AsyncIterable<ReadResp> => this.#wire.follow(after, undefined, signal);
    this.#feed = new Feed({
      clock,
      lookMs,
      onTrouble,
      signal: this.#closing.signal,
      tail: this.#tail,
      growth: this.#growth,
      removed: this.#removed,
      follow: follows,
      end: () => this.#end(),
      trail: this.#trail,
      verify: () => this.#verify(),
    });
    this.#feed.start();
  }

  /** Ends everything when something is gone that this process knows of: nobody can tell what here was made of it. */
  async #verify(): Promise<void> {
    const missing = await this.#trail.missing((stream, revision) => this.#reading(() => this.#find(stream, revision)));
    if (missing === undefined || this.#closing.signal.aborted) return;
    this.#lost = new StoreUnavailable(
      `events that were acknowledged are gone: EventStoreDB has lost ${missing}, and perhaps more, as after a failover; the process ends, and what it made of them is made anew at the next start`,
    );
    this.#closing.abort(this.#lost);
    this.#settings.onFatal(this.#lost);
  }

  /** Without the subscription the log is asked whether it is still the same, before it is written and after it was read. */
  async #sameLog(): Promise<void> {
    if (this.#feed?.unbroken !== true) await this.#verify();
    if (this.#lost !== undefined) throw this.#lost;
  }

  async #find(stream: string, revision: number): Promise<Mark | undefined> {
    try {
      for await (const message of this.#wire.readStream(stream, revision, 1)) return recordOf(message);
    } catch (error) {
      if (kindOf(error) !== 'stream-deleted') throw error;
      return { stream, revision, position: startOfLog, id: removal };
    }
    return undefined;
  }

  serverVersion(): Promise<string> {
    return this.#wire.serverVersion();
  }

  async append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    const metadata = admitAppend(stream, expected, events);
    return await this.#during(async () => {
      await this.#sameLog();
      const answer = await this.#settled(() => this.#wire.append(stream, expected, events, metadata), stream, expected);
      const refused = answer.getWrongExpectedVersion();
      if (refused !== undefined) throw new WrongExpectedRevision(stream, expected, refused.hasCurrentRevision() ? Number(refused.getCurrentRevision()) : 'NO_STREAM');
      const position = await this.#positionOf(answer);
      const revision = (expected === 'NO_STREAM' ? -1 : expected) + events.length;
      if (answer.getSuccess()?.hasPosition() === true) this.#trail.expect({ stream, revision, position, id: events.at(-1)?.id ?? '' });
      this.#acknowledged.add(position);
      return { revision, position };
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
      if (again && this.#leadsElsewhere(error)) return await this.#settled(send, stream, expected, false);
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
          if (record?.kind !== 'event') continue;
          this.#trail.expect(markOf(record));
          events.push(record.read());
        }
      } catch (error) {
        if (kindOf(error) !== 'stream-deleted') throw error;
      }
      await this.#sameLog();
      return events;
    }));
  }

  async readAll(after: Position, filter: StreamFilter | undefined, limit: number): Promise<EventBatch> {
    admitPosition(after);
    admitLimit(limit);
    const prefixes = prefixesOf(filter);
    return await this.#during(() => this.#reading(() => this.#read(after, prefixes, limit)));
  }

  async #read(after: Position, prefixes: readonly string[] | undefined, limit: number): Promise<EventBatch> {
    const batch = await this.#page(after, prefixes, limit);
    await this.#sameLog();
    return batch;
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
      if (record === undefined) continue;
      this.#knowOf(record);
      if (!page.take(record)) return page.cut();
    }
    return received >= count ? page.cut() : page.end();
  }

  #knowOf(record: LogRecord): void {
    if (record.kind !== 'system') this.#trail.expect(markOf(record));
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
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** Far from the head the server filters. What breaks off is gone on with page by page, which waits until the store can be read again. */
  async *#catchUp(after: Position, prefixes: readonly string[], signal: AbortSignal): AsyncGenerator<EventBatch> {
    const { onTrouble, timeoutMs } = this.#settings;
    if (signal.aborted || this.#tail.covers(after)) return;
    try {
      const messages = this.#wire.follow(after, prefixes, signal, timeoutMs);
      const shows = (record: LogRecord): boolean => {
        this.#knowOf(record);
        return this.#shows(record, prefixes);
      };
      for await (const batch of catchUp(messages, after, shows, (position) => this.#tail.covers(position))) {
        await this.#sameLog();
        yield batch;
      }
    } catch (error) {
      if (!signal.aborted) onTrouble(readFailure(error));
    }
  }

  /** What follows a position, out of memory where it is there; waits until it can be read. */
  async #next(after: Position, prefixes: readonly string[] | undefined, limit: number, signal: AbortSignal): Promise<EventBatch> {
    const current = this.#feed?.live === true && comparePositions(this.#tail.head, this.#acknowledged.position) >= 0;
    const recent = current ? this.#tail.read(after, prefixes, limit) : undefined;
    if (recent !== undefined) return recent;
    const { clock, onTrouble } = this.#settings;
    return await patiently(() => this.#reading(() => this.#read(after, prefixes, limit)), { clock, signal, onTrouble });
  }

  async tombstone(stream: string): Promise<void> {
    admitStream(stream);
    await this.#during(async () => {
      await this.#sameLog();
      try {
        const answer = await this.#settled(() => this.#wire.tombstone(stream), stream, 'NO_STREAM');
        const position = answer.getPosition()?.getCommitPosition() ?? startOfLog;
        this.#trail.expect({ stream, revision: 0, position, id: removal });
        this.#acknowledged.add(position);
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

  /** Of the last record that is not the server's own. */
  async #head(): Promise<Position> {
    const known = laterPosition(this.#tail.head, this.#acknowledged.position);
    const last = await this.#last(({ kind }) => kind !== 'system', known);
    return last?.position ?? known;
  }

  /** The last record that is wanted: looked for backwards from the end, at most to a position, and among so many. */
  async #last(wanted: (record: LogRecord) => boolean, after: Position, most = Number.MAX_SAFE_INTEGER): Promise<LogRecord | undefined> {
    for (let count = fewRecords; count <= most; count *= 8) {
      let received = 0;
      for await (const message of this.#wire.readAll({ backwardsFromEnd: true }, count)) {
        received += 1;
        const record = recordOf(message);
        if (record === undefined) continue;
        if (comparePositions(record.position, after) <= 0) return undefined;
        if (wanted(record)) return record;
      }
      if (received < count) break;
    }
    return undefined;
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
    this.#closing.abort(new StoreUnavailable('the event store is closed'));
    await Promise.allSettled([...this.#pending]);
    this.#acknowledged.stop();
    await this.#feed?.ended();
    await this.#wire.close();
    taken = false;
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#closing.signal.throwIfAborted();
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
      if (again && this.#leadsElsewhere(error)) return await this.#reading(read, false);
      throw readFailure(error);
    }
  }

  #leadsElsewhere(error: unknown): boolean {
    if (kindOf(error) !== 'not-leader') return false;
    this.#feed?.beginAgain();
    return true;
  }
}
