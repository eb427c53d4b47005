import { describe, expect, it } from '@jest/globals';
import { partitionOf } from '#dispatching';
import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import { comparePositions } from '#kernel';
import { DispatchingWorld, type Sent, site } from '../../test/support/dispatching-world.ts';
import { type Random, randomOf } from '../../test/simulation/random.ts';

const modes = { alpha: 'AT_LEAST_ONCE', beta: 'ORDERED', gamma: 'ORDERED', delta: 'AT_LEAST_ONCE' } as const;
type Name = keyof typeof modes;
const names = Object.keys(modes) as Name[];
const ended = ['DELIVERED', 'DEAD_LETTERED'];
const trustMs = 1_000;

interface Switches {
  /** Partitions are lost, not only handed over: who had them finds out later. */
  readonly losses: boolean;
  readonly crashes: boolean;
}

/** One of several processes on a log, with what it believes to be its own. */
class Process {
  readonly world: DispatchingWorld;
  /** Taken, and neither released nor lost since. */
  readonly taken = new Set<number>();
  /** It could not renew its leases for a moment. */
  isUnsure = false;

  constructor(world: DispatchingWorld) {
    this.world = world;
  }
}

/** Three processes and the leases of four partitions: everything happens at random for a while, then it calms down and everything must have ended. */
class Run {
  readonly violations: string[] = [];
  readonly #switches: Switches;
  readonly #random: Random;
  readonly #processes: readonly Process[];
  readonly #first: DispatchingWorld;
  /** Whose lease it is; a partition that is being handed over is still its old owner's. */
  readonly #owners = new Map<number, Process>();
  readonly #turns = new Map<number, number>();
  readonly #pausedSince = new Map<Name, number>();
  readonly #deliveries = new Map<string, Name>();
  /** Requests whose process died before their outcome was in the log. */
  readonly #lost = new Map<string, number>();
  #calm = false;
  #events = 0;

