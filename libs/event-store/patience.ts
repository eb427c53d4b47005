import { type Clock, sleep } from '#kernel';
import { OutcomeUnknown, StoreUnavailable } from './port.ts';

const firstPauseMs = 100;
const longestPauseMs = 2_000;

export interface Patience {
  readonly clock: Clock;
  /** Ends the waiting: then the promise rejects with its reason. */
  readonly signal: AbortSignal;
  readonly onTrouble: (error: Error) => void;
}

/** Does it again while the store is unavailable or does not say what came of it: `work` must be safe to repeat. Other errors pass through. */
export async function patiently<T>(work: () => Promise<T>, { clock, signal, onTrouble }: Patience): Promise<T> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable || error instanceof OutcomeUnknown)) throw error;
      onTrouble(error);
    }
    await sleep(clock, pauseMs, signal);
  }
}
