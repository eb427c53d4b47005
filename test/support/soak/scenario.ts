import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventStore } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { type Position, type RecordedEvent, Secret, startOfLog } from '#kernel';
import { createSecretVault, loadMasterKeys, type SecretVault } from '#secret-vault';
import { type Random, randomOf } from '../../simulation/random.ts';
import { type Acknowledged, createKeys, type Keys } from '../kill/governed.ts';
import { secretsAreKept } from '../kill/promises.ts';
import { type RedisProcess, startRedis } from '../redis-server.ts';
import { randomIds } from '../vault.ts';
import { systemClock } from '../webhook-receivers.ts';
import { Fleet } from './fleet.ts';
import { FleetClient, type SlowReply } from './fleet-client.ts';
import { Load } from './load.ts';
import { type Fault, nameOfFault, site, type SoakPlan } from './plan.ts';
import { type AskedAgain, deadLetteredIn, deliveredIn, deliveriesIn, expectedDeliveries, type Period, type Sender, sentBy, type SentRequest } from './promises.ts';
import { type SoakReceiver, startSoakReceiver } from './receiver.ts';
import { startStoreProcess, type StoreProcess } from './store.ts';

/** A process starts and reads its log within so long, so that it can be asked. */
const readyWithinMs = 60_000;
const lookEveryMs = 250;

/** A fault, and when it was. */
export interface Endured {
  readonly fault: Fault;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What was seen of a run, from all sides. */
export interface Survived {
  readonly events: readonly RecordedEvent[];
  readonly requests: readonly SentRequest[];
  readonly senders: readonly Sender[];
  readonly faults: readonly Endured[];
  readonly published: readonly string[];
  readonly offered: ReadonlySet<string>;
  readonly acknowledged: readonly Acknowledged[];
  readonly repeats: readonly AskedAgain[];
  readonly repeated: ReadonlyMap<string, number>;
  readonly slow: readonly SlowReply[];
  /** From the last fault, and the last event, until everything was delivered; null: it was not in time. */
  readonly settledAfterMs: number | null;
  /** What stood against it in the end, in words. */
  readonly troubles: readonly string[];
  /** Processes that ended at their start, because they found no store. */
  readonly vainStarts: number;
  readonly alarms: ReadonlyMap<string, number>;
  /** What is wrong with the secrets that were chosen or shown, in words. */
  readonly secrets: readonly string[];
}

/** Several servers on one log, which are killed while they are busy and everything around them fails, their clients, and their receiver. */
export class SoakScenario {
  readonly #plan: SoakPlan;
  readonly #say: (line: string) => void;
  readonly #random: Random;
  readonly #masterKey = randomBytes(32).toString('base64');
  readonly #rootKey = `root-${randomBytes(16).toString('hex')}`;
  readonly #client: FleetClient;
  readonly #endured: Endured[] = [];
  readonly #events: RecordedEvent[] = [];
  #readUpTo: Position = startOfLog;

  constructor(plan: SoakPlan, say: (line: string) => void) {
    this.#plan = plan;
    this.#say = say;
    this.#random = randomOf(plan.seed);
    this.#client = new FleetClient(this.#random);
  }

  /** Does all of it. What was promised is to be looked up in what it answers; it throws only when nothing can be said. */
  async run(): Promise<Survived> {
    const opened: (() => Promise<void>)[] = [];
    try {
      return await this.#runIn(opened);
    } finally {
      for (const close of opened.toReversed()) await close();
    }
  }

