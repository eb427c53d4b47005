// Publishes events as it is told, and notes how long each request took.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { machineMs } from '../clock.ts';
import type { FromGenerator, Order } from '../generator.ts';
import { latencyOf } from '../latencies.ts';
import { eventText } from '../text.ts';

const say = (message: FromGenerator): boolean => process.send?.(message) ?? false;

const textOf = (events: readonly string[]): string => (events.length === 1 ? (events[0] ?? '') : `[${events.join(',')}]`);

class Posting {
  readonly times: number[] = [];
  readonly #order: Order;
  readonly #pool: Pool;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(order: Order) {
    this.#order = order;
    this.#pool = new Pool(order.url, { connections: order.connections, pipelining: 1 });
    this.#headers = { 'content-type': 'application/json', ...(order.key === null ? {} : { authorization: `Bearer ${order.key}` }) };
  }

  async all(): Promise<void> {
    const { eventsPerSecond } = this.#order;
    await (eventsPerSecond === null ? this.#oneAfterTheOther() : this.#onSchedule(eventsPerSecond));
    await this.#pool.close();
  }

  async #oneAfterTheOther(): Promise<void> {
    const { connections, events, batch } = this.#order;
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let first = next; first < events; first = next) {
        next += batch;
        await this.#post(first, machineMs());
      }
    };
    await Promise.all(Array.from({ length: connections }, lane));
  }

  async #onSchedule(eventsPerSecond: number): Promise<void> {
    const { events, batch } = this.#order;
    const startMs = machineMs();
    const atMs = (first: number): number => startMs + (first * 1_000) / eventsPerSecond;
    const posts: Promise<void>[] = [];
    for (let first = 0; first < events; ) {
      for (; first < events && atMs(first) <= machineMs(); first += batch) posts.push(this.#post(first, atMs(first)));
      await delay(1);
    }
    await Promise.all(posts);
  }

  async #post(first: number, sentAtMs: number): Promise<void> {
    const { path, types, events, batch } = this.#order;
    const count = Math.min(batch, events - first);
    const texts = Array.from({ length: count }, (_, index) => eventText(randomUUID(), types[(first + index) % types.length] ?? '', sentAtMs));
    const answer = await this.#pool.request({ method: 'POST', path, headers: this.#headers, body: textOf(texts) });
    const text = await answer.body.text();
    const accepted = text.split('"ACCEPTED"').length - 1;
    if (answer.statusCode !== 200 || accepted !== count) throw new Error(`${path}: ${answer.statusCode}, ${accepted} of ${count} events accepted: ${text.slice(0, 500)}`);
    this.times.push(machineMs() - sentAtMs);
  }
}

async function post(order: Order): Promise<void> {
  const posting = new Posting(order);
  await posting.all();
  say({ answered: latencyOf(posting.times) });
}

process.on('message', (order: Order) => void post(order).catch((error: unknown) => say({ failed: String(error) })));
process.on('disconnect', () => process.exit(0));
say({ ready: true });
