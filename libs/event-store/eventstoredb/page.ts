import { comparePositions, type Position, type RecordedEvent } from '#kernel';
import type { EventBatch } from '../port.ts';
import type { LogRecord } from './envelope.ts';

/** How much of the log one read looks at. */
const mostBytes = 4 * 1024 * 1024;

/** One `readAll`: takes records in log order. What the server writes for itself is passed over, and is not where a log ends. */
export class Page {
  readonly #events: RecordedEvent[] = [];
  readonly #after: Position;
  readonly #limit: number;
  readonly #shows: (record: LogRecord) => boolean;
  #bytes = 0;
  /** Of the last record looked at, and of the last one that is not the server's own. */
  #last: Position;
  #ours: Position;

  constructor(after: Position, limit: number, shows: (record: LogRecord) => boolean) {
    this.#after = after;
    this.#limit = limit;
    this.#shows = shows;
    this.#last = after;
    this.#ours = after;
  }

  /** False when the page was full before this record. */
  take(record: LogRecord): boolean {
    if (comparePositions(record.position, this.#after) <= 0) return true;
    if (record.kind !== 'system') {
      if (this.#events.length === this.#limit || this.#bytes >= mostBytes) return false;
      this.#ours = record.position;
    }
    this.#last = record.position;
    this.#bytes += record.bytes;
    if (this.#shows(record)) this.#events.push(record.read());
    return true;
  }

  /** There is more behind it. */
  cut(): EventBatch {
    return { events: this.#events, position: this.#ours === this.#after ? this.#last : this.#ours, caughtUp: false };
  }

  end(): EventBatch {
    return { events: this.#events, position: this.#ours, caughtUp: true };
  }
}
