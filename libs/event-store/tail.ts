import { comparePositions, laterPosition, type Position, type RecordedEvent } from '#kernel';
import { categoryOf } from './filter.ts';
import { sliceLog } from './log-slice.ts';
import type { EventBatch } from './port.ts';

const mostChars = 8 * 1024 * 1024;

/**
 * The newest part of the log, kept where it is read most: who follows the log at its head gets the events that were
 * just committed without asking the engine for them.
 */
export class Tail {
  #events: RecordedEvent[] = [];
  #chars = 0;
  /** Everything after this position is here. */
  #from: Position;
  #head: Position;
  #news = new Set<string>();
  readonly #mostEvents: number;

  constructor(head: Position, mostEvents: number) {
    this.#mostEvents = mostEvents;
    this.#from = head;
    this.#head = head;
  }

  get head(): Position {
    return this.#head;
  }

  push(event: RecordedEvent): void {
    this.#events.push(event);
    this.#chars += event.data.length;
    this.#head = event.position;
    this.#news.add(categoryOf(event.stream));
    if (this.#events.length > this.#mostEvents || this.#chars > mostChars) this.#dropOlderHalf();
  }

  /** Categories of what has come since this was last asked. */
  takeNews(): ReadonlySet<string> {
    const news = this.#news;
    this.#news = new Set();
    return news;
  }

  #dropOlderHalf(): void {
    const dropped = this.#events.splice(0, Math.ceil(this.#events.length / 2));
    this.#from = dropped.at(-1)?.position ?? this.#from;
    for (const event of dropped) this.#chars -= event.data.length;
  }

  /** The head has moved past what nobody here reads. */
  moveTo(head: Position): void {
    this.#head = laterPosition(this.#head, head);
  }

  /** A stream was removed: nothing of it stays in memory. The removal has a position of its own, at most `head`. */
  forget(stream: string, head: Position): void {
    this.#events = this.#events.filter((event) => event.stream !== stream);
    this.#chars = this.#events.reduce((sum, event) => sum + event.data.length, 0);
    this.moveTo(head);
  }

  /** Whether everything after a position is here. */
  covers(after: Position): boolean {
    return comparePositions(after, this.#from) >= 0;
  }

  /** Events after a position, or undefined when some of them are no longer here. */
  read(after: Position, prefixes: readonly string[] | undefined, limit: number): EventBatch | undefined {
    return this.covers(after) ? sliceLog(this.#events, this.#head, after, prefixes, limit) : undefined;
  }
}
