import { Recent, type RecordedEvent } from '#kernel';

/** How much is remembered: characters of data, and for every stream so many more. */
const mostChars = 8 * 1024 * 1024;
const charsPerStream = 200;

interface End {
  /** Of the last event; -1: there is no stream. */
  readonly revision: number;
  /** What was appended last, up to the end. */
  readonly last: readonly RecordedEvent[];
}

/**
 * Where streams end, and what was appended to each last: who reads on behind what it has read before need not ask the engine.
 * Good only where nobody else writes to the log, and when it is told of appends, reads and removals as they are answered, in
 * the order of the log. Streams that nobody reads to their end are not remembered, and of the others those used last.
 */
export class KnownEnds {
  readonly #ends: Recent<End>;

  /** `chars`: how much is remembered at most; 0: nothing. */
  constructor(chars: number = mostChars) {
    this.#ends = new Recent(chars, weightOf);
  }

  /** The stream's events from a revision on, at most `limit`; undefined where they are not all here. */
  read(stream: string, from: number, limit: number): readonly RecordedEvent[] | undefined {
    const end = this.#ends.get(stream);
    if (end === undefined) return undefined;
    const first = end.revision + 1 - end.last.length;
    return from < first ? undefined : end.last.slice(from - first, from - first + limit);
  }

  /** Somebody has read the stream to its end, the event of this revision. */
  reached(stream: string, revision: number): void {
    if (this.#ends.get(stream)?.revision !== revision) this.#ends.set(stream, { revision, last: [] });
  }

  appended(stream: string, events: readonly RecordedEvent[]): void {
    const last = events.at(-1);
    if (last !== undefined && this.#ends.has(stream)) this.#ends.set(stream, { revision: last.revision, last: events });
  }

  forget(stream: string): void {
    this.#ends.delete(stream);
  }
}

const weightOf = ({ last }: End): number => last.reduce((chars, { data }) => chars + data.length, charsPerStream);
