import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import { type Clock, sleep } from '#kernel';
import { ReadModelsUnavailable } from '#read-models';

/** Something that is expected to work later; it is tried again. */
export class TryAgain extends Error {
  override readonly name = 'TryAgain';
}

/** Work was given up because the follower is being stopped. */
export class Stopping extends Error {
  override readonly name = 'Stopping';
}

const passing = [StoreUnavailable, OutcomeUnknown, ReadModelsUnavailable, TryAgain];

export const isTrouble = (error: unknown): error is Error => passing.some((kind) => error instanceof kind);

const firstPauseMs = 50;
const longestPauseMs = 5_000;
const tellAgainMs = 30_000;

/** Keeps at something while the store or the read models are in trouble, with growing pauses. */
export class Endurance {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #onTrouble: (error: Error) => void;
  #toldMs = -Infinity;

  /** `onTrouble` is told at most every 30 s, not at every try. */
  constructor(clock: Clock, signal: AbortSignal, onTrouble: (error: Error) => void) {
    this.#clock = clock;
    this.#signal = signal;
    this.#onTrouble = onTrouble;
  }

  /** Repeats the action until it does not end in trouble. Throws `Stopping` instead of waiting when the signal has aborted; other errors as they are. */
  async durably<T>(action: () => Promise<T>): Promise<T> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const startedMs = this.#clock.monotonicMs();
      try {
        return await action();
      } catch (error) {
        if (!isTrouble(error)) throw error;
        this.#tell(error);
        // What has worked for a while is in new trouble.
        if (this.#clock.monotonicMs() - startedMs > longestPauseMs) pauseMs = firstPauseMs;
        await this.#pause(pauseMs);
      }
    }
  }

  #tell(error: Error): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#toldMs < tellAgainMs) return;
    this.#toldMs = nowMs;
    this.#onTrouble(error);
  }

  async #pause(pauseMs: number): Promise<void> {
    try {
      await sleep(this.#clock, pauseMs, this.#signal);
    } catch (error) {
      throw new Stopping('stopped while the store was in trouble', { cause: error });
    }
  }
}
