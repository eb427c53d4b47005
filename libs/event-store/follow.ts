import type { Position } from '#kernel';
import { categoryOf } from './filter.ts';
import type { EventBatch, EventStore, StreamFilter } from './port.ts';

const batchEvents = 1000;
/** How much later those who want nothing of what was appended learn that the log has grown: once, of all that came until then. */
const laterMs = 50;

interface Waiting {
  /** How often the log had grown when the waiting began. */
  readonly since: number;
  /** What is waited for; anything, where it is not said. */
  readonly categories: ReadonlySet<string> | undefined;
  readonly wake: () => void;
}

/** Wakes those who wait at the end of a log. */
export class Growth {
  #count = 0;
  readonly #waiting = new Set<Waiting>();
  #later: NodeJS.Timeout | undefined;

  /** How often the log has grown: taken before a read, it makes sure that nothing between read and wait is missed. */
  get count(): number {
    return this.#count;
  }

  /** `categories`: of everything that was appended, where that is known. */
  announce(categories?: ReadonlySet<string>): void {
    this.#count += 1;
    for (const waiting of [...this.#waiting]) if (isConcerned(waiting, categories)) waiting.wake();
    if (this.#waiting.size > 0) this.#later ??= setTimeout(() => this.#announceLater(), laterMs).unref();
  }

  #announceLater(): void {
    this.#later = undefined;
    for (const { since, wake } of [...this.#waiting]) if (since !== this.#count) wake();
  }

  /** Resolves when the log has grown since `count`, or the signal aborts; somewhat later where nothing of these categories was appended. */
  async since(count: number, signal: AbortSignal, categories?: ReadonlySet<string>): Promise<void> {
    if (this.#count !== count || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const waiting = {
        since: count,
        categories,
        wake: (): void => {
          this.#waiting.delete(waiting);
          signal.removeEventListener('abort', waiting.wake);
          resolve();
        },
      };
      this.#waiting.add(waiting);
      signal.addEventListener('abort', waiting.wake);
    });
  }
}

function isConcerned({ categories: wanted }: Waiting, appended: ReadonlySet<string> | undefined): boolean {
  if (wanted === undefined || appended === undefined) return true;
  for (const category of appended) if (wanted.has(category)) return true;
  return false;
}

/** `EventStore.subscribe` over a store that reads by position and announces its growth. */
export async function* follow(
  store: Pick<EventStore, 'readAll'>,
  growth: Growth,
  after: Position,
  filter: StreamFilter | undefined,
  signal: AbortSignal,
): AsyncGenerator<EventBatch> {
  const categories = filter && new Set(filter.prefixes.map(categoryOf));
  let last: Pick<EventBatch, 'position' | 'caughtUp'> = { position: after, caughtUp: false };
  while (!signal.aborted) {
    const { count } = growth;
    const batch = await store.readAll(last.position, filter, batchEvents);
    if (signal.aborted) return;
    if (batch.position !== last.position || batch.caughtUp !== last.caughtUp) {
      last = batch;
      yield batch;
    }
    if (last.caughtUp) await growth.since(count, signal, categories);
  }
}
