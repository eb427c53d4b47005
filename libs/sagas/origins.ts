import type { EventStore } from '#event-store';
import type { RecordedEvent } from '#kernel';
import { inFlight } from './in-flight.ts';

const readsInFlight = 64;

/** The first events of streams. Most are met in the log shortly before they are asked for, so few are read. */
export class Origins {
  readonly #store: EventStore;
  readonly #capacity: number;
  readonly #known = new Map<string, RecordedEvent>();

  constructor(store: EventStore, capacity = 50_000) {
    this.#store = store;
    this.#capacity = capacity;
  }

  /** Remembers the event if it is the first of its stream. */
  meet(event: RecordedEvent): void {
    if (event.revision !== 0) return;
    this.#known.set(event.stream, event);
    if (this.#known.size <= this.#capacity) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
  }

  /** Reads those not yet known, side by side. Rejects with the store's errors. */
  async fetch(streams: readonly string[]): Promise<void> {
    await inFlight(new Set(streams.filter((stream) => !this.#known.has(stream))), readsInFlight, async (stream) => {
      await this.of(stream);
    });
  }

  /** The first event of the stream; null when there is none (any more). Rejects with the store's errors. */
  async of(stream: string): Promise<RecordedEvent | null> {
    const known = this.#known.get(stream);
    if (known !== undefined) return known;
    const [first] = await this.#store.readStream(stream, 0, 1);
    if (first !== undefined) this.meet(first);
    return first ?? null;
  }
}