  constructor(seed: number, switches: Switches) {
    this.#random = randomOf(seed);
    this.#switches = switches;
    this.#first = new DispatchingWorld(seed);
    const worlds = [this.#first, new DispatchingWorld(seed + 1_000, this.#first), new DispatchingWorld(seed + 2_000, this.#first)];
    this.#processes = worlds.map((world) => new Process(world));
    for (const process of this.#processes) this.#furnish(process);
  }

  #furnish(process: Process): void {
    const { world } = process;
    world.limits = { window: 4, waiting: 12, perSubscription: 2, inFlight: 5, unrecorded: 6, viewTrustMs: trustMs };
    world.schedule = [0, 1_000, 5_000, 20_000];
    world.reply = (request) => this.#reply(process, request);
    world.fault = () => this.#fault();
    world.held = (partition) => this.#owners.get(partition) === process && !process.isUnsure;
  }

  #fault() {
    const { clock } = this.#first;
    if (this.#calm || !this.#random.chance(0.1)) return undefined;
    if (this.#random.chance(0.4)) return { stall: new Promise<void>((resolve) => void clock.after(this.#random.below(3_000), resolve)) };
    return this.#random.chance(0.5) ? { before: new StoreUnavailable('away') } : { after: new OutcomeUnknown('no answer') };
  }

  #reply(process: Process, request: Sent) {
    const to = this.#deliveries.get(request.webhookId);
    if (to === undefined) this.violations.push(`unknown delivery ${request.webhookId}`);
    else this.#look(process, request, to);
    if (this.#calm) return 200;
    return this.#random.pick([200, 200, 200, 500, 429, { error: 'timeout', afterMs: 2_000 }, { status: 200, afterMs: 900 }, { status: 200, afterMs: 4_000 }] as const);
  }

  #look(process: Process, { webhookId, eventId }: Sent, to: Name): void {
    const partition = partitionOf(site, to);
    if (!process.taken.has(partition)) this.violations.push(`${eventId} was sent to ${to} by a process that had given it up`);
    if (!process.world.held(partition)) this.violations.push(`${eventId} was sent to ${to} by a process that did not hold it`);
    if (this.#first.clock.monotonicMs() - (this.#pausedSince.get(to) ?? Infinity) > trustMs) this.violations.push(`${eventId} was sent to ${to} long after it was paused`);
    if (modes[to] !== 'ORDERED') return;
    const before = [...this.#deliveries].filter(([id, name]) => name === to && this.#isBefore(id, webhookId));
    for (const [id] of before) if (!ended.includes(this.#first.delivery(id).status)) this.violations.push(`${eventId} overtook ${id}`);
  }

  #isBefore(id: string, other: string): boolean {
    const [a, b] = [id, other].map((one) => this.#first.deliveryEvents(one)[0]?.position ?? '0');
    return comparePositions(a ?? '0', b ?? '0') < 0;
  }

  // Leases

  #living(): readonly Process[] {
    return this.#processes.filter(({ world }) => world.dispatcher !== undefined);
  }

  #give(partition: number): void {
    const next = this.#random.pick(this.#living());
    this.#owners.set(partition, next);
    this.#turns.set(partition, (this.#turns.get(partition) ?? 0) + 1);
    // Its read model has reached the head.
    next.world.commit();
    next.taken.add(partition);
    void next.world.dispatcher?.take([partition]);
  }

  #handOver(partition: number): void {
    const owner = this.#owners.get(partition);
    if (owner?.taken.delete(partition) !== true) return;
    const turn = this.#turns.get(partition);
    void owner.world.dispatcher?.release([partition]).then(() => {
      if (this.#turns.get(partition) === turn) this.#give(partition);
    });
  }

  /** Whoever had it hears of it when somebody else may have it already. */
  #lose(partition: number): void {
    const owner = this.#owners.get(partition);
    this.#give(partition);
    if (owner === undefined || this.#owners.get(partition) === owner) return;
    const lost = owner.world.dispatcher;
    this.#first.clock.after(this.#random.below(500), () => {
      if (owner.world.dispatcher !== lost || this.#owners.get(partition) === owner) return;
      owner.taken.delete(partition);
      void lost?.lose([partition]);
    });
  }

  async #crash(): Promise<void> {
    const process = this.#random.pick(this.#living());
    if (this.#living().length === 1) return;
    this.#countLost(process);
    process.world.kill();
    process.taken.clear();
    for (const [partition, owner] of this.#owners) if (owner === process) this.#give(partition);
    await this.#first.clock.advance(this.#random.below(2_000));
    if (this.#random.chance(0.7)) await process.world.start([]);
  }

  #countLost({ world }: Process): void {
    for (const id of this.#deliveries.keys()) if (world.dispatcher?.isInFlight(id) === true) this.#lost.set(id, (this.#lost.get(id) ?? 0) + 1);
  }

  // Everything else

  async #step(): Promise<void> {
    const name = this.#random.pick(names);
    const partition = partitionOf(site, name);
    const steps: readonly (readonly [number, () => void | Promise<void>])[] = [
      [0.4, () => this.#publish(name)],
      [0.5, () => this.#pauseOrResume(name)],
      [0.58, () => this.#follow()],
      [0.64, () => this.#slowDown()],
      [0.68, () => this.#doubt()],
      [0.82, () => this.#handOver(partition)],
      [this.#switches.losses ? 0.92 : 0, () => this.#lose(partition)],
      [this.#switches.crashes ? 0.96 : 0, () => this.#crash()],
    ];
    const dice = this.#random.below(1_000) / 1_000;
    await steps.find(([below]) => dice < below)?.[1]();
    await this.#first.clock.advance(this.#random.below(700));
  }

  #slowDown(): void {
    const { clock } = this.#first;
    const { world } = this.#random.pick(this.#processes);
    const late = this.#random.chance(0.6);
    const slow = (): Promise<void> | undefined => (late ? new Promise((resolve) => void clock.after(this.#random.below(1_500), resolve)) : undefined);
    world.readModel.slow = slow;
    world.readModel.slowLanes = slow;
  }

  #doubt(): void {
    const process = this.#random.pick(this.#processes);
    process.isUnsure = !process.isUnsure;
  }

  #follow(): void {
    const { world } = this.#random.pick(this.#processes);
    world.follows = !world.follows;
    if (world.follows) world.commit();
  }

  async #publish(name: Name): Promise<void> {
    const count = 1 + this.#random.below(5);
    for (let n = 0; n < count; n += 1) {
      this.#events += 1;
      await this.#first.publish(`e${this.#events}`, []);
      await this.#schedule(`e${this.#events}`, name);
    }
  }

  /** The delivery is known here before it can be sent. */
  async #schedule(eventId: string, to: Name): Promise<void> {
    const following = this.#processes.filter(({ world }) => world.follows);
    for (const { world } of following) world.follows = false;
    this.#deliveries.set(await this.#first.scheduleDelivery(eventId, to), to);
    for (const { world } of following) world.follows = true;
    for (const { world } of following) world.commit();
  }

  /** By a command on one of the processes. */
  async #pauseOrResume(name: Name): Promise<void> {
    if (this.#pausedSince.delete(name)) return void (await this.#first.onSubscription(name, { type: 'WebhookSubscriptionResumed', data: {} }));
    await this.#first.onSubscription(name, { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } });
    await this.#random.pick(this.#living()).world.dispatcher?.pauseSeen(site, name);
    this.#pausedSince.set(name, this.#first.clock.monotonicMs());
  }

  async go(): Promise<void> {
    for (const name of names) await this.#first.subscribe(name, modes[name]);
    for (const { world } of this.#processes) await world.start([]);
    for (const name of names) this.#give(partitionOf(site, name));
    for (let step = 0; step < 80; step += 1) await this.#step();
    await this.#calmDown();
    this.#judge();
  }

  async #calmDown(): Promise<void> {
    this.#calm = true;
    for (const process of this.#processes) {
      const { world } = process;
      process.isUnsure = false;
      world.readModel.slow = () => undefined;
      world.readModel.slowLanes = () => undefined;
      world.follows = true;
      world.commit();
      if (world.dispatcher === undefined) await world.start([]);
    }
    for (const name of [...this.#pausedSince.keys()]) await this.#pauseOrResume(name);
    await this.#first.clock.advance(120_000);
  }

  #judge(): void {
    for (const [id, to] of this.#deliveries) {
      const { status } = this.#first.delivery(id);
      if (!ended.includes(status)) this.violations.push(`${id} to ${to} is ${status}`);
      this.#judgeRequests(id);
      this.#judgeOutcomes(id);
    }
    for (const { world, taken } of this.#processes) {
      const { lanes, failing: _, ...stats } = world.dispatcher?.stats() ?? { lanes: 0, failing: 0 };
      if (JSON.stringify(stats) !== '{"waiting":0,"sending":0,"unrecorded":0}') this.violations.push(`not idle: ${JSON.stringify(stats)}`);
      if (lanes > taken.size) this.violations.push(`${lanes} subscriptions are known, ${taken.size} partitions taken`);
    }
  }

  #judgeRequests(id: string): void {
    const requests = this.#first.sent.filter(({ webhookId }) => webhookId === id).length;
    const outcomes = this.#first.deliveryEvents(id).length - 1;
    const transcripts = this.#first.transcripts().filter(({ deliveryId }) => deliveryId === id).length;
    if (outcomes > requests || requests - outcomes > (this.#lost.get(id) ?? 0) || transcripts < outcomes) {
      this.violations.push(`${id}: ${requests} requests, ${outcomes} outcomes, ${transcripts} transcripts`);
    }
  }

  #judgeOutcomes(id: string): void {
    const types = this.#first.deliveryEvents(id).map(({ type }) => type);
    const delivered = types.filter((type) => type === 'WebhookDeliverySucceeded').length;
    if (delivered !== Number(this.#first.delivery(id).status === 'DELIVERED')) this.violations.push(`${id} was delivered ${delivered} times`);
    const { losses, crashes } = this.#switches;
    if (!losses && !crashes && types.includes('WebhookDeliveryDuplicateAttempted')) this.violations.push(`${id} was attempted twice`);
  }
}

const seeds = Array.from({ length: 8 }, (_, index) => index + 1);

describe('several processes share a log, and partitions move between them', () => {
  it.each(seeds)('handed over: every delivery ends once, in order, each request is recorded, nobody sends what is not theirs (seed %d)', async (seed) => {
    const run = new Run(seed, { losses: false, crashes: false });
    await run.go();
    expect(run.violations).toEqual([]);
  });

  it.each(seeds)('lost as well: the same, but for requests made twice (seed %d)', async (seed) => {
    const run = new Run(seed, { losses: true, crashes: false });
    await run.go();
    expect(run.violations).toEqual([]);
  });

  it.each(seeds)('through crashes as well: the same, but for requests of those who died (seed %d)', async (seed) => {
    const run = new Run(seed, { losses: true, crashes: true });
    await run.go();
    expect(run.violations).toEqual([]);
  });
});
