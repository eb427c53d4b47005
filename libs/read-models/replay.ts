import type { EventStore } from '#event-store';
import { type Clock, comparePositions, type Position, startOfLog } from '#kernel';
import { removeModel } from './model-file.ts';
import { ModelThread } from './model-thread.ts';
import { followed } from './projections.ts';
import type { Projector } from './projector.ts';
import { cut, logFrom, readAhead } from './read-ahead.ts';
import { logKeepsFromMs } from './retention.ts';

export interface ReplayProgress {
  readonly kind: 'progress';
  /** Everything up to here is folded. */
  readonly position: Position;
  /** Where it is going. */
  readonly head: Position;
  /** How many events were folded: without those that no read model is made of. */
  readonly events: number;
}

export interface ReplayResult {
  readonly kind: 'result';
  readonly position: Position;
  readonly events: number;
  readonly digest: string;
  readonly livePosition: Position;
  /** Null, like `equal`: the live read models stand elsewhere, so there is nothing to compare. */
  readonly liveDigest: string | null;
  readonly equal: boolean | null;
}

export interface ReplayParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly projector: Projector;
  readonly livePath: string;
  /** The scratch file, which is there only while the replay runs; the next start removes what a crash left. */
  readonly path: string;
  readonly historyDays: number;
  /** The last position to fold; undefined: where the live read models stand. */
  readonly to: Position | undefined;
  readonly onEnd: () => void;
}

const progressEveryMs = 500;

/** Folds the log from its start into a scratch file in a thread of its own, and compares what comes out with the live file. */
export class Replay {
  readonly #parts: ReplayParts;
  readonly #thread = new ModelThread();
  #ended: Promise<void> | undefined;
  #position: Position = startOfLog;
  #events = 0;
  #toldMs: number;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
    this.#toldMs = parts.clock.monotonicMs();
  }

  /**
   * How far it is, about twice a second, and at last the result; nothing more once the signal aborts. To be asked for once,
   * and to be followed by `end`, whatever comes of it. Throws `StoreUnavailable` and `ReadModelsUnavailable`.
   */
  async *steps(signal: AbortSignal): AsyncGenerator<ReplayProgress | ReplayResult> {
    // A digest of many rows takes long, and nobody waits for it any more.
    const give = (): void => void this.end();
    signal.addEventListener('abort', give, { once: true });
    try {
      signal.throwIfAborted();
      yield* this.#all();
    } catch (error) {
      if (!signal.aborted && this.#ended === undefined) throw error;
    } finally {
      signal.removeEventListener('abort', give);
    }
  }

  /** Ends it, wherever it is, and leaves nothing behind. */
  end(): Promise<void> {
    return (this.#ended ??= this.#end());
  }

  async #end(): Promise<void> {
    await this.#thread.end();
    removeModel(this.#parts.path);
    this.#parts.onEnd();
  }

  async *#all(): AsyncGenerator<ReplayProgress | ReplayResult> {
    const { projector, path, livePath, historyDays, to, store } = this.#parts;
    removeModel(path);
    await this.#thread.ask('open', { path, historyDays });
    yield* this.#foldTo(to ?? projector.position);
    const livePosition = await projector.standingStill(async (position) => {
      await this.#thread.ask('snapshot', { livePath });
      return position;
    });
    if (to === undefined) yield* this.#foldTo(livePosition);
    const isThere = await nothingBetween(store, this.#position, livePosition);
    const { own, live } = await this.#thread.ask('compare', { transcriptsFromMs: this.#transcriptsFromMs(), withSnapshot: isThere });
    // Who has the result may ask for the next replay at once.
    await this.end();
    yield { kind: 'result', position: this.#position, events: this.#events, digest: own.sha256, livePosition, liveDigest: live?.sha256 ?? null, equal: live === null ? null : live.sha256 === own.sha256 };
  }

  async *#foldTo(goal: Position): AsyncGenerator<ReplayProgress> {
    const { store, clock } = this.#parts;
    for await (const batch of readAhead(logFrom(store, this.#position, goal))) {
      await this.#thread.fold(batch.events, batch.position);
      this.#position = batch.position;
      this.#events += batch.events.length;
      if (clock.monotonicMs() - this.#toldMs < progressEveryMs) continue;
      this.#toldMs = clock.monotonicMs();
      yield { kind: 'progress', position: this.#position, head: goal, events: this.#events };
    }
  }

  #transcriptsFromMs(): number {
    const { clock, projector, historyDays } = this.#parts;
    return logKeepsFromMs(clock.now(), projector.standings.map(({ day }) => day), historyDays);
  }
}

/** Whether both positions see the same of what read models are made of. */
async function nothingBetween(store: EventStore, one: Position, other: Position): Promise<boolean> {
  const [from, through] = comparePositions(one, other) <= 0 ? [one, other] : [other, one];
  for (let at = from; comparePositions(at, through) < 0; ) {
    const batch = cut(await store.readAll(at, followed, 1), through);
    if (batch.events.length > 0) return false;
    at = batch.position;
  }
  return true;
}