  async #runIn(opened: (() => Promise<void>)[]): Promise<Survived> {
    const plan = this.#plan;
    const client = this.#client;
    const store = await startStoreProcess();
    opened.push(() => store.close());
    const redis = plan.redis ? await startRedis() : undefined;
    if (redis !== undefined) opened.push(() => redis.dispose());
    const receiver = await startSoakReceiver(plan.seed);
    opened.push(() => receiver.close());
    const fleet = new Fleet(this.#environment(store, redis), { onUp: (member) => client.up(member), onDown: (server) => client.down(server) });
    opened.push(() => fleet.end());
    const log = await openEventStoreDb({ connectionString: new Secret(store.url), clock: systemClock, onTrouble: () => undefined });
    opened.push(() => log.close());
    for (let server = 0; server < plan.servers; server += 1) await fleet.start(server);
    const keys = await this.#keys(fleet);
    const load = new Load(plan, client, keys, this.#random);
    await load.subscribe(receiver.url);
    await this.#warmUp(load, receiver);
    await this.#storm(load, { fleet, store, redis });
    const settled = await this.#settle(load, { receiver, log, fleet, keys });
    const repeats = await this.#askAgain(load.acknowledged);
    for (const { server } of fleet.members) await fleet.stop(server);
    await receiver.flush();
    await this.#readOn(log);
    const secrets = await secretsAreKept(this.#events, load.acknowledged, await this.#vault(log));
    const survived = this.#survived(load, fleet, receiver, { ...settled, repeats, secrets });
    if (survived.troubles.length === 0) opened.push(() => fleet.remove());
    return survived;
  }

  #environment({ url }: StoreProcess, redis: RedisProcess | undefined): Readonly<Record<string, string>> {
    return {
      KF_EVENT_STORE: url,
      ...(redis === undefined ? {} : { KF_REDIS: `redis://127.0.0.1:${redis.port}` }),
      KF_MASTER_KEY: this.#masterKey,
      KF_ROOT_KEY: this.#rootKey,
      KF_LOG_LEVEL: 'warn',
      KF_RETRY_SCHEDULE: ['0s', '300ms', '500ms', ...Array.from({ length: 27 }, () => '1s')].join(','),
    };
  }

  async #keys(fleet: Fleet): Promise<Keys> {
    const keys = await createKeys(this.#client, this.#rootKey, site);
    for (const { server } of fleet.members) await this.#eventually(`server ${server} knows the keys`, async () => (await this.#client.text(server, `/api/keys?waitFor=${keys.position}`, this.#rootKey)) !== '');
    return keys;
  }

  /** Until every subscription was sent something: leases are given away only when all that may have been there before has run out. */
  async #warmUp(load: Load, receiver: SoakReceiver): Promise<void> {
    await load.publishAll('begun');
    await this.#eventually('a request to each', async () => {
      await receiver.flush();
      return new Set(receiver.seen.map(({ subscriptionId }) => subscriptionId)).size === this.#plan.subscriptions.length;
    });
  }

  /** The load, and all faults at their time. */
  async #storm(load: Load, parts: Breakable): Promise<void> {
    const fromMs = performance.now();
    const over = new AbortController();
    const { signal } = over;
    const commanding = load.command(signal);
    const breaking = this.#plan.faults.map(async ({ atMs, fault }) => {
      await delay(Math.max(0, fromMs + atMs - performance.now()), undefined, { signal });
      await this.#endure(fault, parts);
    });
    try {
      await Promise.race([Promise.all([load.publish(), ...breaking]), commanding]);
    } finally {
      over.abort();
      await Promise.allSettled([commanding, ...breaking]);
    }
    await commanding;
  }

  async #endure(fault: Fault, parts: Breakable): Promise<void> {
    const fromMs = Date.now();
    const happened = await this.#break(fault, parts);
    if (!happened) return;
    this.#endured.push({ fault, fromMs, toMs: Date.now() });
  }

  /** False: it could not be, because what was to break was broken already. */
  async #break(fault: Fault, parts: Breakable): Promise<boolean> {
    if ('server' in fault && !parts.fleet.isRunning(fault.server)) return false;
    this.#say(nameOfFault(fault));
    await begin(fault, parts);
    if ('forMs' in fault) await delay(fault.forMs);
    await end(fault, parts);
    return true;
  }

  /** From now on nothing fails: everything is delivered, and every server is as it should be. */
  async #settle(load: Load, { receiver, log, fleet, keys }: Settling): Promise<{ readonly settledAfterMs: number | null; readonly troubles: readonly string[] }> {
    this.#say('from now on nothing fails');
    receiver.calm();
    await load.commands.resumeAll();
    await load.publishAll('ended');
    const fromMs = performance.now();
    const replayed = new Set<string>();
    for (;;) {
      await this.#readOn(log);
      const open = this.#open();
      for (const deliveryId of this.#deadLettersAmong(open, replayed)) if (await load.replay(deliveryId)) replayed.add(deliveryId);
      const troubles = [...(open.length === 0 ? [] : [`${open.length} deliveries are open, among them ${open[0]}`]), ...fleet.endedByThemselves, ...(await this.#unready(fleet, keys))];
      const afterMs = performance.now() - fromMs;
      if (troubles.length === 0 && (await receiver.flush()) === 0) return { settledAfterMs: Math.round(afterMs), troubles };
      if (afterMs > this.#plan.settleWithinMs) return { settledAfterMs: null, troubles };
      await delay(lookEveryMs);
    }
  }

  /** What is not delivered yet. */
  #open(): readonly string[] {
    const delivered = new Set(deliveredIn(this.#events));
    const scheduled = deliveriesIn(this.#events);
    const pairs = new Set(scheduled.map(({ subscriptionId, eventId }) => `${subscriptionId} ${eventId}`));
    const unscheduled = [...expectedDeliveries(this.#events, this.#plan.subscriptions)].filter((pair) => !pairs.has(pair));
    return [...scheduled.flatMap(({ deliveryId }) => (delivered.has(deliveryId) ? [] : [deliveryId])), ...unscheduled];
  }

  #deadLettersAmong(open: readonly string[], replayed: ReadonlySet<string>): readonly string[] {
    const dead = new Set(deadLetteredIn(this.#events));
    return open.filter((id) => dead.has(id) && !replayed.has(id));
  }

  /** Servers that are not ready, or think that something is open. Without Redis only one can do the work, and the others say so. */
  async #unready(fleet: Fleet, keys: Keys): Promise<readonly string[]> {
    const looked = await Promise.all(
      fleet.members.map(async ({ server }) => {
        const metrics = await this.#client.text(server, '/metrics', keys.root);
        if (!/^countersign_deliveries_open 0$/m.test(metrics)) return [`server ${server} has open deliveries`];
        return this.#plan.redis && (await this.#client.text(server, '/health/ready', keys.root)) === '' ? [`server ${server} is not ready`] : [];
      }),
    );
    return looked.flat();
  }

  async #askAgain(acknowledged: readonly Acknowledged[]): Promise<readonly AskedAgain[]> {
    this.#say(`asking ${acknowledged.length} commands again`);
    const repeats: AskedAgain[] = [];
    for (const first of acknowledged) {
      const reply = await this.#client.once(first.asked);
      repeats.push({ first, again: typeof reply === 'object' && reply.status === 200 ? (reply.body as Readonly<Record<string, unknown>>) : JSON.stringify(reply) });
    }
    return repeats;
  }

  async #readOn(log: EventStore): Promise<void> {
    for (let caughtUp = false; !caughtUp; ) {
      const batch = await log.readAll(this.#readUpTo, undefined, 1_000);
      this.#events.push(...batch.events);
      this.#readUpTo = batch.position;
      ({ caughtUp } = batch);
    }
  }

  async #vault(store: EventStore): Promise<SecretVault> {
    const parts = { store, clock: systemClock, ids: randomIds };
    const masterKeys = await loadMasterKeys({ ...parts, dataDir: '/nowhere', masterKey: new Secret(this.#masterKey), previousMasterKey: undefined, shared: true, logIsEmpty: false });
    return createSecretVault({ ...parts, masterKeys, secretsDir: '/nowhere', environmentSecrets: () => undefined });
  }

  #survived(load: Load, fleet: Fleet, receiver: SoakReceiver, rest: Pick<Survived, 'settledAfterMs' | 'troubles' | 'repeats' | 'secrets'>): Survived {
    const senders = fleet.lives.map((life): Sender => ({ ...life, ports: fleet.portsOf(life) }));
    const { published, offered, acknowledged } = load;
    const { repeated, slow } = this.#client;
    return { ...rest, events: this.#events, requests: sentBy(receiver.seen, senders), senders, faults: this.#endured, published, offered, acknowledged, repeated, slow, vainStarts: fleet.vainStarts, alarms: alarmsIn(fleet.said()) };
  }

  async #eventually(awaited: string, look: () => Promise<boolean>): Promise<void> {
    for (const deadline = performance.now() + readyWithinMs; !(await look()); await delay(lookEveryMs)) {
      if (performance.now() > deadline) throw new Error(`${awaited}: not within ${readyWithinMs} ms`);
    }
  }
}

interface Breakable {
  readonly fleet: Fleet;
  readonly store: StoreProcess;
  readonly redis: RedisProcess | undefined;
}

async function begin(fault: Fault, { fleet, store, redis }: Breakable): Promise<unknown> {
  switch (fault.kind) {
    case 'kill':
      return await fleet.kill(fault.server);
    case 'stop':
      return await fleet.stop(fault.server);
    case 'suspend':
      return fleet.suspend(fault.server);
    case 'redis-emptied':
      return await redis?.client.flushall();
    case 'redis-away':
      return await redis?.kill();
    case 'redis-hangs':
      return redis?.pause();
    case 'store':
      return await store.begin(fault.fault);
  }
}

async function end(fault: Fault, { fleet, store, redis }: Breakable): Promise<unknown> {
  switch (fault.kind) {
    case 'kill':
      return await fleet.start(fault.server, fault);
    case 'stop':
      return await fleet.start(fault.server);
    case 'suspend':
      return fleet.resume(fault.server);
    case 'redis-emptied':
      return undefined;
    case 'redis-away':
      return await redis?.start();
    case 'redis-hangs':
      return redis?.resume();
    case 'store':
      return await store.behave();
  }
}

interface Settling {
  readonly receiver: SoakReceiver;
  readonly log: EventStore;
  readonly fleet: Fleet;
  readonly keys: Keys;
}

/** An append that has no answer is given up after 3 s, and tried again within 2 s. */
const storeTroubleLastsMs = 5_000;

/** When the store was in trouble, and for how long that is felt. */
export const storeTroubles = (faults: readonly Endured[]): readonly Period[] => faults.filter(({ fault }) => fault.kind === 'store').map(({ fromMs, toMs }) => ({ fromMs, toMs: toMs + storeTroubleLastsMs }));

/** When it could not be reached at all. */
export const outages = (faults: readonly Endured[]): readonly Period[] => faults.filter(({ fault }) => fault.kind === 'store' && fault.fault === 'down');

function alarmsIn(lines: readonly string[]): ReadonlyMap<string, number> {
  const alarms = new Map<string, number>();
  for (const line of lines) {
    const [, alarm] = /"alarm":"([a-z-]+)"/.exec(line) ?? [];
    if (alarm !== undefined) alarms.set(alarm, (alarms.get(alarm) ?? 0) + 1);
  }
  return alarms;
}
