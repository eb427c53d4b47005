import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../simulation/random.ts';
import { type Acknowledged, GovernedCommands, type Keys } from './governed.ts';
import { eventPattern, site, steady, toggled } from './installation.ts';
import { isPassing, pauseMs, type TenaciousClient } from './tenacious-client.ts';

/** What the clients of a busy day do, chosen by a seed, and what they were answered. */
export class Workload {
  /** Ids of events that were acknowledged. */
  readonly published: string[] = [];
  readonly #client: TenaciousClient;
  readonly #keys: Keys;
  readonly #random: Random;
  readonly #onAcknowledged: () => void;
  readonly #commands: GovernedCommands;

  constructor(client: TenaciousClient, keys: Keys, random: Random, onAcknowledged: () => void) {
    this.#client = client;
    this.#keys = keys;
    this.#random = random;
    this.#onAcknowledged = onAcknowledged;
    this.#commands = new GovernedCommands({ client, keys, random, site, steady, toggled, onAcknowledged });
  }

  get acknowledged(): readonly Acknowledged[] {
    return this.#commands.acknowledged;
  }

  /** Creates the subscriptions that receive. */
  async subscribe(receiverUrl: string): Promise<void> {
    for (const id of [...steady, ...toggled]) await this.#commands.subscribe(id, { eventPattern, targetUrl: `${receiverUrl}/${id}` });
  }

  /** Does one job after the other, in each of so many lanes, until told to stop. */
  async run(lanes: number, stop: AbortSignal): Promise<void> {
    const lane = async (): Promise<void> => {
      while (!stop.aborted) await this.#job();
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** Resumes what is paused, and publishes one last event. */
  async finish(): Promise<void> {
    await this.#commands.resumeAll();
    await this.#publish(1);
  }

  async #job(): Promise<void> {
    const chance = this.#random.next();
    if (chance < 0.15) await this.#publish(1 + this.#random.below(3));
    else if (chance < 0.55) await this.#commands.toggle();
    else if (chance < 0.8) await this.#commands.upsertAny();
    else await this.#commands.rotate();
  }

  /** Until all are in the log: what was refused because the store had no answer in time is sent again, under the same ids. */
  async #publish(count: number): Promise<void> {
    let open = Array.from({ length: count }, () => ({ eventId: randomUUID(), type: this.#random.pick(['kill.made', 'kill.moved']), data: { number: this.#random.below(1_000), filler: 'x'.repeat(200) } }));
    while (open.length > 0) {
      const { items } = (await this.#client.post({ path: `/api/events?siteId=${site.tenant}`, body: open, apiKey: this.#keys.root })) as { readonly items: readonly PublishedItem[] };
      const refused = new Set(items.filter(isRefused).map(({ eventId }) => eventId));
      this.published.push(...open.flatMap(({ eventId }) => (refused.has(eventId) ? [] : [eventId])));
      this.#onAcknowledged();
      open = open.filter(({ eventId }) => refused.has(eventId));
      if (open.length > 0) await delay(pauseMs);
    }
  }
}

interface PublishedItem {
  readonly eventId: string;
  readonly status: 'ACCEPTED' | 'DUPLICATE' | 'REFUSED';
  readonly problem?: { readonly type: string };
}

/** Throws when it is refused for good. */
function isRefused({ eventId, status, problem }: PublishedItem): boolean {
  if (status === 'REFUSED' && !isPassing(problem ?? {})) throw new Error(`event ${eventId} was refused: ${problem?.type}`);
  return status === 'REFUSED';
}
