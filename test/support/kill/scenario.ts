import { setTimeout as delay } from 'node:timers/promises';
import { type Random, randomOf } from '../../simulation/random.ts';
import type { Home } from '../e2e/home.ts';
import { type Received, type ReceiverProcess, startReceiverProcess } from '../receiver.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { createKeys, type Keys } from './governed.ts';
import { site, steady, toggled } from './installation.ts';
import { TenaciousClient } from './tenacious-client.ts';
import { Workload } from './workload.ts';

/** How many requests, and how many deliveries, must be under way when the server is killed. */
export const underWayAtLeast = 100;
const lanes = 140;
const kept = underWayAtLeast + 10;

/** What was under way at one kill. */
export interface Killed {
  readonly requests: number;
  readonly deliveries: number;
}

export interface Survived {
  readonly workload: Workload;
  readonly received: readonly Received[];
  readonly kills: readonly Killed[];
  readonly repeatedRequests: number;
}

/** A server that is killed while it is busy, its clients, who repeat what was not answered, and its receiver. */
export class KillScenario {
  readonly #home: Home;
  readonly #random: Random;
  readonly #client = new TenaciousClient(lanes);
  readonly #received: Received[] = [];
  readonly #kills: Killed[] = [];
  #deliveriesUnderWay = 0;
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(home: Home, seed: number) {
    this.#home = home;
    this.#random = randomOf(seed);
  }

  /** Kills the server so many times; in the end everything was answered and delivered, and it was stopped in peace. */
  async run(kills: number): Promise<Survived> {
    const receiver = await startReceiverProcess((received, underWay) => {
      this.#received.push(received);
      this.#deliveriesUnderWay = underWay;
      this.#tell();
    });
    let server: ServerProcess | undefined;
    try {
      server = await this.#start();
      const keys = await this.#keys(server.rootKey);
      const workload = new Workload(this.#client, keys, this.#random, () => this.#tell());
      await workload.subscribe(receiver.url);
      receiver.keepOpen(kept);
      const stop = new AbortController();
      const busy = workload.run(lanes, stop.signal);
      for (let kill = 0; kill < kills; kill += 1) server = await Promise.race([this.#killAndRestart(server), busy.then(() => Promise.reject(new Error('the clients have stopped')))]);
      stop.abort();
      await busy;
      await this.#settle(workload, keys, receiver);
      await this.#client.down();
      return { workload, received: this.#received, kills: this.#kills, repeatedRequests: this.#client.repeated };
    } finally {
      await server?.stop();
      await receiver.close();
    }
  }

  async #start(): Promise<ServerProcess> {
    const environment = { ...(await this.#home.environment()), KF_LOG_LEVEL: 'warn', KF_RETRY_SCHEDULE: '0s,1s,1s,1s,1s,1s,1s,1s' };
    const server = await startServer({ dataDir: this.#home.dataDir, environment });
    // What the receiver said of requests of the server before has long been told.
    this.#deliveriesUnderWay = 0;
    this.#client.up(server.url);
    return server;
  }

  /** At a moment of chance, but only when enough is under way. */
  async #killAndRestart(server: ServerProcess): Promise<ServerProcess> {
    let more = this.#random.below(400);
    while (more > 0 || this.#client.underWay < underWayAtLeast || this.#deliveriesUnderWay < underWayAtLeast) {
      await this.#news.promise;
      more -= 1;
    }
    this.#kills.push({ requests: this.#client.underWay, deliveries: this.#deliveriesUnderWay });
    await server.kill();
    await this.#client.down();
    return await this.#start();
  }

  /** Everything is delivered: the last event has reached everybody, and nothing is open. */
  async #settle(workload: Workload, keys: Keys, receiver: ReceiverProcess): Promise<void> {
    receiver.keepOpen(0);
    await workload.finish();
    const lastEvent = workload.published.at(-1) ?? '';
    const reached = (): number => new Set(this.#received.filter(({ body }) => body.includes(lastEvent)).map(({ path }) => path)).size;
    while (reached() < steady.length + toggled.length) await this.#news.promise;
    while (!/^countersign_deliveries_open 0$/m.test(await this.#client.text('/metrics', keys.root))) await delay(50);
  }

  async #keys(root: string): Promise<Keys> {
    const keys = await createKeys(this.#client, root, site);
    await this.#client.text(`/api/keys?waitFor=${keys.position}`, root);
    return keys;
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
