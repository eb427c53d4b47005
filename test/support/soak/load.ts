import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../simulation/random.ts';
import { type Acknowledged, GovernedCommands, type Keys } from '../kill/governed.ts';
import { pauseMs, type Repeatable } from '../kill/tenacious-client.ts';
import { type FleetClient, RefusedForGood } from './fleet-client.ts';
import { type PlannedSubscription, site, type SoakPlan, topicsOf } from './plan.ts';

const publishers = 8;
const commanders = 5;
/** A commander rests between two jobs. */
const restMs = 150;
const mostInOneRequest = 4;
/** What a publisher asks again for: the store was away. */
const passing: ReadonlySet<string> = new Set(['store-unavailable', 'outcome-unknown']);

interface PublishedItem {
  readonly eventId: string;
  readonly status: 'ACCEPTED' | 'DUPLICATE' | 'REFUSED';
  readonly problem?: { readonly type: string };
}

interface OfferedEvent {
  readonly eventId: string;
  readonly type: string;
  readonly data: object;
}

/** Who publishes, and who commands, while things break. */
export class Load {
  /** Ids of events that were acknowledged. */
  readonly published: string[] = [];
  /** Ids of events that were sent at all. */
  readonly offered = new Set<string>();
  readonly commands: GovernedCommands;
  readonly #plan: SoakPlan;
  readonly #client: FleetClient;
  readonly #keys: Keys;
  readonly #random: Random;
  #next = 0;

  constructor(plan: SoakPlan, client: FleetClient, keys: Keys, random: Random) {
    this.#plan = plan;
    this.#client = client;
    this.#keys = keys;
    this.#random = random;
    const ids = (wanted: (subscription: PlannedSubscription) => boolean): string[] => plan.subscriptions.filter(wanted).map(({ id }) => id);
    this.commands = new GovernedCommands({ client, keys, random, site, steady: ids(({ toggled }) => !toggled), toggled: ids(({ toggled }) => toggled), onAcknowledged: () => undefined });
  }

  get acknowledged(): readonly Acknowledged[] {
    return this.commands.acknowledged;
  }

  /** Creates the subscriptions. */
  async subscribe(receiverUrl: string): Promise<void> {
    for (const { id, topics, deliveryMode, temper } of this.#plan.subscriptions) {
      await this.commands.subscribe(id, { eventPattern: topics.map((topic) => `${topic}.*`).join(','), targetUrl: `${receiverUrl}/${temper}/${id}`, deliveryMode });
    }
  }

  /** Publishes all events, over the time that they are to take; resolves when all are acknowledged. */
  async publish(): Promise<void> {
    const fromMs = performance.now();
    const lane = async (): Promise<void> => {
      for (;;) {
        const first = this.#next;
        const count = Math.min(1 + this.#random.below(mostInOneRequest), this.#plan.events - first);
        if (count <= 0) return;
        this.#next += count;
        await delay(Math.max(0, fromMs + (first / this.#plan.events) * this.#plan.loadMs - performance.now()));
        await this.#publish(Array.from({ length: count }, (_, index) => this.#event(first + index)));
      }
    };
    await Promise.all(Array.from({ length: publishers }, lane));
  }

  /** One event of each topic. */
  async publishAll(type: 'begun' | 'ended'): Promise<void> {
    const topics = topicsOf(this.#plan.subscriptions);
    await this.#publish(topics.map((topic) => ({ eventId: `evt-${this.#plan.seed}-${type}-${topic}`, type: `${topic}.${type}`, data: {} })));
  }

  /** Commands of all kinds, one after the other in several lanes, until told to stop. */
  async command(stop: AbortSignal): Promise<void> {
    const lane = async (): Promise<void> => {
      while (!stop.aborted) {
        await this.#job();
        await delay(this.#random.below(2 * restMs));
      }
    };
    await Promise.all(Array.from({ length: commanders }, lane));
  }

  /** False: it can't be replayed any more, since it was delivered, or can't yet. */
  async replay(webhookDeliveryId: string): Promise<boolean> {
    try {
      await this.commands.command('ReplayWebhookDelivery', { webhookDeliveryId, resetAttempts: this.#random.chance(0.5) });
      return true;
    } catch (error) {
      if (error instanceof RefusedForGood && error.slug === 'delivery-not-replayable') return false;
      throw error;
    }
  }

  get #isToggled(): boolean {
    return this.#plan.subscriptions.some(({ toggled }) => toggled);
  }

  async #job(): Promise<void> {
    const chance = this.#random.next();
    if (chance < 0.4 && this.#isToggled) await this.commands.toggle();
    else if (chance < 0.6) await this.commands.upsertAny();
    else if (chance < 0.8) await this.commands.rotate();
    else await this.#replayAny();
  }

  /** One that a server tells of: by then it may have been replayed, or delivered. */
  async #replayAny(): Promise<void> {
    const failing = this.#plan.subscriptions.filter(({ temper }) => temper === 'doomed' || temper === 'failing');
    if (failing.length === 0) return;
    const { id } = this.#random.pick(failing);
    const status = this.#random.pick(['DEAD_LETTERED', 'SCHEDULED']);
    const text = await this.#client.textOfAny(`/api/webhooks/${id}/deliveries?siteId=${site.tenant}&status=${status}&limit=20`, this.#keys.root);
    const { items = [] } = (text === '' ? {} : JSON.parse(text)) as { readonly items?: readonly { readonly id: string }[] };
    if (items.length > 0) await this.replay(this.#random.pick(items).id);
  }

  #event(index: number): OfferedEvent {
    const topic = this.#random.pick(topicsOf(this.#plan.subscriptions));
    return { eventId: `evt-${this.#plan.seed}-${index}`, type: `${topic}.happened`, data: { number: index, filler: 'x'.repeat(200) } };
  }

  /** Until all are in the log: what was refused because the store was away is sent again, under the same ids. */
  async #publish(events: readonly OfferedEvent[]): Promise<void> {
    for (const { eventId } of events) this.offered.add(eventId);
    for (let open = events; open.length > 0; ) {
      const request: Repeatable = { path: `/api/events?siteId=${site.tenant}`, body: open, apiKey: this.#keys.root };
      const { items } = (await this.#client.post(request)) as { readonly items: readonly PublishedItem[] };
      const refused = new Set(items.filter((item) => this.#isRefused(item)).map(({ eventId }) => eventId));
      open = open.filter(({ eventId }) => refused.has(eventId));
      if (open.length > 0) await delay(pauseMs);
    }
  }

  /** Throws when it is refused for good. */
  #isRefused({ eventId, status, problem }: PublishedItem): boolean {
    if (status !== 'REFUSED') {
      this.published.push(eventId);
      return false;
    }
    const slug = String(problem?.type).replace(/.*\//, '');
    if (!passing.has(slug)) throw new Error(`event ${eventId} was refused: ${slug}`);
    this.#client.again(`event ${slug}`);
    return true;
  }
}
