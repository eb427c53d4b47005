import type { NewEvent, Position, RecordedEvent } from '#kernel';

/** The revision of the stream's last event, or that the stream must not exist yet. There is no "any". */
export type ExpectedRevision = number | 'NO_STREAM';

export interface AppendResult {
  /** The revision of the last event written. */
  readonly revision: number;
  /** The position of the last event written; for a repeated append possibly a later one (an upper bound). */
  readonly position: Position;
}

/** One append, among others. */
export interface Append {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly NewEvent[];
}

/** An append of one event, among others that do not depend on it. */
export interface SingleAppend {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly event: NewEvent;
}

/**
 * Which events a reader wants: those of streams that start with one of the prefixes; all without a filter. A prefix is
 * a category with its dash, and perhaps the beginning of what follows (`event-`, `event-acme.`); another form throws a
 * `TypeError`.
 */
export interface StreamFilter {
  readonly prefixes: readonly string[];
}

/**
 * Events in log order. `position` is where reading goes on: everything up to it has been seen, whether or not it
 * passed the filter. `caughtUp` says that it was the head of the log when the batch was made.
 */
export interface EventBatch {
  readonly events: readonly RecordedEvent[];
  readonly position: Position;
  readonly caughtUp: boolean;
}

/**
 * The log. Every promise of `append` settles after the events are durable.
 *
 * Appending again with the same event ids at the same expected revision answers success again (bodies are not
 * compared), as EventStoreDB does: that is what makes a repeat after a lost answer safe. An id that stands in the
 * stream already is written again when the expected revision is the current one.
 *
 * Errors, as rejections: `WrongExpectedRevision`, `StreamTombstoned`, `AppendTooLarge` (nothing was written);
 * `StoreUnavailable` (nothing was written; also after `close`); `OutcomeUnknown` (sent, no answer: it may have been
 * written); `TypeError` for what no engine takes (a stream name with capitals, an event id that is not a lower-case
 * UUID, metadata that is not flat strings, no events at all).
 */
export interface EventStore {
  append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult>;
  /** What `appendEach` does, on an engine for which many appends together cost less than one by one. */
  appendEach?(appends: readonly SingleAppend[]): Promise<readonly (AppendResult | Error)[]>;
  /** What `appendInTurn` does, on an engine that makes them durable together. */
  appendInTurn?(appends: readonly Append[]): Promise<readonly (AppendResult | Error)[]>;
  /** The stream's events from revision `from` (inclusive, default 0), at most `limit`; none when it does not exist or is tombstoned. */
  readStream(stream: string, from?: number, limit?: number): Promise<readonly RecordedEvent[]>;
  /**
   * Events after a position (exclusive), at most `limit`. There may be fewer although more follow: a batch is also
   * bounded in bytes and in how much of the log it looks through. Only `caughtUp` says that it was all.
   */
  readAll(after: Position, filter: StreamFilter | undefined, limit: number): Promise<EventBatch>;
  /**
   * Follows the log after a position (exclusive). Ends when the signal aborts or the store is closed; throws
   * `StoreUnavailable` when the log can no longer be read. Once at the head it says so, also with an empty batch, and
   * again when the head has moved since, whether or not an event passed the filter: a reader that waits for a position
   * always gets there, 50 ms late at most when all that was appended is of categories it does not ask for. (An empty batch is
   * no reason to write a checkpoint at once.)
   */
  subscribe(after: Position, filter: StreamFilter | undefined, signal: AbortSignal): AsyncIterable<EventBatch>;
  /**
   * Removes the stream's events for good and refuses its name for ever, also when it never existed. Takes a position
   * of its own in the log, so that none is ever used twice. Doing it twice is success.
   */
  tombstone(stream: string): Promise<void>;
  /** The position of the last event (or removal); `0` while nothing was ever written. */
  head(): Promise<Position>;
  /** Finishes what was asked before, ends every subscription, lets go of files and locks. Doing it twice is success. */
  close(): Promise<void>;
}

/** A log that also says which streams were removed from it: whoever copies it must have them refused there too. */
export interface CopyableEventStore extends EventStore {
  /** The names that `tombstone` has refused for ever, in no order. Rejects with `StoreUnavailable`. */
  removals(): Promise<readonly string[]>;
}

/** Limit of one append on every engine, data, metadata and types together (EventStoreDB's is 1 MiB). */
export const maxAppendBytes = 900 * 1024;

export class WrongExpectedRevision extends Error {
  override readonly name = 'WrongExpectedRevision';
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly actual: ExpectedRevision;
  constructor(stream: string, expected: ExpectedRevision, actual: ExpectedRevision) {
    super(`${stream}: expected ${expected}, is at ${actual}`);
    this.stream = stream;
    this.expected = expected;
    this.actual = actual;
  }
}

export class StreamTombstoned extends Error {
  override readonly name = 'StreamTombstoned';
  constructor(stream: string) {
    super(`${stream} was removed for good`);
  }
}

export class AppendTooLarge extends Error {
  override readonly name = 'AppendTooLarge';
  readonly bytes: number;
  constructor(bytes: number) {
    super(`an append of ${bytes} bytes is over the limit of ${maxAppendBytes} bytes`);
    this.bytes = bytes;
  }
}

export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}
