import { type EventStore, patiently } from '#event-store';
import type { Clock, Position } from '#kernel';
import { type ReadModels, ReadModelsUnavailable } from '#read-models';
import type { Log } from '#telemetry';

/** The read models that say to whom is to be sent, and what. */
export const feeding: readonly string[] = ['deliveries', 'subscriptions'];

/** How often whoever waits for them looks whether one has stopped. */
const lookMs = 1_000;

const stoppedOf = (readModels: Pick<ReadModels, 'status'>): string | undefined => readModels.status().find(({ name, poison }) => poison !== null && feeding.includes(name))?.name;

/** Resolves when they know everything up to a position. Throws `ReadModelsUnavailable` when one of them has stopped before it. */
export async function feedReached(readModels: Pick<ReadModels, 'waitFor' | 'status'>, position: Position): Promise<void> {
  while ((await readModels.waitFor(position, lookMs, feeding)) === 'behind') {
    const stopped = stoppedOf(readModels);
    if (stopped !== undefined) throw new ReadModelsUnavailable(`the read model ${stopped} has stopped`);
  }
}

export interface FitnessParts {
  readonly store: Pick<EventStore, 'head'>;
  readonly readModels: Pick<ReadModels, 'reached' | 'status'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onFatal: (error: Error) => void;
}

/** Whether the read models of this process know what work needs that another process could do in its place. */
export interface Fitness {
  /** Looks how far the log goes now. */
  start(): void;
  /** Why the work is better left to others, in words; null: it need not be. */
  unfit(): string | null;
  stop(): void;
}

/** Unfit until the read models have reached what the log was at the start, which may take hours; and whenever one of them has stopped. */
export function createFitness({ store, readModels, clock, log, onFatal }: FitnessParts): Fitness {
  const stopping = new AbortController();
  const { signal } = stopping;
  let hasReached = false;

  async function reach(): Promise<void> {
    const onTrouble = (error: Error): void => log.warn({ err: error }, 'the event store has not yet said how far the log goes');
    const head = await patiently(() => store.head(), { clock, signal, onTrouble });
    await Promise.all(feeding.map((name) => readModels.reached(name, head, signal)));
    hasReached = true;
  }

  return {
    start: () =>
      void reach().catch((error: unknown) => {
        if (!signal.aborted) onFatal(error instanceof Error ? error : new Error(String(error)));
      }),
    unfit: () => {
      const stopped = stoppedOf(readModels);
      if (stopped !== undefined) return `the read model ${stopped} has stopped`;
      return hasReached ? null : 'the read models do not know yet what the log was at the start';
    },
    stop: () => stopping.abort(new Error('the server stops')),
  };
}
