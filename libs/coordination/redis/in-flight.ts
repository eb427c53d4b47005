import type { Clock } from '#kernel';
import { type AttemptLease, type InFlightLeases, inFlightLeaseMs, LeasesUnreachable } from '../leases/port.ts';
import type { RedisLink } from './link.ts';
import { script } from './script.ts';

/** How long a command waits for Redis, before its work and after it. */
const patienceMs = 40;

/** One key per command under way in any process. Redis that is away, slow or emptied costs no more than the 409 that it would have given. */
export function redisInFlightLeases(link: RedisLink, clock: Clock, prefix: string): InFlightLeases {
  const lua = script('in-flight-release');
  const patience = new Patience(clock);
  return {
    async once(commandId, { attemptId, fingerprint }, work) {
      if (patience.isExhausted()) return await work();
      const key = `${prefix}:in-flight:${commandId}`;
      const lease = JSON.stringify({ attemptId, fingerprint } satisfies AttemptLease);
      const asked = unlessUnreachable(link.ask((client) => client.set(key, lease, 'PX', inFlightLeaseMs, 'NX')));
      if ((await patience.within(asked)) === null) return 'busy';
      try {
        return await work();
      } finally {
        // Also when nothing was known in time: the lease may have been taken after all.
        await patience.within(asked.then(() => unlessUnreachable(link.ask((client) => client.eval(lua, 1, key, lease)))));
      }
    },
  };
}

const unlessUnreachable = async <T>(answer: Promise<T>): Promise<T | 'unknown'> => {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof LeasesUnreachable) return 'unknown';
    throw error;
  }
};

/**
 * Waits for answers, but not long, and for no other while one is overdue: a server that hangs costs a command or two their patience,
 * not all of them, and what waits for it does not pile up.
 */
class Patience {
  readonly #clock: Clock;
  #overdue = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isExhausted(): boolean {
    return this.#overdue > 0;
  }

  async within<T>(answer: Promise<T>): Promise<T | 'unknown'> {
    if (this.isExhausted()) return 'unknown';
    let cancel = (): void => undefined;
    const late = new Promise<'late'>((resolve) => {
      cancel = this.#clock.after(patienceMs, () => resolve('late'));
    });
    const first = await Promise.race([answer, late]);
    cancel();
    if (first !== 'late') return first;
    this.#overdue += 1;
    void answer.finally(() => {
      this.#overdue -= 1;
    });
    return 'unknown';
  }
}
