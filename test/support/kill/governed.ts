import { randomUUID } from 'node:crypto';
import type { Principal, Site } from '#kernel';
import { formatSigningSecret, newSigningSecret } from '#secret-vault';
import { seededIds } from '../../simulation/installation.ts';
import type { Random } from '../../simulation/random.ts';
import type { Repeatable } from './tenacious-client.ts';

export const approver: Principal = { type: 'USER', id: 'approver' };
const operator: Principal = { type: 'SERVICE', id: 'operator' };

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
  /** What was asked, to be asked again. */
  readonly asked: Repeatable;
  /** When the answer was there, on the wall clock. */
  readonly answeredAtMs: number;
}

/** The signing secret that an answer shows. */
export const shownSecret = ({ commandType, result }: Acknowledged): string | null =>
  commandType !== 'CreateApiKey' && typeof result['secret'] === 'string' ? result['secret'] : null;

export interface Keys {
  readonly root: string;
  readonly approver: string;
}

/** Whoever sends a request until it is answered, and answers the body of the 200. */
export interface Poster {
  post(request: Repeatable): Promise<unknown>;
}

/** Creates the approver's key, with a command. */
export async function createKeys(client: Poster, root: string, { tenant }: Site): Promise<Keys & { readonly position: string }> {
  const scopes = [`site:${tenant}:read`, `site:${tenant}:approve`];
  const body = { tenant, actor: { type: 'USER', id: 'root' }, payload: { name: 'approver', scopes, actor: approver } };
  const answer = (await client.post({ path: '/api/commands/CreateApiKey', body, apiKey: root, idempotencyKey: randomUUID() })) as { readonly position: string; readonly result: { readonly secret: string } };
  return { root, approver: answer.result.secret, position: answer.position };
}

export interface Governed {
  readonly client: Poster;
  readonly keys: Keys;
  readonly random: Random;
  readonly site: Site;
  /** Subscriptions that receive and are never paused: their secrets are rotated. */
  readonly steady: readonly string[];
  /** Subscriptions that receive and are paused and resumed. */
  readonly toggled: readonly string[];
  readonly onAcknowledged: () => void;
}

/** The commands of a busy day, chosen by a seed, and what they were answered. */
export class GovernedCommands {
  readonly acknowledged: Acknowledged[] = [];
  readonly #parts: Governed;
  readonly #others: string[] = [];
  #jobs = 0;

  constructor(parts: Governed) {
    this.#parts = parts;
  }

  /** Creates a subscription that receives, with a secret that the client knows. */
  async subscribe(id: string, settings: object): Promise<void> {
    await this.#upsert(id, this.#newSecret(), settings);
  }

  /** Pauses or resumes one. */
  async toggle(): Promise<void> {
    const { random, toggled } = this.#parts;
    const commandType = random.pick(['PauseWebhookSubscription', 'ResumeWebhookSubscription']);
    await this.command(commandType, { webhookSubscriptionId: random.pick(toggled) });
  }

  /** Resumes what may be paused. */
  async resumeAll(): Promise<void> {
    for (const id of this.#parts.toggled) await this.command('ResumeWebhookSubscription', { webhookSubscriptionId: id });
  }

  /** A new subscription that receives nothing, or another description of one. */
  async upsertAny(): Promise<void> {
    const { random } = this.#parts;
    this.#jobs += 1;
    const job = this.#jobs;
    const settings = { eventPattern: 'never.matched', targetUrl: 'http://127.0.0.1:9/', description: `after ${job} jobs` };
    if (this.#others.length > 20 && random.chance(0.5)) {
      await this.#upsert(random.pick(this.#others), null, settings);
      return;
    }
    const id = `other-${job}`;
    await this.#upsert(id, random.chance(0.5) ? null : this.#newSecret(), settings);
    this.#others.push(id);
  }

  /** Asked by one, granted by another, done. The one who asks is somebody else each time, so each has an approval of their own. */
  async rotate(): Promise<void> {
    const { random, steady, keys } = this.#parts;
    this.#jobs += 1;
    const receiving = this.#others.length === 0 || random.chance(0.3);
    const resourceId = random.pick(receiving ? steady : this.#others);
    // What receives signs with secrets that the clients know, whatever answer was lost.
    const secret = receiving || random.chance(0.3) ? this.#newSecret() : null;
    const requester = { type: 'USER', id: `requester-${this.#jobs}` };
    const expiresOn = new Date(Date.now() + 3_600_000).toISOString();
    const { resourceId: approvalId, revision } = await this.command('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId, expiresOn }, { actor: requester });
    await this.command('GrantApproval', { approvalId }, { actor: approver, expectedRevision: revision }, { apiKey: keys.approver });
    const payload = { webhookSubscriptionId: resourceId, ...(secret === null ? {} : { signingSecretRef: secret }) };
    await this.command('RotateWebhookSubscriptionSecret', payload, { actor: requester, approvalId }, { chosenSecret: secret });
  }

  /** Sends one until it is answered, under a key of its own. */
  async command(commandType: string, payload: object, more: object = {}, { apiKey = this.#parts.keys.root, chosenSecret = null }: { readonly apiKey?: string; readonly chosenSecret?: string | null } = {}): Promise<Acknowledged> {
    const { client, site, onAcknowledged } = this.#parts;
    const asked: Repeatable = { path: `/api/commands/${commandType}`, body: { tenant: site.tenant, actor: operator, ...more, payload }, apiKey, idempotencyKey: randomUUID() };
    const answer = (await client.post(asked)) as Omit<Acknowledged, 'chosenSecret' | 'asked' | 'answeredAtMs'>;
    const acknowledged = { ...answer, chosenSecret, asked, answeredAtMs: Date.now() };
    this.acknowledged.push(acknowledged);
    onAcknowledged();
    return acknowledged;
  }

  async #upsert(id: string, secret: string | null, settings: object): Promise<void> {
    const payload = { webhookSubscriptionId: id, signingSecretRef: secret ?? 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE', ...settings };
    await this.command('UpsertWebhookSubscription', payload, {}, { chosenSecret: secret });
  }

  #newSecret(): string {
    return formatSigningSecret(newSigningSecret(seededIds(this.#parts.random))).reveal();
  }
}
