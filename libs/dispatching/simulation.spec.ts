import { describe, expect, it } from '@jest/globals';
import { partitionOf } from '#dispatching';
import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import { comparePositions } from '#kernel';
import type { DeliveryMode } from '#subscriptions';
import { DispatchingWorld, type Sent, site } from '../../test/support/dispatching-world.ts';

const modes = { alpha: 'AT_LEAST_ONCE', beta: 'ORDERED', gamma: 'BEST_EFFORT', delta: 'AT_LEAST_ONCE' } as const;
type Name = keyof typeof modes;
const names = Object.keys(modes) as Name[];
const ended = ['DELIVERED', 'DEAD_LETTERED'];

interface Switches {
  /** The dispatcher is told of the log before the read model has it. */
  readonly reads: boolean;
  /** Processes die, and others write to delivery streams: only then may a request be made twice for one outcome. */
  readonly crashes: boolean;
  /** Subscriptions change their mode, are deleted and restored, what waits for a retry or was cancelled is replayed, and partitions leave and come back. */
  readonly commands: boolean;
}

/** One seeded run: everything happens at random for a while, then the world calms down and everything must have ended. */
class Run {
  readonly world: DispatchingWorld;
  readonly violations: string[] = [];
  readonly #switches: Switches;
  readonly #modes: Record<Name, DeliveryMode> = { ...modes };
  readonly #paused = new Set<Name>();
  /** Whether it was paused before. */
  readonly #deleted = new Map<Name, boolean>();
  readonly #away = new Set<Name>();
  readonly #cancelled = new Set<string>();
  /** Sent out of order, as replays of what had ended are. */
  readonly #reopened = new Set<string>();
  readonly #deliveries: { readonly id: string; readonly to: Name }[] = [];
  #calm = false;
  #state: number;
  #events = 0;

  constructor(seed: number, switches: Switches) {
    this.world = new DispatchingWorld(seed + 1_000);
    this.#state = seed * 2_654_435_761;
    this.#switches = switches;
    this.world.reads = switches.reads;
    this.world.limits = { window: 4, waiting: 12, perSubscription: 2, inFlight: 5, unrecorded: 6 };
    this.world.schedule = [0, 1_000, 5_000, 20_000];
    this.world.reply = (request) => this.#reply(request);
    this.world.fault = () => this.#fault();
  }

  #random(): number {
    this.#state = (Math.imul(this.#state ^ (this.#state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((this.#state ^ (this.#state >>> 13)) >>> 0) / 2 ** 32;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #oneOf<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  }

