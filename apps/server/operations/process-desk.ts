import { LeasesUnreachable } from '#coordination/leases';
import { type HeardReport, type ProcessBoard, type ProcessReport, reportStandsMs } from '#coordination/processes';
import { type Clock, sleep } from '#kernel';

const exchangeEveryMs = 3_000;
const askAgainMs = 1_000;
/** Whoever waits for this process to end does not wait long for the board. */
const leaveWithinMs = 1_000;

export interface ProcessDeskParts {
  readonly board: ProcessBoard;
  readonly clock: Clock;
  /** Of the reports: this process's own. */
  readonly id: string;
  readonly report: () => Promise<ProcessReport>;
}

/** Tells the other processes every few seconds what this one does, and knows what they last said. */
export interface ProcessDesk {
  start(): void;
  /** By process. Who has said nothing for 15 s is left out, also while the board can't be asked. */
  others(): readonly HeardReport[];
  /** Why there may be others of whom nothing is heard, in words; null when all are known. */
  unheard(): string | null;
  /** Says nothing more, and takes down what it said. */
  stop(): Promise<void>;
}

/** Begins when it is started. A board that can't be asked is asked again. */
export function createProcessDesk({ board, clock, id, report }: ProcessDeskParts): ProcessDesk {
  const stopping = new AbortController();
  const { signal } = stopping;
  let unheard: string | null = 'they have not been asked yet';
  let heard: readonly HeardReport[] = [];
  let heardMs = 0;

  async function exchange(): Promise<void> {
    const own = await report();
    // What was taken down is not put up again.
    if (signal.aborted) return;
    try {
      const reports = await board.exchange(own);
      heard = reports.filter((other) => other.id !== id).sort(byProcess);
      heardMs = clock.monotonicMs();
      unheard = null;
    } catch (error) {
      if (!(error instanceof LeasesUnreachable)) throw error;
      unheard = error.message;
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await exchange();
      await sleep(clock, unheard === null ? exchangeEveryMs : askAgainMs, signal).catch(() => undefined);
    }
  }

  async function leave(): Promise<void> {
    try {
      await board.leave(id);
    } catch (error) {
      // Then it is forgotten when its last report no longer stands.
      if (!(error instanceof LeasesUnreachable)) throw error;
    }
  }

  return {
    // It fails only by a fault of the program, which ends the process.
    start: () => void run(),
    others: () => {
      const sinceMs = clock.monotonicMs() - heardMs;
      return heard.map((other) => ({ ...other, ageMs: other.ageMs + sinceMs })).filter(({ ageMs }) => ageMs < reportStandsMs);
    },
    unheard: () => unheard,
    stop: async () => {
      stopping.abort(new Error('the process stops'));
      const left = new AbortController();
      await Promise.race([leave(), sleep(clock, leaveWithinMs, left.signal)]);
      left.abort();
    },
  };
}

const byProcess = (one: HeardReport, other: HeardReport): number => (`${one.process} ${one.id}` < `${other.process} ${other.id}` ? -1 : 1);
