import type { Clock } from '#kernel';

/** The machine's clock for what really passes, and a wall clock that a test may set. */
export const testClock = (): Clock & { wallMs: number } => ({
  wallMs: Date.UTC(2026, 0, 1),
  now() {
    return this.wallMs;
  },
  monotonicMs: () => performance.now(),
  after: (ms, wake) => {
    const timer = setTimeout(wake, ms);
    return () => clearTimeout(timer);
  },
});
