import { wireBody } from '#deliveries';
import type { EventStore } from '#event-store';
import type { RecordedEvent } from '#kernel';
import { readPublishedEvent } from '#publishing';

/** A published event that is not there, or is not what was written. */
export class EventUnreadable extends Error {
  override readonly name = 'EventUnreadable';
}

/** What every request for one published event shares. */
export interface EventBody {
  readonly body: Uint8Array;
  /** Id of the published event in the log: the cause of its deliveries. */
  readonly causationId: string;
  readonly correlationId: string;
}

interface Cached {
  readonly event: RecordedEvent;
  /** Made when the first request needs it: most events match nobody. */
  made: EventBody | undefined;
}

/** What an entry costs beside its text. */
const overheadBytes = 1_024;

/**
 * The bodies used last, by the event's stream, within a budget of bytes; what is not there is read from the log. Two
 * generations of half the budget each: what is used moves to the young one, and when that is full the old one is dropped
 * whole (a Map that is emptied entry by entry from its start gets slow).
 */
export class Bodies {
  readonly #store: Pick<EventStore, 'readStream'>;
  readonly #generationBytes: number;
  #young = new Map<string, Cached>();
  #old = new Map<string, Cached>();
  #youngBytes = 0;
  readonly #loading = new Map<string, Promise<EventBody>>();

  constructor(store: Pick<EventStore, 'readStream'>, maxBytes: number) {
    this.#store = store;
    this.#generationBytes = maxBytes / 2;
  }

  /** A published event that was just seen: probably needed soon. */
  remember(event: RecordedEvent): void {
    if (!this.#young.has(event.stream)) this.#put(event.stream, { event, made: undefined });
  }

  get(stream: string): EventBody | undefined {
    const young = this.#young.get(stream);
    const cached = young ?? this.#old.get(stream);
    if (cached === undefined) return undefined;
    cached.made ??= make(cached.event);
    if (young === undefined) this.#put(stream, cached);
    return cached.made;
  }

  /** Reads the event; everybody who waits for the same one shares the read. Rejects with `EventUnreadable` or the store's errors. */
  load(stream: string): Promise<EventBody> {
    const known = this.#loading.get(stream);
    if (known !== undefined) return known;
    const loading = this.#read(stream).finally(() => this.#loading.delete(stream));
    this.#loading.set(stream, loading);
    return loading;
  }

  async #read(stream: string): Promise<EventBody> {
    const [event] = await this.#store.readStream(stream, 0, 1);
    if (event === undefined) throw new EventUnreadable(`${stream} has no event`);
    const made = make(event);
    this.#put(stream, { event, made });
    return made;
  }

  #put(stream: string, cached: Cached): void {
    // Room for the event's text and for the body made of it.
    const bytes = 2 * cached.event.data.length + overheadBytes;
    if (this.#youngBytes + bytes > this.#generationBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(stream, cached);
    this.#youngBytes += bytes;
  }
}

function make(event: RecordedEvent): EventBody {
  try {
    const body = Buffer.from(wireBody(readPublishedEvent(event)));
    return { body, causationId: event.id, correlationId: event.metadata['correlationid'] ?? event.id };
  } catch (error) {
    throw new EventUnreadable(`${event.stream} can't be read as a published event`, { cause: error });
  }
}
