import type { Clock } from '#kernel';

interface Timer {
  readonly atMs: number;
  readonly wake: () => void;
  real: NodeJS.Timeout | undefined;
}

/** Real time that can be moved on: everything that waits for what is then in the past, wakes at once. */
export interface ShiftedClock extends Clock {
  moveOn(byMs: number): void;
}

export function shiftedClock(): ShiftedClock {
  const timers = new Set<Timer>();
  let shiftMs = 0;
  const monotonicMs = (): number => performance.now() + shiftMs;

  function arm(timer: Timer): void {
    clearTimeout(timer.real);
    timer.real = setTimeout(() => fire(timer), Math.min(Math.max(0, timer.atMs - monotonicMs()), 2 ** 31 - 1));
  }
  function drop(timer: Timer): void {
    clearTimeout(timer.real);
    timers.delete(timer);
  }
  function fire(timer: Timer): void {
    drop(timer);
    timer.wake();
  }

  return {
    now: () => Date.now() + Math.round(shiftMs),
    monotonicMs,
    after: (delayMs, wake) => {
      const timer: Timer = { atMs: monotonicMs() + delayMs, wake, real: undefined };
      timers.add(timer);
      arm(timer);
      return () => drop(timer);
    },
    moveOn: (byMs) => {
      shiftMs += byMs;
      for (const timer of [...timers].sort((a, b) => a.atMs - b.atMs)) {
        if (!timers.has(timer)) continue;
        if (timer.atMs <= monotonicMs()) fire(timer);
        else arm(timer);
      }
    },
  };
}
