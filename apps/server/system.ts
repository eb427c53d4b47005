import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock, Ids } from '#kernel';

/** The machine's clocks. Timers do not keep the process alive: servers and threads do. */
export const systemClock: Clock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  after: (delayMs, wake) => {
    // A longer delay would fire at once; whoever waits that long looks again.
    const timer = setTimeout(wake, Math.min(delayMs, 2 ** 31 - 1));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Randomness of the operating system. */
export const systemIds: Ids = { uuid: randomUUID, randomBytes: (length) => new Uint8Array(randomBytes(length)) };
