import { setTimeout as delay } from 'node:timers/promises';
import { type Random, randomOf } from '../../simulation/random.ts';
import { eventually } from '../e2e/eventually.ts';
import type { Home } from '../e2e/home.ts';
import { type Received, type ReceiverProcess, startReceiverProcess } from '../receiver.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { type PlannedSubscription, site, topicsOf } from '../soak/plan.ts';
import { GovernedCommands } from './governed.ts';
import type { Life, SentIn } from './promises.ts';
import { TenaciousClient } from './tenacious-client.ts';

const publishers = 4;
const eventsInOneRequest = 20;
/** What is on its way: publishers wait when there is more, so that publishing and delivering both go as fast as they can until the end. */
const mostOwed = 1_000;
/** A life goes on until the receiver has got so many requests in it, and up to as many more. */
const leastOfLife = 100;
const moreOfLife = 300;
/** What a life takes on a machine that has much else to do, and more. */
const standstillMs = 60_000;
/** Longer than anything that is still under way. */
const quietMs = 15_000;

/** Every event reaches two or three of them; ORDERED takes its time, so it has few. */
export const subscriptions: readonly PlannedSubscription[] = [
  { id: 'all', topics: ['a', 'b', 'c', 'd', 'rare'], deliveryMode: 'AT_LEAST_ONCE' },
  { id: 'first', topics: ['a', 'b'], deliveryMode: 'AT_LEAST_ONCE' },
  { id: 'second', topics: ['c', 'd'], deliveryMode: 'AT_LEAST_ONCE' },
  { id: 'once', topics: ['b', 'c'], deliveryMode: 'BEST_EFFORT' },
  { id: 'ordered', topics: ['rare'], deliveryMode: 'ORDERED' },
].map((settings) => ({ ...settings, temper: 'prompt', toggled: false }) as PlannedSubscription);

/** Most events are of the topics that many get. */
const topics = topicsOf(subscriptions);
const rare = topics.length - 1;

/** A request as the receiver got it, of which delivery it is, and in which life of the server it was sent. */
export interface Sent extends Received, SentIn {}

type News = 'acknowledged' | 'received';

/** What was under way at one kill. */
export interface CutShort {
  readonly publishes: number;
  /** Deliveries of acknowledged events that nobody had received. */
  readonly owed: number;
  /** Requests that were received in this life. */
  readonly received: number;
}

export interface Outlived {
  /** Acknowledged events, each with its topic. */
  readonly published: ReadonlyMap<string, string>;
  readonly offered: ReadonlySet<string>;
  readonly requests: readonly Sent[];
  readonly lives: readonly Life[];
  readonly kills: readonly CutShort[];
}

/** A server that is killed while it takes events and delivers them as fast as it can, its publishers, who repeat what was not answered, and its receiver. */
export class FullSpeed {
  readonly #home: Home;
  readonly #random: Random;
  readonly #client = new TenaciousClient(publishers);
  readonly #published = new Map<string, string>();
  readonly #offered = new Set<string>();
  readonly #requests: Sent[] = [];
  readonly #reached = new Set<string>();
  readonly #lives: Life[] = [];
  readonly #kills: CutShort[] = [];
  #acknowledged = 0;
  #receivedInLife = 0;
  #bornMs = 0;
  #latest: News = 'received';
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(home: Home, seed: number) {
    this.#home = home;
    this.#random = randomOf(seed);
  }

