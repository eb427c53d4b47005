import { randomUUID } from 'node:crypto';
import type { CommandAnswerDto, DeliveryDetailDto, DeliveryDto, DryRunDto } from '#contracts';
import { mustKeepContract } from './contract.ts';

export type Body = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** As it came, byte for byte. */
  readonly text: string;
  /** What it says; empty when it is not a JSON object. */
  readonly body: Body;
}

/** The answer of a command that took effect. */
export type Done = Omit<CommandAnswerDto, 'result'> & { readonly result: Body & { readonly secret?: string | null } };

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The body as exact text, in place of `body`. */
  readonly text?: string;
}

export interface CommandOptions {
  readonly tenant?: string;
  readonly environment?: string;
  readonly actor?: object;
  readonly approvalId?: string;
  readonly expectedRevision?: number;
  readonly idempotencyKey?: string;
}

export const sam = { type: 'USER', id: 'usr_sam' } as const;
export const kim = { type: 'USER', id: 'usr_kim' } as const;
export const demo = 'tnt_demo';

/** A client of the HTTP API that keeps every answer it got, and throws at one that openapi.yaml does not describe. */
export class Api {
  readonly #url: string;
  readonly #key: string | null;
  /** The texts of all answers, with those of the clients made of this one. */
  readonly answers: { readonly asked: string; readonly text: string }[];

  constructor(url: string, key: string | null, answers: { readonly asked: string; readonly text: string }[] = []) {
    this.#url = url;
    this.#key = key;
    this.answers = answers;
  }

  /** The same server with another key, or with none. */
  as(key: string | null): Api {
    return new Api(this.#url, key, this.answers);
  }

  async ask(method: string, path: string, { headers = {}, body, text }: Asked = {}): Promise<Answer> {
    const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
    const authorization: Record<string, string> = this.#key === null ? {} : { authorization: `Bearer ${this.#key}` };
    const contentType: Record<string, string> = sent === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await fetch(`${this.#url}${path}`, { method, headers: { ...authorization, ...contentType, ...headers }, ...(sent === undefined ? {} : { body: sent }), signal: AbortSignal.timeout(30_000) });
    const received = await answer.text();
    this.answers.push({ asked: `${method} ${path}`, text: `${received}\n${JSON.stringify([...answer.headers])}` });
    mustKeepContract({ method, url: path, status: answer.status, header: (name) => answer.headers.get(name) ?? undefined, text: received });
    return { status: answer.status, headers: answer.headers, text: received, body: bodyOf(received) };
  }

  get(path: string): Promise<Answer> {
    return this.ask('GET', path);
  }

  /** What a successful GET says. */
  async read<T = Body>(path: string): Promise<T> {
    const answer = await this.get(path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return answer.body as T;
  }

  /** Sends a command by USER usr_sam in tenant tnt_demo, unless told otherwise, and answers whatever comes. */
  command(commandType: string, payload: object, { idempotencyKey = randomUUID(), tenant = demo, actor = sam, ...more }: CommandOptions = {}, query = ''): Promise<Answer> {
    return this.ask('POST', `/api/commands/${commandType}${query}`, { headers: { 'idempotency-key': idempotencyKey }, body: { tenant, actor, ...more, payload } });
  }

  /** Sends a command that must succeed. */
  async do(commandType: string, payload: object, options: CommandOptions = {}): Promise<Done> {
    const answer = await this.command(commandType, payload, options);
    if (answer.status !== 200) throw new Error(`${commandType}: ${answer.status} ${answer.text}`);
    return answer.body as unknown as Done;
  }

  async dryRun(commandType: string, payload: object, options: CommandOptions = {}): Promise<DryRunDto> {
    return (await this.command(commandType, payload, options, '?dryRun=true')).body as unknown as DryRunDto;
  }

  /** A new subscription with a managed secret, unless told otherwise. */
  subscribe(targetUrl: string, eventPattern: string, more: object = {}, options: CommandOptions = {}): Promise<Done> {
    return this.do('UpsertWebhookSubscription', { targetUrl, eventPattern, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE', ...more }, options);
  }

  /** Publishes one event and answers its id and position. */
  async publish(type: string, data: unknown = {}, tenant = demo): Promise<{ readonly eventId: string; readonly position: string }> {
    const { eventId, position } = await this.publishOne({ type, data }, tenant);
    return { eventId, position };
  }

  async publishOne(event: object, tenant = demo): Promise<{ readonly eventId: string; readonly position: string; readonly status: string }> {
    const answer = await this.ask('POST', `/api/events?siteId=${tenant}`, { body: event });
    const [item] = (answer.body['items'] ?? []) as { eventId: string; position: string; status: string }[];
    if (item === undefined) throw new Error(`publish: ${answer.status} ${answer.text}`);
    return item;
  }

  /** A new key for one person, which can be used when this resolves. */
  async newKey(payload: object, options: CommandOptions = {}): Promise<{ readonly id: string; readonly text: string }> {
    const { resourceId, position, result } = await this.do('CreateApiKey', payload, options);
    await this.read(`/api/keys?limit=1&waitFor=${position}`);
    return { id: resourceId, text: String(result.secret) };
  }

  /** Somebody who may read, write and approve in a site, with a key of their own. */
  person(id: string, site = demo): Promise<{ readonly id: string; readonly text: string }> {
    return this.newKey({ name: id, scopes: ['read', 'write', 'approve'].map((right) => `site:${site}:${right}`), actor: { type: 'USER', id } });
  }

  deliveries(subscriptionId: string, query = '', tenant = demo): Promise<{ readonly items: readonly DeliveryDto[]; readonly nextCursor: string | null }> {
    return this.read(`/api/webhooks/${subscriptionId}/deliveries?siteId=${tenant}${query}`);
  }

  delivery(subscriptionId: string, deliveryId: string, tenant = demo): Promise<DeliveryDetailDto> {
    return this.read(`/api/webhooks/${subscriptionId}/deliveries/${deliveryId}?siteId=${tenant}`);
  }
}

function bodyOf(text: string): Body {
  if (!text.startsWith('{')) return {};
  try {
    return JSON.parse(text) as Body;
  } catch {
    return {};
  }
}

/** The last part of a problem's type: `not-found`. */
export const slugOf = ({ body }: Answer): string => String(body['type']).replace('https://countersign.dev/problems/', '');
