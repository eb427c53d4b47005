import type { EventBatch, EventStore, StreamFilter } from '#event-store';
import type { Position, RecordedEvent } from '#kernel';

/** What a stream may hold of the log while its client takes none of it: so many events, and so many characters of their data (or one event). */
const mostEvents = 100;
const mostChars = 256 * 1024;

/**
 * Reads the log for one stream, page after page: each as much as may wait for a client. What a read brings beyond that is
 * read again when its turn comes. (A page of the log itself has 2 MiB: 250 clients that took nothing of large events held 2 GB.)
 */
export class ReadAhead {
  readonly #log: Pick<EventStore, 'readAll'>;
  readonly #filter: StreamFilter;
  #limit = mostEvents;

  constructor(log: Pick<EventStore, 'readAll'>, filter: StreamFilter) {
    this.#log = log;
    this.#filter = filter;
  }

  /** As `EventStore.readAll`. Throws what it throws. */
  async after(position: Position): Promise<EventBatch> {
    const batch = await this.#log.readAll(position, this.#filter, this.#limit);
    const held = firstOf(batch.events);
    const last = held.at(-1);
    if (last === undefined || held.length === batch.events.length) {
      this.#limit = Math.min(mostEvents, 2 * this.#limit);
      return batch;
    }
    // Those that follow are likely to be as large.
    this.#limit = held.length;
    return { events: held, position: last.position, caughtUp: false };
  }
}

function firstOf(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
  let room = mostChars;
  const tooMuch = events.findIndex(({ data }, index) => {
    room -= data.length;
    return room < 0 && index > 0;
  });
  return tooMuch < 0 ? events : events.slice(0, tooMuch);
}
