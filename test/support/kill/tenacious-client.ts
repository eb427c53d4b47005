import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';

/** A request that may be sent again and again: it carries its own idempotency. */
export interface Repeatable {
  readonly path: string;
  readonly body: object;
  readonly apiKey: string;
  readonly idempotencyKey?: string;
}

/** Between a refusal that passes and the next attempt. */
export const pauseMs = 20;

/** Another attempt of the same request may be answered otherwise: 409 of these kinds, and 503. */
const passing: ReadonlySet<string> = new Set(['idempotency-request-in-flight', 'concurrent-modification', 'outcome-unknown', 'store-unavailable', 'projection-behind']);

/** One life of the server, until it is known to be over. */
interface Life {
  readonly pool: Pool;
  readonly over: PromiseWithResolvers<void>;
}

/** A client whose server dies and comes back: it repeats each request, word for word, until it is answered. */
export class TenaciousClient {
  readonly #connections: number;
  #life = Promise.withResolvers<Life>();
  #underWay = 0;
  #repeated = 0;

  constructor(connections: number) {
    this.#connections = connections;
  }

  /** The server lives, at this address. */
  up(url: string): void {
    this.#life.resolve({ pool: new Pool(url, { connections: this.#connections, pipelining: 1 }), over: Promise.withResolvers() });
  }

  /** The server is dead: what has no answer waits for the next. */
  async down(): Promise<void> {
    const { pool, over } = await this.#life.promise;
    this.#life = Promise.withResolvers();
    over.resolve();
    await pool.destroy();
  }

  /** Requests that were sent and have no answer yet. */
  get underWay(): number {
    return this.#underWay;
  }

  /** How often a request was sent again because the server died over it. */
  get repeated(): number {
    return this.#repeated;
  }

  /** The body of the 200 that it gets in the end. Throws when it is refused for good. */
  async post(request: Repeatable): Promise<unknown> {
    for (;;) {
      const { pool, over } = await this.#life.promise;
      const answer = await this.#send(pool, request);
      if (answer === undefined) {
        this.#repeated += 1;
        await over.promise;
      } else if (answer.status === 200) return answer.body;
      else if (isPassing(answer.body)) await delay(pauseMs);
      else throw new Error(`${request.path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
  }

  /** A GET of text, once. */
  async text(path: string, apiKey: string): Promise<string> {
    const { pool } = await this.#life.promise;
    const { body } = await pool.request({ method: 'GET', path, headers: { authorization: `Bearer ${apiKey}` } });
    return body.text();
  }

  /** Undefined: there was no answer, or only a part of one. */
  async #send(pool: Pool, { path, body, apiKey, idempotencyKey }: Repeatable): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }) };
    this.#underWay += 1;
    try {
      const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
      const text = await answer.body.text();
      return { status: answer.statusCode, body: JSON.parse(text) as unknown };
    } catch {
      return undefined;
    } finally {
      this.#underWay -= 1;
    }
  }
}

/** Whether the same request may be answered otherwise when it is sent again. */
export const isPassing = (body: unknown): boolean => {
  const { type = '' } = body as { type?: string };
  return passing.has(type.slice(type.lastIndexOf('/') + 1));
};
