import type { EventStore } from '#event-store';
import { type RecordedEvent, Recent } from '#kernel';
import { inFlight } from './in-flight.ts';

const readsInFlight = 64;
const kept = 20_000;

/** The first events of streams, those asked for last in memory. */
export class Origins {
  readonly #store: EventStore;
  readonly #known = new Recent<RecordedEvent>(kept);

  constructor(store: EventStore) {
    this.#store = store;
  }

  /** Remembers an event that is the first of its stream. */
  meet(first: RecordedEvent): void {
    this.#known.set(first.stream, first);
  }

  /** Reads those not yet known, side by side. Rejects with the store's errors. */
  async fetch(streams: readonly string[]): Promise<void> {
    await inFlight(new Set(streams), readsInFlight, async (stream) => {
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
