import { type Dispatcher, partitions } from '#dispatching';
import { type EventStore, patiently } from '#event-store';
import { type Clock, sleep } from '#kernel';
import { type ReadModels, ReadModelsUnavailable } from '#read-models';
import type { Log } from '#telemetry';
import { feeding } from './fitness.ts';
import type { Pieces, Tenure, Work } from './roles.ts';

export interface DispatchWorkParts {
  readonly dispatcher: Pick<Dispatcher, 'take' | 'release' | 'lose' | 'stop' | 'onRead' | 'onCommitted'>;
  readonly store: Pick<EventStore, 'head'>;
  readonly readModels: Pick<ReadModels, 'reached' | 'onRead' | 'onCommitted'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onFatal: (error: Error) => void;
}

/** A request that is under way may end, and its outcome be recorded, for so long after the server was asked to stop. */
const graceMs = 15_000;
const takeAgainMs = 1_000;

/** Which partitions this process sends for. A partition is taken when the read models know everything that its last owner has recorded. */
export class DispatchWork {
  readonly #parts: DispatchWorkParts;
  /** Of the partitions that are this process's, and of those the ones that it sends for. */
  readonly #tenures = new Map<number, Tenure>();
  readonly #taken = new Set<number>();
  readonly #stopping = new AbortController();
  #gathered: (readonly [number, Tenure])[] = [];
  #forget: (() => void) | undefined;

  constructor(parts: DispatchWorkParts) {
    this.#parts = parts;
  }

  /** A piece for each partition. */
  readonly pieces: Pieces = new Map(partitions.map((partition) => [String(partition), this.#piece(partition)]));

  /** May a request of this partition begin? */
  held(partition: number): boolean {
    return this.#tenures.get(partition)?.held() === true;
  }

  /** The partitions that this process sends for, in order. */
  taken(): readonly number[] {
    return [...this.#taken].sort((a, b) => a - b);
  }

  /** Nothing begins from now on; what is under way may end, and its outcome be recorded, for 15 s. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the dispatcher was stopped'));
    await this.#parts.dispatcher.stop({ graceMs });
    this.#taken.clear();
    this.#forget?.();
  }

  #piece(partition: number): Work {
    return {
      begin: (tenure) => {
        this.#tenures.set(partition, tenure);
        this.#gather(partition, tenure);
        return async (how) => {
          this.#tenures.delete(partition);
          this.#taken.delete(partition);
          const { dispatcher } = this.#parts;
          await (how === 'lost' ? dispatcher.lose([partition]) : dispatcher.release([partition]));
        };
      },
      troubles: () => (this.#taken.has(partition) ? [] : ['the dispatcher waits until the read models know everything that was sent before']),
    };
  }

  /** Those that come in one moment are taken together. */
  #gather(partition: number, tenure: Tenure): void {
    this.#forget ??= this.#listen();
    if (this.#gathered.push([partition, tenure]) > 1) return;
    queueMicrotask(() => {
      const gathered = this.#gathered;
      this.#gathered = [];
      void this.#take(gathered).catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#parts.onFatal(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  #listen(): () => void {
    const { readModels, dispatcher } = this.#parts;
    const ends = [readModels.onRead((batch) => dispatcher.onRead(batch)), readModels.onCommitted((batch) => dispatcher.onCommitted(batch))];
    return () => ends.forEach((end) => end());
  }

  /** What the read models do not know as sent would be sent again. */
  async #take(gathered: readonly (readonly [number, Tenure])[]): Promise<void> {
    const { store, readModels, dispatcher, clock, log } = this.#parts;
    const { signal } = this.#stopping;
    const onTrouble = (error: Error): void => log.warn({ err: error }, 'the dispatcher waits for the event store');
    const head = await patiently(() => store.head(), { clock, signal, onTrouble });
    await Promise.all(feeding.map((name) => readModels.reached(name, head, signal)));
    const still = (): number[] => gathered.flatMap(([partition, tenure]) => (this.#tenures.get(partition) === tenure ? [partition] : []));
    while (!(await this.#known(dispatcher.take(still())))) await sleep(clock, takeAgainMs, signal);
    if (signal.aborted) return;
    for (const partition of still()) this.#taken.add(partition);
  }
  /** False when the read models could not say what is due: they say so themselves, and are asked again. */
  async #known(taking: Promise<void>): Promise<boolean> {
    try {
      await taking;
      return true;
    } catch (error) {
      if (error instanceof ReadModelsUnavailable) return false;
      throw error;
    }
  }
}
