import { Gate, prefixOf } from '#kernel';
import { recoveryEvent } from '#recoveries';
import { Endurance, Stopping } from './endure.ts';
import { Entries } from './entries.ts';
import { Follower, type Stretch, type Work, type WorkContext } from './follower.ts';
import type { Recoveries, RecoveriesParts } from './port.ts';
import { RecoveryJob } from './recovery-job.ts';

/** Jobs that read and send at the same moment; the others wait for their turn, which is over after a fraction of a second. */
const jobsAtATime = 8;

/**
 * Runs every recovery that is not over, each at its own rate, beside each other. Which ones are open it knows from the log,
 * with a checkpoint like a saga's; how far each is, from the recovery's own stream. A job that can't go on is parked, with an
 * alarm, until the next start.
 */
export function createRecoveries(parts: RecoveriesParts): Recoveries {
  const work = new RecoveryWork(parts);
  const onAlarm: RecoveriesParts['onAlarm'] = (alarm) => {
    // Another process owns them by now, or nobody would notice any more that one was cancelled.
    if (alarm.alarm === 'second-owner' || alarm.alarm === 'stopped') work.halt();
    parts.onAlarm(alarm);
  };
  const follower = new Follower({ ...parts, onAlarm }, work);
  return {
    start: () => follower.start(),
    stop: async () => {
      await follower.stop();
      await work.ended();
    },
    status: () => follower.status(),
  };
}

interface Running {
  readonly over: AbortController;
  readonly done: Promise<void>;
}

class RecoveryWork implements Work {
  readonly name = 'recoveries';
  readonly prefixes = [prefixOf('recovery')];
  /** The jobs that are not over, by their stream. */
  readonly entries = new Entries();
  readonly #parts: RecoveriesParts;
  readonly #running = new Map<string, Running>();
  readonly #halt = new AbortController();
  readonly #turns = new Gate(jobsAtATime);

  constructor(parts: RecoveriesParts) {
    this.#parts = parts;
  }

  nextDueMs(): number {
    return Infinity;
  }

  fire(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Goes on with every job that was not over, also with those that were parked: the code may have been mended since. */
  begin(context: WorkContext): Promise<number> {
    const streams = [...this.entries.all()].map(([stream]) => stream);
    for (const stream of streams) this.#open(stream, context);
    return Promise.resolve(streams.length);
  }

  react({ events }: Stretch, context: WorkContext): Promise<number> {
    let changes = 0;
    for (const event of events) {
      const fact = recoveryEvent(event);
      if (fact === undefined || fact.type === 'WebhookRecoveryProgressed') continue;
      if (fact.type === 'WebhookRecoveryStarted') this.#open(event.stream, context);
      else this.#close(event.stream);
      changes += 1;
    }
    return Promise.resolve(changes);
  }

  #open(stream: string, context: WorkContext): void {
    this.entries.set(stream, { state: {}, parked: null });
    if (this.#running.has(stream)) return;
    const over = new AbortController();
    const until = AbortSignal.any([context.signal, this.#halt.signal, over.signal]);
    const endurance = new Endurance(this.#parts.clock, until, (error) => context.alarm('store-trouble', stream, error.message));
    const done = new RecoveryJob(this.#parts, stream, { signal: until, endurance, turns: this.#turns })
      .run()
      .catch((error: unknown) => {
        if (!(error instanceof Stopping)) this.#park(stream, error, context);
      })
      .finally(() => this.#running.delete(stream));
    this.#running.set(stream, { over, done });
  }

  #close(stream: string): void {
    this.entries.set(stream, { state: null, parked: null });
    this.#running.get(stream)?.over.abort();
  }

  #park(stream: string, cause: unknown, context: WorkContext): void {
    const error = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    this.entries.set(stream, { state: {}, parked: { error, sinceMs: this.#parts.clock.now(), inputs: [{ stream, revision: 0, routed: true }], dropped: 0 } });
    context.alarm('instance-parked', stream, error);
  }

  /** Ends all jobs in this process. */
  halt(): void {
    this.#halt.abort();
  }

  async ended(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }
}
