import { acceptedFilter, EventData, type EventFilter } from '#event-filter';
import { type Clock, sleep } from '#kernel';
import type { PublishedEvent } from '#publishing';
import type { SubscriptionVersion } from '#read-models';
import { Stopping } from './endure.ts';

/** Filters are asked for this long; then whatever else waits in this process has its turn. */
const turnMs = 10;

/** Asks the filters of subscription versions, each of which is read when an event first comes to it, and once. */
export class Filtering {
  readonly #clock: Clock;
  readonly #filters = new WeakMap<SubscriptionVersion, EventFilter>();
  #turnEndsMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a turn: what was done before does not count. */
  begin(): void {
    this.#turnEndsMs = this.#clock.monotonicMs() + turnMs;
  }

  /** Those that want the event: without a filter, or with one that says so. Rejects with `Stopping` when the signal aborts. */
  async wanting(matching: readonly SubscriptionVersion[], { dataText }: PublishedEvent, signal: AbortSignal): Promise<readonly SubscriptionVersion[]> {
    const data = new EventData(dataText);
    const wanting: SubscriptionVersion[] = [];
    for (const version of matching) {
      if (version.filter === null || this.#wants(version, version.filter, data)) wanting.push(version);
      if (this.#clock.monotonicMs() >= this.#turnEndsMs) await this.#pause(signal);
    }
    return wanting;
  }

  #wants(version: SubscriptionVersion, filter: string, data: EventData): boolean {
    let read = this.#filters.get(version);
    if (read === undefined) this.#filters.set(version, (read = acceptedFilter(filter)));
    const verdict = read.judge(data);
    return 'wants' in verdict && verdict.wants;
  }

  async #pause(signal: AbortSignal): Promise<void> {
    try {
      await sleep(this.#clock, 0, signal);
    } catch (error) {
      throw new Stopping('stopped between two filters', { cause: error });
    }
    this.begin();
  }
}
