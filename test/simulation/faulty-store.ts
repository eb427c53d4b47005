import { type AppendResult, type EventStore, type ExpectedRevision, OutcomeUnknown, StoreUnavailable } from '#event-store';
import type { NewEvent } from '#kernel';
import type { Random } from './random.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';

/** What the network and the store may do to a process. */
export class Faults {
  /** Probability of each fault per append. */
  probability = 0;
  readonly #late: (() => Promise<void>)[] = [];

  delay(append: () => Promise<void>): void {
    this.#late.push(append);
  }

  /** An append that nobody waits for any more arrives after all. */
  async arriveLate(random: Random): Promise<void> {
    if (this.#late.length > 0) await this.#late.splice(random.below(this.#late.length), 1)[0]?.();
  }

  get hasLate(): boolean {
    return this.#late.length > 0;
  }
}

/** The store as one process sees it: every call is a step before and after, an append may lose its reply, arrive late or not be sent. */
export function faultyStore(inner: EventStore, process: SimulatedProcess, scheduler: Scheduler, faults: Faults, random: Random): EventStore {
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    await scheduler.step(process);
    const answer = await work();
    await scheduler.step(process);
    return answer;
  };

  async function append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    await scheduler.step(process);
    if (random.chance(faults.probability)) return await misbehave(stream, expected, events);
    const result = await inner.append(stream, expected, events);
    await scheduler.step(process);
    return result;
  }

  async function misbehave(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    const fault = random.pick(['lost reply', 'late', 'not sent', 'never arrives'] as const);
    if (fault === 'not sent') throw new StoreUnavailable('simulated: refused the connection');
    if (fault === 'late') faults.delay(() => inner.append(stream, expected, events).then(done, done));
    // A conflict whose answer is lost is as unknown as a success whose answer is lost.
    if (fault === 'lost reply') await inner.append(stream, expected, events).then(done, done);
    await scheduler.step(process);
    throw new OutcomeUnknown(`simulated: ${fault}`);
  }

  return {
    append,
    readStream: (stream, from, limit) => around(() => inner.readStream(stream, from, limit)),
    readAll: (after, filter, limit) => around(() => inner.readAll(after, filter, limit)),
    subscribe: (after, filter, signal) => inner.subscribe(after, filter, signal),
    tombstone: (stream) => around(() => inner.tombstone(stream)),
    head: () => around(() => inner.head()),
    close: () => inner.close(),
  };
}

const done = (): void => undefined;
