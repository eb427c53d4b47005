import type { NewEvent, Position, RecordedEvent } from '#kernel';

/** The revision of the stream's last event, or that the stream must not exist yet. There is no "any". */
export type ExpectedRevision = number | 'NO_STREAM';

export interface AppendResult {
  /** The revision of the last event written. */
  readonly revision: number;
  /** The position of the last event written; for a repeated append possibly a later one (an upper bound). */
  readonly position: Position;
}

/** Which events a reader wants: those of streams that start with one of the prefixes; all without a filter. */
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
 * compared), as EventStoreDB does: that is what makes a repeat after a lost answer safe.
 *
 * Errors: `WrongExpectedRevision`, `StreamTombstoned`, `AppendTooLarge` (nothing was written);
 * `StoreUnavailable` (nothing was sent); `OutcomeUnknown` (sent, no answer: it may have been written).
 */
export interface EventStore {
  append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult>;
  /** The stream's events from revision `from` (inclusive, default 0), at most `limit`; none when it does not exist or is tombstoned. */
  readStream(stream: string, from?: number, limit?: number): Promise<readonly RecordedEvent[]>;
  /** Events after a position (exclusive), at most `limit`. */
  readAll(after: Position, filter: StreamFilter | undefined, limit: number): Promise<EventBatch>;
  /** Follows the log after a position (exclusive) until the signal aborts; batches are never empty unless `caughtUp` changes or the position moves far. */
  subscribe(after: Position, filter: StreamFilter | undefined, signal: AbortSignal): AsyncIterable<EventBatch>;
  /** Removes the stream's events for good and refuses its name for ever. Doing it twice is success. */
  tombstone(stream: string): Promise<void>;
  /** The position of the last event. */
  head(): Promise<Position>;
  close(): Promise<void>;
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
