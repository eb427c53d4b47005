import { wireBody } from '#deliveries';
import type { EventStore } from '#event-store';
import { Recent, type RecordedEvent } from '#kernel';
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

/** The event until the first request needs its body (most events match nobody), and then the body alone. */
interface Cached {
  readonly weight: number;
  is: RecordedEvent | EventBody;
}

/** What an entry costs beside its text. */
const overheadBytes = 1_024;

/** The bodies used last, by the event's stream, within a budget of bytes; what is not there is read from the log. */
export class Bodies {
  readonly #store: Pick<EventStore, 'readStream'>;
  readonly #known: Recent<Cached>;
  readonly #loading = new Map<string, Promise<EventBody>>();

  constructor(store: Pick<EventStore, 'readStream'>, maxBytes: number) {
    this.#store = store;
    this.#known = new Recent(maxBytes, ({ weight }) => weight);
  }

  /** A published event that was just seen: probably needed soon. */
  remember(event: RecordedEvent): void {
    if (!this.#known.has(event.stream)) this.#known.set(event.stream, { weight: weightOf(event), is: event });
  }

  get(stream: string): EventBody | undefined {
    const cached = this.#known.get(stream);
    if (cached === undefined) return undefined;
    return 'body' in cached.is ? cached.is : (cached.is = make(cached.is));
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
    this.#known.set(stream, { weight: weightOf(event), is: made });
    return made;
  }
}

/** Of its text, or of the body made of it, which is little longer. */
const weightOf = ({ data }: RecordedEvent): number => data.length + overheadBytes;

function make(event: RecordedEvent): EventBody {
  try {
    const body = inMemoryOfItsOwn(wireBody(readPublishedEvent(event)));
    return { body, causationId: event.id, correlationId: event.metadata['correlationid'] ?? event.id };
  } catch (error) {
    throw new EventUnreadable(`${event.stream} can't be read as a published event`, { cause: error });
  }
}

/** `Buffer.from` would cut it from a slab of 64 KiB, which a body that is kept holds whole. */
function inMemoryOfItsOwn(text: string): Uint8Array {
  const { buffer } = new TextEncoder().encode(text);
  return Buffer.from(buffer);
}
