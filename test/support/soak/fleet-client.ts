import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Random } from '../../simulation/random.ts';
import { isPassing, pauseMs, type Repeatable } from '../kill/tenacious-client.ts';
import type { FleetMember } from './fleet.ts';

/** A client that has no answer after so long asks no more. */
const longestMs = 60_000;
/** The deadline of a command is 10 s. */
const slowAfterMs = 12_000;
/** So many of a hundred requests are given up early by their client, who sends them again, to whomever. */
const impatientPercent = 3;

/** How a request ended at one server. */
export type Reply = { readonly status: number; readonly body: unknown } | 'cut' | 'given-up' | 'hangs';

/** An answer that took longer than the deadline of a command, or did not come at all. */
export interface SlowReply {
  readonly server: number;
  readonly path: string;
  /** On the wall clock. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** The request is refused, whoever is asked and how often. */
export class RefusedForGood extends Error {
  override readonly name = 'RefusedForGood';
  readonly slug: string;
  constructor(path: string, status: number, body: unknown) {
    super(`${path}: ${status} ${JSON.stringify(body)}`);
    this.slug = slugOf(body);
  }
}

/** A client of several servers, each of which may die and come back: it sends each request to one of them by chance, and again until it is answered. */
export class FleetClient {
  readonly #random: Random;
  readonly #pools = new Map<number, Pool>();
  #news = Promise.withResolvers<void>();
  /** How often a request was sent again, and why. */
  readonly repeated = new Map<string, number>();
  readonly slow: SlowReply[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  up({ server, url }: FleetMember): void {
    this.#pools.set(server, new Pool(url, { connections: 64, pipelining: 1 }));
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  down(server: number): void {
    const pool = this.#pools.get(server);
    this.#pools.delete(server);
    void pool?.destroy();
  }

  /** The body of the 200 that it gets in the end. Throws when it is refused for good. */
  async post(request: Repeatable): Promise<unknown> {
    for (;;) {
      const reply = await this.once(request, this.#random.below(100) < impatientPercent ? 50 + this.#random.below(600) : longestMs);
      if (typeof reply === 'object' && reply.status === 200) return reply.body;
      if (typeof reply === 'object' && !isPassing(reply.body)) throw new RefusedForGood(request.path, reply.status, reply.body);
      this.again(typeof reply === 'object' ? `${reply.status} ${slugOf(reply.body)}` : reply);
      await delay(pauseMs);
    }
  }

  /** Sends it once, to one of those that live. */
  async once({ path, body, apiKey, idempotencyKey }: Repeatable, patienceMs = longestMs): Promise<Reply> {
    const [server, pool] = await this.#any();
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }) };
    const fromMs = Date.now();
    const patience = AbortSignal.timeout(patienceMs);
    try {
      const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body), signal: patience });
      const text = await answer.body.text();
      return { status: answer.statusCode, body: JSON.parse(text) as unknown };
    } catch {
      if (!patience.aborted) return 'cut';
      return patienceMs < longestMs ? 'given-up' : 'hangs';
    } finally {
      const toMs = Date.now();
      if (toMs - fromMs > slowAfterMs) this.slow.push({ server, path, fromMs, toMs });
    }
  }

  /** That a request is sent again. */
  again(why: string): void {
    this.repeated.set(why, (this.repeated.get(why) ?? 0) + 1);
  }

  /** The text of a GET, from one server. Empty while it does not answer. */
  async text(server: number, path: string, apiKey: string): Promise<string> {
    const pool = this.#pools.get(server);
    return pool === undefined ? '' : await textFrom(pool, path, apiKey);
  }

  /** The same from anybody. Empty also when it is refused. */
  async textOfAny(path: string, apiKey: string): Promise<string> {
    const [, pool] = await this.#any();
    return await textFrom(pool, path, apiKey);
  }

  async #any(): Promise<readonly [number, Pool]> {
    while (this.#pools.size === 0) await this.#news.promise;
    return this.#random.pick([...this.#pools]);
  }
}

export const slugOf = (body: unknown): string => String((body as { readonly type?: string }).type).replace(/.*\//, '');

async function textFrom(pool: Pool, path: string, apiKey: string): Promise<string> {
  try {
    const answer = await pool.request({ method: 'GET', path, headers: { authorization: `Bearer ${apiKey}` }, signal: AbortSignal.timeout(longestMs) });
    const text = await answer.body.text();
    return answer.statusCode === 200 ? text : '';
  } catch {
    return '';
  }
}
