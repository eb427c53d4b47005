import { randomUUID } from 'node:crypto';
import { formatSigningSecret, newSigningSecret } from '#secret-vault';
import type { Random } from '../../simulation/random.ts';
import { seededIds } from '../../simulation/installation.ts';
import { approver, eventPattern, operator, site, steady, toggled } from './installation.ts';
import type { TenaciousClient } from './tenacious-client.ts';

/** What a command was answered in the end. */
export interface Acknowledged {
  readonly commandType: string;
  readonly commandId: string;
  readonly resourceId: string;
  readonly outcome: 'APPLIED' | 'NO_CHANGE';
  readonly revision: number;
  readonly position: string;
  readonly replayed: boolean;
  readonly result: Readonly<Record<string, unknown>>;
  /** The signing secret that the client chose; null where it left that to the server. */
  readonly chosenSecret: string | null;
}

/** The signing secret that an answer shows. */
export const shownSecret = ({ commandType, result }: Acknowledged): string | null =>
  commandType !== 'CreateApiKey' && typeof result['secret'] === 'string' ? result['secret'] : null;

export interface Keys {
  readonly root: string;
  readonly approver: string;
}

/** What the clients of a busy day do, chosen by a seed, and what they were answered. */
export class Workload {
  readonly acknowledged: Acknowledged[] = [];
  /** Ids of events that were acknowledged. */
  readonly published: string[] = [];
  readonly #client: TenaciousClient;
  readonly #keys: Keys;
  readonly #random: Random;
  readonly #onAcknowledged: () => void;
  readonly #others: string[] = [];
  #jobs = 0;

  constructor(client: TenaciousClient, keys: Keys, random: Random, onAcknowledged: () => void) {
    this.#client = client;
    this.#keys = keys;
    this.#random = random;
    this.#onAcknowledged = onAcknowledged;
  }

  /** Creates the subscriptions that receive. */
  async subscribe(receiverUrl: string): Promise<void> {
    for (const id of [...steady, ...toggled]) await this.#upsert(id, this.#newSecret(), { eventPattern, targetUrl: `${receiverUrl}/${id}` });
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
    for (const id of toggled) await this.#command('ResumeWebhookSubscription', { webhookSubscriptionId: id });
    await this.#publish(1);
  }

  async #job(): Promise<void> {
    this.#jobs += 1;
    const chance = this.#random.next();
    if (chance < 0.15) await this.#publish(1 + this.#random.below(3));
    else if (chance < 0.55) await this.#toggle();
    else if (chance < 0.8) await this.#upsertAny();
    else await this.#rotate();
  }

  async #publish(count: number): Promise<void> {
    const events = Array.from({ length: count }, () => ({ eventId: randomUUID(), type: this.#random.pick(['kill.made', 'kill.moved']), data: { number: this.#random.below(1_000), filler: 'x'.repeat(200) } }));
    const { items } = (await this.#client.post({ path: `/api/events?siteId=${site.tenant}`, body: events, apiKey: this.#keys.root })) as { items: readonly { eventId: string; status: string }[] };
    for (const { eventId, status } of items) {
      if (status === 'REFUSED') throw new Error(`event ${eventId} was refused`);
      this.published.push(eventId);
    }
    this.#onAcknowledged();
  }

  async #toggle(): Promise<void> {
    const commandType = this.#random.pick(['PauseWebhookSubscription', 'ResumeWebhookSubscription']);
    await this.#command(commandType, { webhookSubscriptionId: this.#random.pick(toggled) });
  }

  /** A new subscription that receives nothing, or another description of one. */
  async #upsertAny(): Promise<void> {
    const settings = { eventPattern: 'never.matched', targetUrl: 'http://127.0.0.1:9/', description: `after ${this.#jobs} jobs` };
    if (this.#others.length > 20 && this.#random.chance(0.5)) {
      await this.#upsert(this.#random.pick(this.#others), null, settings);
      return;
    }
    const id = `other-${this.#jobs}`;
    await this.#upsert(id, this.#random.chance(0.5) ? null : this.#newSecret(), settings);
    this.#others.push(id);
  }

  /** Asked by one, granted by another, done. The one who asks is somebody else each time, so each has an approval of their own. */
  async #rotate(): Promise<void> {
    const receiving = this.#others.length === 0 || this.#random.chance(0.3);
    const resourceId = this.#random.pick(receiving ? steady : this.#others);
    // What receives signs with secrets that the clients know, whatever answer was lost.
    const secret = receiving || this.#random.chance(0.3) ? this.#newSecret() : null;
    const requester = { type: 'USER', id: `requester-${this.#jobs}` };
    const expiresOn = new Date(Date.now() + 3_600_000).toISOString();
    const { resourceId: approvalId, revision } = await this.#command('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId, expiresOn }, { actor: requester });
    await this.#command('GrantApproval', { approvalId }, { actor: approver, expectedRevision: revision }, { apiKey: this.#keys.approver });
    const payload = { webhookSubscriptionId: resourceId, ...(secret === null ? {} : { signingSecretRef: secret }) };
    await this.#command('RotateWebhookSubscriptionSecret', payload, { actor: requester, approvalId }, { chosenSecret: secret });
  }

  async #upsert(id: string, secret: string | null, settings: object): Promise<void> {
    const payload = { webhookSubscriptionId: id, signingSecretRef: secret ?? 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE', ...settings };
    await this.#command('UpsertWebhookSubscription', payload, {}, { chosenSecret: secret });
  }

  async #command(commandType: string, payload: object, more: object = {}, { apiKey = this.#keys.root, chosenSecret = null }: { readonly apiKey?: string; readonly chosenSecret?: string | null } = {}): Promise<Acknowledged> {
    const body = { tenant: site.tenant, actor: operator, ...more, payload };
    const answer = (await this.#client.post({ path: `/api/commands/${commandType}`, body, apiKey, idempotencyKey: randomUUID() })) as Omit<Acknowledged, 'chosenSecret'>;
    const acknowledged = { ...answer, chosenSecret };
    this.acknowledged.push(acknowledged);
    this.#onAcknowledged();
    return acknowledged;
  }

  #newSecret(): string {
    return formatSigningSecret(newSigningSecret(seededIds(this.#random))).reveal();
  }
}