  #fault() {
    if (this.#calm || !this.#chance(0.15)) return undefined;
    if (this.#chance(0.3)) return { stall: new Promise<void>((resolve) => void this.world.clock.after(Math.floor(this.#random() * 3_000), resolve)) };
    return this.#chance(0.5) ? { before: new StoreUnavailable('away') } : { after: new OutcomeUnknown('no answer') };
  }

  #reply(request: Sent) {
    const to = this.#deliveries.find(({ id }) => id === request.webhookId)?.to;
    if (to === undefined) this.violations.push(`unknown delivery ${request.webhookId}`);
    else this.#look(request, to);
    if (this.#calm) return 200;
    return this.#oneOf([200, 200, 200, 500, 500, 429, { error: 'timeout', afterMs: 2_000 }, { status: 200, afterMs: 900 }] as const);
  }

  #look(request: Sent, to: Name): void {
    for (const [why, those] of Object.entries({ paused: this.#paused, deleted: this.#deleted, away: this.#away })) if (those.has(to)) this.violations.push(`${request.eventId} was sent to ${to} while it was ${why}`);
    if (this.#cancelled.has(request.webhookId)) this.violations.push(`${request.eventId} was sent to ${to} although it was cancelled`);
    if (this.#modes[to] !== 'ORDERED') return;
    const others = this.#deliveries.filter(({ id, to: other }) => other === to && this.#isBefore(id, request.webhookId) && !this.#reopened.has(id));
    for (const { id } of others) if (this.#isOpen(id)) this.violations.push(`${request.eventId} overtook ${id}`);
  }

  #isOpen(id: string): boolean {
    return !this.#cancelled.has(id) && !ended.includes(this.world.delivery(id).status);
  }

  #isBefore(id: string, other: string): boolean {
    const [a, b] = [id, other].map((one) => this.world.deliveryEvents(one)[0]?.position ?? '0');
    return comparePositions(a ?? '0', b ?? '0') < 0;
  }

  async #step(): Promise<void> {
    const { world } = this;
    const name = this.#oneOf(names);
    const steps: readonly (readonly [number, () => void | Promise<void>])[] = [
      ...(this.#switches.commands ? this.#commands(name) : []),
      [0.5, () => this.#publish(name)],
      [0.6, () => this.#pauseOrResume(name)],
      [0.7, () => this.#follow()],
      [0.73, () => this.world.commit(Math.floor(this.#random() * 8))],
      [0.75, () => this.#slowDown()],
      [0.78, () => this.#break()],
      [this.#switches.crashes ? 0.8 : 0, () => this.#crash()],
      [this.#switches.crashes ? 0.84 : 0, () => this.#touch()],
    ];
    const dice = this.#random();
    await steps.find(([below]) => dice < below)?.[1]();
    await world.clock.advance(Math.floor(this.#random() * 700));
    if ((world.dispatcher?.stats().waiting ?? 0) > 12 + 2 * 4 * names.length) this.violations.push('too much waits in memory');
  }

  #commands(name: Name): readonly (readonly [number, () => void | Promise<void>])[] {
    return [
      [0.1, () => this.#replay('SCHEDULED')],
      [0.12, () => this.#replay('cancelled')],
      [0.14, () => this.#changeMode(name)],
      [0.17, () => this.#deleteOrRestore(name)],
      [0.22, () => this.#leaveOrCome(name)],
      [0.24, () => this.#slowDownStreams()],
      [0.36, () => this.#pauseAndResume(name)],
    ];
  }

  /** By a command, which does not replay what is in flight. */
  async #replay(what: 'SCHEDULED' | 'cancelled'): Promise<void> {
    const { world } = this;
    const isMeant = (id: string): boolean => (what === 'cancelled' ? this.#cancelled.has(id) : this.#isOpen(id) && world.delivery(id).status === what);
    const some = this.#deliveries.filter(({ id, to }) => isMeant(id) && !this.#deleted.has(to) && world.dispatcher?.isInFlight(id) === false);
    if (some.length === 0) return;
    const { id, to } = this.#oneOf(some);
    if (this.#cancelled.delete(id)) this.#reopened.add(id);
    const whose = this.#chance(0.7) ? { subscriptionId: to } : {};
    await world.onDelivery(id, { type: 'WebhookDeliveryReplayRequested', data: { ...whose, resetAttempts: this.#chance(0.5), manual: false } });
    if (this.#chance(0.5)) await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
  }

  /** Each request that begins after it is of the new mode. */
  async #changeMode(name: Name): Promise<void> {
    if (this.#deleted.has(name)) return;
    const deliveryMode = this.#oneOf(['AT_LEAST_ONCE', 'ORDERED'] as const);
    if (deliveryMode !== 'ORDERED') this.#modes[name] = deliveryMode;
    await this.world.onSubscription(name, { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: `https://${name}/hook`, deliveryMode, description: null } });
    await this.world.dispatcher?.pauseSeen(site, name);
    await this.world.settle();
    this.#modes[name] = deliveryMode;
  }

  async #deleteOrRestore(name: Name): Promise<void> {
    const wasPaused = this.#deleted.get(name);
    if (wasPaused !== undefined) {
      this.#deleted.delete(name);
      if (wasPaused) this.#paused.add(name);
      await this.world.onSubscription(name, { type: 'WebhookSubscriptionRestored', data: {} });
      return;
    }
    await this.world.onSubscription(name, { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2099-01-01T00:00:00.000Z' } });
    await this.world.dispatcher?.pauseSeen(site, name);
    this.#deleted.set(name, this.#paused.delete(name));
    for (const { id, to } of this.#deliveries) if (to === name && this.#isOpen(id)) this.#cancelled.add(id);
  }

  /** Nobody else sends meanwhile. */
  async #leaveOrCome(name: Name): Promise<void> {
    const { dispatcher } = this.world;
    const those = names.filter((other) => partitionOf(site, other) === partitionOf(site, name));
    if (this.#away.has(name)) {
      this.world.commit();
      for (const one of those) this.#away.delete(one);
      void dispatcher?.take([partitionOf(site, name)]);
      return;
    }
    void (this.#chance(0.5) ? dispatcher?.lose([partitionOf(site, name)]) : dispatcher?.release([partitionOf(site, name)]));
    for (const one of those) this.#away.add(one);
    await this.world.settle();
  }

  #slowDownStreams(): void {
    const { clock } = this.world;
    const late = this.#chance(0.6);
    this.world.slowRead = (stream) => (late && stream.startsWith('webhookdelivery-') ? new Promise((resolve) => void clock.after(this.#random() * 900, resolve)) : undefined);
  }

  async #pauseAndResume(name: Name): Promise<void> {
    await this.#pauseOrResume(name);
    await this.world.clock.advance(Math.floor(this.#random() * 10));
    await this.#pauseOrResume(name);
  }

  #slowDown(): void {
    const { clock, readModel } = this.world;
    const late = this.#chance(0.6);
    readModel.slow = () => (late ? new Promise((resolve) => void clock.after(this.#random() * 1_500, resolve)) : undefined);
  }

  #break(): void {
    this.world.readModel.fault = this.#chance(0.7) ? undefined : new Error('busy');
  }

  async #publish(name: Name): Promise<void> {
    const count = 1 + Math.floor(this.#random() * 6);
    for (let n = 0; n < count; n += 1) {
      this.#events += 1;
      const eventId = `e${this.#events}`;
      await this.world.publish(eventId, []);
      await this.#schedule(eventId, name);
    }
  }

  /** The delivery is known here before it can be sent. */
  async #schedule(eventId: string, to: Name): Promise<void> {
    const { follows, reads } = this.world;
    this.world.follows = false;
    this.world.reads = false;
    const id = await this.world.scheduleDelivery(eventId, to);
    this.#deliveries.push({ id, to });
    this.world.follows = follows;
    this.world.reads = reads;
    if (reads) this.world.read();
    if (follows) this.world.commit();
  }

  async #pauseOrResume(name: Name): Promise<void> {
    if (this.#deleted.has(name)) return;
    if (this.#paused.delete(name)) {
      await this.world.onSubscription(name, { type: 'WebhookSubscriptionResumed', data: {} });
    } else {
      await this.world.onSubscription(name, { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } });
      await this.world.dispatcher?.pauseSeen(site, name);
      this.#paused.add(name);
    }
  }

  #follow(): void {
    this.world.follows = !this.world.follows;
    if (this.world.follows) this.world.commit();
  }

  async #crash(): Promise<void> {
    this.world.kill();
    await this.world.clock.advance(Math.floor(this.#random() * 2_000));
    this.world.readModel.fault = undefined;
    this.world.readModel.slow = () => undefined;
    this.#away.clear();
    await this.world.start();
  }

  /** A receipt, or a replay of a dead letter, appended by a command. */
  async #touch(): Promise<void> {
    const some = this.#deliveries.filter(({ to }) => to !== 'beta');
    if (some.length === 0) return;
    const { id } = this.#oneOf(some);
    const { status } = this.world.delivery(id);
    const replay = status === 'DEAD_LETTERED' && this.world.dispatcher?.isInFlight(id) === false;
    await this.world.onDelivery(id, replay ? { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: true, manual: false } } : { type: 'CommandExecuted', data: {} });
  }

  async go(): Promise<void> {
    for (const name of names) await this.world.subscribe(name, modes[name]);
    await this.world.start();
    for (let step = 0; step < 60; step += 1) await this.#step();
    this.#calm = true;
    this.world.readModel.fault = undefined;
    this.world.readModel.slow = () => undefined;
    this.world.follows = true;
    this.world.slowRead = () => undefined;
    this.world.commit();
    for (const name of [...this.#away]) if (this.#away.has(name)) await this.#leaveOrCome(name);
    for (const name of [...this.#deleted.keys()]) await this.#deleteOrRestore(name);
    for (const name of [...this.#paused]) await this.#pauseOrResume(name);
    await this.world.clock.advance(120_000);
    this.#judge();
  }

  #judge(): void {
    for (const { id, to } of this.#deliveries) {
      if (this.#isOpen(id)) this.violations.push(`${id} to ${to} is ${this.world.delivery(id).status}`);
      if (!this.#switches.crashes && !this.#switches.commands) this.#judgeRequests(id);
    }
    const { lanes: _, failing: __, ...stats } = this.world.dispatcher?.stats() ?? { lanes: 0, failing: 0 };
    if (JSON.stringify(stats) !== '{"waiting":0,"sending":0,"unrecorded":0}') this.violations.push(`not idle: ${JSON.stringify(stats)}`);
  }

  #judgeRequests(id: string): void {
    const requests = this.world.sent.filter(({ webhookId }) => webhookId === id).length;
    const outcomes = this.world.deliveryEvents(id).length - 1;
    const transcripts = this.world.transcripts().filter(({ deliveryId }) => deliveryId === id).length;
    if (requests !== outcomes || requests !== transcripts) this.violations.push(`${id}: ${requests} requests, ${outcomes} outcomes, ${transcripts} transcripts`);
    if (this.world.deliveryEvents(id).some(({ type }) => type === 'WebhookDeliveryDuplicateAttempted')) this.violations.push(`${id} was attempted twice`);
  }
}

const seeds = Array.from({ length: 15 }, (_, index) => index + 1);
/** Among them are those that showed what was wrong once. */
const seedsOfCommands = Array.from({ length: 70 }, (_, index) => index + 81);

describe.each([true, false])('whatever happens in whatever order (the log is told before the read model has it: %s)', (reads) => {
  it.each(seeds)('every delivery ends, each request has one outcome and one transcript, ORDERED is in order, pause holds (seed %d)', async (seed) => {
    const run = new Run(seed, { crashes: false, commands: false, reads });
    await run.go();
    expect(run.violations).toEqual([]);
  });

  it.each(seeds)('the same through crashes, receipts and replays, but for requests made twice (seed %d)', async (seed) => {
    const run = new Run(seed, { crashes: true, commands: false, reads });
    await run.go();
    expect(run.violations).toEqual([]);
  });

  it.each(seedsOfCommands)('while subscriptions change, are deleted and restored, deliveries are replayed and partitions leave and come back, none is lost, ORDERED is in order, and nothing is sent that is paused or cancelled (seed %d)', async (seed) => {
    const run = new Run(seed, { crashes: false, commands: true, reads });
    await run.go();
    expect(run.violations).toEqual([]);
  });
});