  /** Kills the server so many times, and once more when nobody publishes any longer; in the end all that was acknowledged has been received, and it was stopped in peace. */
  async run(kills: number): Promise<Outlived> {
    const receiver = await startReceiverProcess((received) => this.#take(received));
    let server: ServerProcess | undefined;
    try {
      server = await this.#start();
      const { rootKey } = server;
      await this.#subscribe(receiver, rootKey);
      const stop = new AbortController();
      const publishing = Promise.all(Array.from({ length: publishers }, () => this.#publish(rootKey, stop.signal)));
      const busy = publishing.then(() => Promise.reject(new Error('the publishers have stopped')));
      for (let kill = 0; kill < kills; kill += 1) server = await Promise.race([this.#killAtFullSpeed(server, receiver), busy]);
      busy.catch(() => undefined);
      stop.abort();
      await publishing;
      // Nothing new wakes anybody to what is owed now.
      server = await this.#killAndRestart(server, receiver);
      await this.#settle(rootKey);
      await this.#client.down();
      await server.stop();
      await receiver.drained();
      this.#endLife(false);
    } finally {
      await server?.stop();
      await receiver.close();
    }
    return { published: this.#published, offered: this.#offered, requests: this.#requests, lives: this.#lives, kills: this.#kills };
  }

  /** Deliveries of acknowledged events that have not been received. What was received before it was acknowledged counts against others. */
  get #owed(): number {
    return this.#acknowledged - this.#reached.size;
  }

  async #start(): Promise<ServerProcess> {
    this.#bornMs = Date.now();
    const environment = { ...(await this.#home.environment()), KF_LOG_LEVEL: 'warn', KF_RETRY_SCHEDULE: '0s,1s,1s,1s,1s,1s,1s,1s' };
    const server = await startServer({ dataDir: this.#home.dataDir, environment });
    this.#client.up(server.url);
    return server;
  }

  /** At a moment of chance, but only when requests are under way from and to it; often at the very moment of an acknowledgement. */
  async #killAtFullSpeed(server: ServerProcess, receiver: ReceiverProcess): Promise<ServerProcess> {
    const enough = leastOfLife + this.#random.below(moreOfLife);
    const moment = this.#random.pick<News>(['acknowledged', 'received']);
    const standstill = new AbortController();
    const isStill = delay(standstillMs, undefined, { signal: standstill.signal }).then(() => Promise.reject(new Error(`after ${this.#lives.length} kills ${this.#receivedInLife} of ${enough} requests came in ${standstillMs} ms, and ${this.#owed} are owed`)));
    while (this.#receivedInLife < enough || this.#client.underWay === 0 || this.#owed <= 0 || this.#latest !== moment) await Promise.race([this.#news.promise, isStill]);
    isStill.catch(() => undefined);
    standstill.abort();
    return await this.#killAndRestart(server, receiver);
  }

  async #killAndRestart(server: ServerProcess, receiver: ReceiverProcess): Promise<ServerProcess> {
    const cutShort = { publishes: this.#client.underWay, owed: this.#owed, received: this.#receivedInLife };
    await server.kill();
    await receiver.drained();
    this.#kills.push(cutShort);
    this.#endLife(true);
    await this.#client.down();
    return await this.#start();
  }

  /** Until all that is owed was received, or nothing more comes: what is missing then is for who looks at the answer. */
  async #settle(rootKey: string): Promise<void> {
    for (let seen = -1; this.#owed > 0 && this.#requests.length > seen; ) {
      seen = this.#requests.length;
      await eventually('news', () => (this.#owed <= 0 || this.#requests.length > seen ? true : undefined), quietMs).catch(() => undefined);
    }
    const isOver = async (): Promise<true | undefined> => (/^countersign_deliveries_open 0$/m.test(await this.#client.text('/metrics', rootKey)) ? true : undefined);
    if (this.#owed <= 0) await eventually('nothing open', isOver, 2 * quietMs);
  }

  #endLife(isKilled: boolean): void {
    this.#lives.push({ fromMs: this.#bornMs, toMs: Date.now(), isKilled });
    this.#receivedInLife = 0;
  }

  async #subscribe({ url }: ReceiverProcess, root: string): Promise<void> {
    const commands = new GovernedCommands({ client: this.#client, keys: { root, approver: '' }, random: this.#random, site, steady: [], toggled: [], onAcknowledged: () => undefined });
    for (const { id, topics: wanted, deliveryMode } of subscriptions) await commands.subscribe(id, { eventPattern: wanted.map((topic) => `${topic}.*`).join(','), targetUrl: `${url}/${id}`, deliveryMode });
  }

  #take(received: Received): void {
    const { id } = JSON.parse(received.body) as { readonly id: string };
    this.#requests.push({ ...received, deliveryId: String(received.headers['webhook-id']), life: this.#lives.length });
    this.#reached.add(`${received.path} ${id}`);
    this.#receivedInLife += 1;
    this.#tell('received');
  }

  /** One request after the other, each as soon as the one before was answered. */
  async #publish(apiKey: string, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      if (this.#owed > mostOwed) await this.#news.promise;
      else await this.#publishOnce(apiKey);
    }
  }

  async #publishOnce(apiKey: string): Promise<void> {
    const events = Array.from({ length: eventsInOneRequest }, (_, index) => {
      const topic = topics[index === 0 ? rare : this.#random.below(rare)] ?? '';
      return { eventId: `evt-${this.#offered.size + index}`, type: `${topic}.happened`, data: { number: this.#random.below(1_000), filler: 'x'.repeat(200) } };
    });
    for (const { eventId } of events) this.#offered.add(eventId);
    const { items } = (await this.#client.post({ path: `/api/events?siteId=${site.tenant}`, body: events, apiKey })) as { readonly items: readonly { readonly eventId: string; readonly status: string }[] };
    const refused = items.filter(({ status }) => status === 'REFUSED');
    if (refused.length > 0 || items.length !== events.length) throw new Error(`of ${events.length} events ${refused.length} were refused and ${items.length} answered`);
    for (const { eventId, type } of events) {
      const topic = type.split('.')[0] ?? '';
      this.#published.set(eventId, topic);
      this.#acknowledged += receiversOf(topic).length;
    }
    this.#tell('acknowledged');
  }

  #tell(news: News): void {
    this.#latest = news;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Which subscriptions get the events of a topic. */
export const receiversOf = (topic: string): readonly string[] => subscriptions.filter(({ topics: wanted }) => wanted.includes(topic)).map(({ id }) => id);
