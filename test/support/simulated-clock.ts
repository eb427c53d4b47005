import type { Clock } from '#kernel';

/** A clock that stands still until it is moved. Timers fire in order while it is moved past them. */
export interface SimulatedClock extends Clock {
  /** Lets time pass: timers that come due fire, each at its own time, and what they start may run between them. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock alone, forward or back, as an operator does. */
  setNow(instantMs: number): void;
}

interface Timer {
  readonly atMs: number;
  readonly wake: () => void;
}

export const simulatedStart = Date.UTC(2026, 10, 21, 12);

export function simulatedClock(startMs: number = simulatedStart): SimulatedClock {
  let wallMs = startMs;
  let monotonicMs = 0;
  const timers = new Set<Timer>();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  function moveTo(targetMs: number): void {
    wallMs += targetMs - monotonicMs;
    monotonicMs = targetMs;
  }

  function nextUntil(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) if (timer.atMs <= endMs && timer.atMs < (next?.atMs ?? Infinity)) next = timer;
    return next;
  }

  return {
    now: () => wallMs,
    monotonicMs: () => monotonicMs,
    after: (delayMs, wake) => {
      const timer = { atMs: monotonicMs + Math.max(0, delayMs), wake };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const endMs = monotonicMs + ms;
      await turn();
      for (let timer = nextUntil(endMs); timer !== undefined; timer = nextUntil(endMs)) {
        timers.delete(timer);
        moveTo(timer.atMs);
        timer.wake();
        await turn();
      }
      moveTo(endMs);
      await turn();
    },
    setNow: (instantMs) => {
      wallMs = instantMs;
    },
  };
}
