import type { Position } from '#kernel';
import type { EventBatch, EventStore, StreamFilter } from './port.ts';

const batchEvents = 1000;

/** Wakes those who wait at the end of a log. */
export class Growth {
  #count = 0;
  readonly #waiting = new Set<() => void>();

  /** How often the log has grown: taken before a read, it makes sure that nothing between read and wait is missed. */
  get count(): number {
    return this.#count;
  }

  announce(): void {
    this.#count += 1;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when the log has grown since `count`, or the signal aborts. */
  async since(count: number, signal: AbortSignal): Promise<void> {
    if (this.#count !== count || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

/** `EventStore.subscribe` over a store that reads by position and announces its growth. */
export async function* follow(
  store: Pick<EventStore, 'readAll'>,
  growth: Growth,
  after: Position,
  filter: StreamFilter | undefined,
  signal: AbortSignal,
): AsyncGenerator<EventBatch> {
  let last: Pick<EventBatch, 'position' | 'caughtUp'> = { position: after, caughtUp: false };
  while (!signal.aborted) {
    const { count } = growth;
    const batch = await store.readAll(last.position, filter, batchEvents);
    if (signal.aborted) return;
    if (batch.position !== last.position || batch.caughtUp !== last.caughtUp) {
      last = batch;
      yield batch;
    }
    if (last.caughtUp) await growth.since(count, signal);
  }
}
