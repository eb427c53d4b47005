import type { RecordedEvent } from '#kernel';
import { sliceLog } from '../log-slice.ts';
import type { EventBatch } from '../port.ts';

const mostChars = 16 * 1024 * 1024;

/**
 * The newest part of the log, kept where it is read most: who follows the log at its head gets the events that were
 * just committed without asking the storage thread for them.
 */
export class Tail {
  #events: RecordedEvent[] = [];
  #chars = 0;
  /** Everything after this position is here. */
  #from: number;
  #head: number;
  readonly #mostEvents: number;

  constructor(head: number, mostEvents: number) {
    this.#mostEvents = mostEvents;
    this.#from = head;
    this.#head = head;
  }

  get head(): number {
    return this.#head;
  }

  push(event: RecordedEvent): void {
    this.#events.push(event);
    this.#chars += event.data.length;
    this.#head = Number(event.position);
    if (this.#events.length > this.#mostEvents || this.#chars > mostChars) this.#dropOlderHalf();
  }

  #dropOlderHalf(): void {
    const dropped = this.#events.splice(0, Math.ceil(this.#events.length / 2));
    this.#from = Number(dropped.at(-1)?.position ?? this.#from);
    for (const event of dropped) this.#chars -= event.data.length;
  }

  /** A stream was removed: nothing of it stays in memory. The removal has a position of its own, at most `head`. */
  forget(stream: string, head: number): void {
    this.#events = this.#events.filter((event) => event.stream !== stream);
    this.#chars = this.#events.reduce((sum, event) => sum + event.data.length, 0);
    this.#head = Math.max(this.#head, head);
  }

  /** Events after a position, or undefined when some of them are no longer here. */
  read(after: number, prefixes: readonly string[] | undefined, limit: number): EventBatch | undefined {
    return after < this.#from ? undefined : sliceLog(this.#events, this.#head, after, prefixes, limit);
  }
}
