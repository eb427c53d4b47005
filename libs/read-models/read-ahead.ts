import type { EventBatch, EventStore } from '#event-store';
import { comparePositions, type Position, type RecordedEvent, startOfLog } from '#kernel';
import { followed } from './projections.ts';

/** How much is gathered at most: what one transaction folds, and what stands in memory beside it. */
const mostEvents = 4_000;
const mostChars = 4 * 1024 * 1024;

const batchEvents = 1_000;

/** What projections fold after a position, once, up to another one or the head of now. Throws `StoreUnavailable`. */
export async function* logFrom(store: Pick<EventStore, 'readAll'>, after: Position, upTo: Position | undefined): AsyncGenerator<EventBatch> {
  for (let from = after; upTo === undefined || comparePositions(from, upTo) < 0; ) {
    const batch = cut(await store.readAll(from, followed, batchEvents), upTo);
    yield batch;
    if (batch.caughtUp && upTo === undefined) return;
    from = batch.position;
  }
}

/** What of a batch stands up to a position. */
export function cut(batch: EventBatch, upTo: Position | undefined): EventBatch {
  if (upTo === undefined || comparePositions(batch.position, upTo) <= 0) return batch;
  return { events: batch.events.filter((event) => comparePositions(event.position, upTo) <= 0), position: upTo, caughtUp: batch.caughtUp };
}

/**
 * Reads on while what was read is folded, and gives all that has come by then as one batch: the further behind, the
 * larger the transactions. Ends and throws as the source does; who leaves it early has to end a source that waits.
 */
export async function* readAhead(source: AsyncIterable<EventBatch>): AsyncGenerator<EventBatch> {
  const gathered = new Gathered();
  const reading = gather(source, gathered);
  // Awaited only by who stays to the end.
  reading.catch(() => undefined);
  try {
    for (let batch = await gathered.take(); batch !== undefined; batch = await gathered.take()) yield batch;
    await reading;
  } finally {
    gathered.end();
  }
}

async function gather(source: AsyncIterable<EventBatch>, gathered: Gathered): Promise<void> {
  try {
    for await (const batch of source) if (!(await gathered.add(batch))) return;
  } finally {
    gathered.end();
  }
}

/** Between one who adds and one who takes. */
class Gathered {
  #events: readonly RecordedEvent[] = [];
  #last: EventBatch | undefined;
  #chars = 0;
  #ended = false;
  #wake: () => void = () => undefined;
  #change = Promise.resolve();

  constructor() {
    this.#changed();
  }

  /** Answers when there is room for more; false: nothing is taken any more. */
  async add(batch: EventBatch): Promise<boolean> {
    const seen = this.#last?.position ?? startOfLog;
    // A source may give twice what it gave before.
    if (comparePositions(batch.position, seen) >= 0) {
      const events = batch.events.filter(({ position }) => comparePositions(position, seen) > 0);
      this.#events = this.#events.length === 0 ? events : [...this.#events, ...events];
      for (const { data } of events) this.#chars += data.length;
      this.#last = batch;
      this.#changed();
    }
    while (!this.#ended && this.#isFull()) await this.#change;
    return !this.#ended;
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  /** Everything there is as soon as there is something; undefined when nothing comes any more. */
  async take(): Promise<EventBatch | undefined> {
    while (this.#last === undefined && !this.#ended) await this.#change;
    if (this.#last === undefined) return undefined;
    const batch = { ...this.#last, events: this.#events };
    this.#events = [];
    this.#last = undefined;
    this.#chars = 0;
    this.#changed();
    return batch;
  }

  #isFull(): boolean {
    return this.#events.length >= mostEvents || this.#chars >= mostChars;
  }

  #changed(): void {
    const wake = this.#wake;
    this.#change = new Promise((resolve) => (this.#wake = resolve));
    wake();
  }
}
