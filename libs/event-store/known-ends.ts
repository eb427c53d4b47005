import type { RecordedEvent } from '#kernel';

/** How many streams are remembered, and how many characters of data stand with all of them, at most. */
const mostStreams = 20_000;
const mostChars = 4 * 1024 * 1024;

interface End {
  /** Of the last event; -1: there is no stream. */
  readonly revision: number;
  /** What was appended last, up to the end. */
  readonly last: readonly RecordedEvent[];
}

/**
 * Where streams end, and what was appended to each last: who reads on behind what it has read before need not ask the engine.
 * Good only where nobody else writes to the log, and when it is told of appends, reads and removals as they are answered, in
 * the order of the log. Streams that nobody reads to their end are not remembered, and of the others the last ones.
 */
export class KnownEnds {
  readonly #ends = new Map<string, End>();
  readonly #capacity: number;
  #chars = 0;

  constructor(capacity: number = mostStreams) {
    this.#capacity = capacity;
  }

  /** The stream's events from a revision on, at most `limit`; undefined where they are not all here. */
  read(stream: string, from: number, limit: number): readonly RecordedEvent[] | undefined {
    const end = this.#ends.get(stream);
    if (end === undefined) return undefined;
    const first = end.revision + 1 - end.last.length;
    if (from < first) return undefined;
    return end.last.slice(from - first, from - first + limit);
  }

  /** Somebody has read the stream to its end, the event of this revision. */
  reached(stream: string, revision: number): void {
    if (this.#ends.get(stream)?.revision !== revision) this.#put(stream, { revision, last: [] });
  }

  appended(stream: string, events: readonly RecordedEvent[]): void {
    const last = events.at(-1);
    if (last !== undefined && this.#ends.has(stream)) this.#put(stream, { revision: last.revision, last: events });
  }

  forget(stream: string): void {
    this.#chars -= charsOf(this.#ends.get(stream));
    this.#ends.delete(stream);
  }

  #put(stream: string, end: End): void {
    this.forget(stream);
    this.#ends.set(stream, end);
    this.#chars += charsOf(end);
    if (this.#isFull()) this.#forgetOldest();
  }

  #isFull(): boolean {
    return this.#ends.size > this.#capacity || this.#chars > mostChars;
  }

  #forgetOldest(): void {
    for (const oldest of this.#ends.keys()) {
      this.forget(oldest);
      if (!this.#isFull()) return;
    }
  }
}

const charsOf = (end: End | undefined): number => end?.last.reduce((chars, { data }) => chars + data.length, 0) ?? 0;
