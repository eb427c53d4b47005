import { describe, expect, it } from '@jest/globals';
import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import { comparePositions } from '#kernel';
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
}

/** One seeded run: everything happens at random for a while, then the world calms down and everything must have ended. */
class Run {
  readonly world: DispatchingWorld;
  readonly violations: string[] = [];
  readonly #switches: Switches;
  readonly #paused = new Set<Name>();
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
    if (this.#paused.has(to)) this.violations.push(`${request.eventId} was sent to ${to} while it was paused`);
    if (modes[to] !== 'ORDERED') return;
    const others = this.#deliveries.filter((other) => other.to === to && this.#isBefore(other.id, request.webhookId));
    for (const { id } of others) if (!ended.includes(this.world.delivery(id).status)) this.violations.push(`${request.eventId} overtook ${id}`);
  }

  #isBefore(id: string, other: string): boolean {
    const [a, b] = [id, other].map((one) => this.world.deliveryEvents(one)[0]?.position ?? '0');
    return comparePositions(a ?? '0', b ?? '0') < 0;
  }

  async #step(): Promise<void> {
    const { world } = this;
    const name = this.#oneOf(names);
    const steps: readonly (readonly [number, () => void | Promise<void>])[] = [
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
    this.world.commit();
    for (const name of this.#paused) await this.#pauseOrResume(name);
    await this.world.clock.advance(120_000);
    this.#judge();
  }

  #judge(): void {
    for (const { id, to } of this.#deliveries) {
      const { status } = this.world.delivery(id);
      if (!ended.includes(status)) this.violations.push(`${id} to ${to} is ${status}`);
      if (!this.#switches.crashes) this.#judgeRequests(id);
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

describe.each([true, false])('whatever happens in whatever order (the log is told before the read model has it: %s)', (reads) => {
  it.each(seeds)('every delivery ends, each request has one outcome and one transcript, ORDERED is in order, pause holds (seed %d)', async (seed) => {
    const run = new Run(seed, { crashes: false, reads });
    await run.go();
    expect(run.violations).toEqual([]);
  });

  it.each(seeds)('the same through crashes, receipts and replays, but for requests made twice (seed %d)', async (seed) => {
    const run = new Run(seed, { crashes: true, reads });
    await run.go();
    expect(run.violations).toEqual([]);
  });
});
