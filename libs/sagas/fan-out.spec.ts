import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { type EventStore, StoreUnavailable } from '#event-store';
import { comparePositions, deliveryId, type Position, type RecordedEvent, type Site, siteKey, streamOf } from '#kernel';
import { createMemoryEventStore } from '#event-store/memory';
import { subscriptionProjection, subscriptionVersionTable } from '#subscriptions';
import { ReadModelsUnavailable, type SubscriptionVersion } from '#read-models';
import { killedAt, redelivering, TestLog, type Written } from '../../test/support/log.ts';
import { MapRows } from '../../test/support/map-rows.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import { createFanOut } from './fan-out.ts';
import type { FanOut, SagaAlarm, SubscriptionVersions } from './port.ts';

const acme = { tenant: 'acme', environment: 'production' };
const other = { tenant: 'acme', environment: 'staging' };

/** The real projection, folding the log exactly as far as it is told to: the rest of it is behind. */
class Versions implements SubscriptionVersions {
  readonly #rows = new MapRows();
  readonly #waiting = new Set<() => void>();
  #position: Position = '0';
  /** Of which subscriptions, question by question. */
  readonly asked: ('all' | readonly string[])[] = [];
  /** So many of the next queries find the read models failing. */
  failing = 0;

  constructor(
    readonly log: TestLog,
    readonly folds: 'as-asked' | 'as-told' | 'ahead' = 'as-asked',
  ) {}

  fold(through: Position): void {
    for (const event of this.log.of('webhooksubscription-')) {
      if (comparePositions(event.position, this.#position) > 0 && comparePositions(event.position, through) <= 0) subscriptionProjection.apply(event, this.#rows);
    }
    this.#position = through;
    for (const wake of this.#waiting) wake();
  }

  async reached(position: Position, signal: AbortSignal): Promise<void> {
    if (this.folds === 'ahead') this.fold(String(this.log.log.head));
    else if (this.folds === 'as-asked' && comparePositions(position, this.#position) > 0) this.fold(position);
    while (comparePositions(this.#position, position) < 0) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.add(resolve);
        signal.addEventListener('abort', () => reject(new Error('given up')), { once: true });
      });
    }
  }

  overlapping(site: Site, after: Position, through: Position, subscriptionIds?: readonly string[]): Promise<readonly SubscriptionVersion[]> {
    this.asked.push(subscriptionIds ?? 'all');
    if (this.failing > 0) {
      this.failing -= 1;
      return Promise.reject(new ReadModelsUnavailable('the thread of the read models died'));
    }
    const rows = this.#rows.all(subscriptionVersionTable).filter(({ tenant, environment }) => siteKey({ tenant, environment }) === siteKey(site));
    const wanted = rows.filter(({ subscriptionId }) => subscriptionIds?.includes(subscriptionId) ?? true);
    const overlapping = wanted.filter(({ fromPosition, toPosition }) => comparePositions(fromPosition, through) < 0 && (toPosition === null || comparePositions(toPosition, after) > 0));
    return Promise.resolve(overlapping.map(({ tenant, environment, ...version }) => ({ ...version, site: { tenant, environment } }) as SubscriptionVersion));
  }
}

class World {
  readonly clock: SimulatedClock = simulatedClock();
  readonly log = new TestLog(this.clock);
  readonly versions: Versions;
  readonly alarms: SagaAlarm[] = [];
  #processes = 0;

  constructor(folds?: Versions['folds']) {
    this.versions = new Versions(this.log, folds);
  }

  fanOut(store: EventStore = this.log.reopen(), versions: SubscriptionVersions = this.versions): FanOut {
    return createFanOut({ store, versions, clock: this.clock, ids: seededIds((this.#processes += 1)), onAlarm: (alarm) => this.alarms.push(alarm) });
  }

  async started(store?: EventStore): Promise<FanOut> {
    const fanOut = this.fanOut(store);
    fanOut.start();
    await this.clock.advance(0);
    return fanOut;
  }

  async lives(store?: EventStore): Promise<void> {
    await (await this.started(store)).stop();
  }

  subscription(id: string, fact: Written, site: Site = acme): Promise<RecordedEvent> {
    return this.log.append(streamOf('webhooksubscription', site, id), fact);
  }

  /** What is scheduled: subscription and event, each as often as there is one. */
  get scheduled(): readonly string[] {
    return this.log.of('webhookdelivery-').map(({ data }) => {
      const { subscriptionId, eventId } = JSON.parse(data) as { subscriptionId: string; eventId: string };
      return `${eventId}→${subscriptionId}`;
    });
  }
}

const settings = (eventPattern: string, deliveryMode = 'AT_LEAST_ONCE'): object => ({ eventPattern, targetUrl: 'https://receiver.test/', deliveryMode, description: null });
const secret = { versionId: 'v1', kind: 'managed', fingerprint: 'f' };
const created = (pattern: string, mode?: string): Written => ({ type: 'WebhookSubscriptionCreated', data: { ...settings(pattern, mode), status: 'ACTIVE', secret } });
const updated = (pattern: string, mode?: string): Written => ({ type: 'WebhookSubscriptionUpdated', data: settings(pattern, mode) });
const filtered = (filter?: string, mode?: string): Written => ({ type: 'WebhookSubscriptionUpdated', data: { ...settings('**', mode), ...(filter === undefined ? {} : { filter }) } });
const paused: Written = { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } };
const resumed: Written = { type: 'WebhookSubscriptionResumed', data: {} };
const deleted: Written = { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2027-01-01T00:00:00.000Z' } };

describe('fan-out', () => {
  it('goes on by itself after the read models could not answer', async () => {
    const world = new World();
    await world.subscription('whs_1', created('version.*'));
    world.versions.failing = 3;
    const fanOut = await world.started();
    await world.log.publish(acme, 'e1', 'version.published');
    await world.clock.advance(10_000);
    expect([world.scheduled, fanOut.status()]).toMatchObject([['e1→whs_1'], { state: 'RUNNING', why: null }]);
    expect(new Set(world.alarms.map(({ alarm, detail }) => `${alarm}: ${detail}`))).toEqual(new Set(['store-trouble: the thread of the read models died']));
    await fanOut.stop();
  });

  it('schedules one delivery per event and matching subscription, as the design names it', async () => {
    const world = new World();
    const subscription = await world.subscription('whs_1', created('version.*'));
    await world.subscription('whs_2', created('claim.**'));
    const event = await world.log.publish(acme, 'e1', 'version.published');
    await world.lives();
    const [scheduled, ...more] = world.log.of('webhookdelivery-');
    expect(more).toEqual([]);
    expect(scheduled?.stream).toBe(streamOf('webhookdelivery', acme, deliveryId(acme, 'e1', 'whs_1', world.clock.now())));
    expect(scheduled?.type).toBe('WebhookDeliveryScheduled');
    expect(JSON.parse(scheduled?.data ?? '')).toEqual({ subscriptionId: 'whs_1', incarnation: subscription.id, eventId: 'e1', eventType: 'version.published', eventPosition: event.position, eventStream: event.stream, operational: false });
    expect(scheduled?.metadata).toMatchObject({ ...acme, actortype: 'SYSTEM', actorid: 'fan-out', causationid: event.id, correlationid: `corr-${event.stream}`, schemaversion: '1' });
  });

  it('holds to what a subscription was at the position of each event: pattern, pause, resume, deletion', async () => {
    const world = new World();
    const steps: readonly Written[] = [created('a.*'), updated('b.*'), paused, updated('a.*'), resumed, deleted];
    for (const [index, step] of steps.entries()) {
      await world.log.publish(acme, `a${index}`, 'a.x');
      await world.log.publish(acme, `b${index}`, 'b.x');
      await world.subscription('whs_1', step);
    }
    await world.log.publish(acme, 'a9', 'a.x');
    await world.lives();
    expect(world.scheduled.toSorted()).toEqual(['a1→whs_1', 'a5→whs_1', 'b2→whs_1']);
  });

  it.each(['as-asked', 'ahead'] as const)('resumes with the next event, whether the projection stands at the event or far ahead (%s)', async (folds) => {
    const world = new World(folds);
    const fanOut = await world.started();
    const steps: readonly (Written | string)[] = [created('**'), 'e1', paused, 'e2', resumed, 'e3'];
    for (const step of steps) {
      if (typeof step === 'string') await world.log.publish(acme, step, 'a.x');
      else await world.subscription('whs_1', step);
      await world.clock.advance(0);
    }
    await fanOut.stop();
    expect(world.scheduled).toEqual(['e1→whs_1', 'e3→whs_1']);
  });

  it('waits for the projection where a site is new to it, and for nothing after that', async () => {
    const world = new World('as-told');
    const subscription = await world.subscription('whs_1', created('**'));
    const event = await world.log.publish(acme, 'e1', 'a.x');
    const pause = await world.subscription('whs_1', paused);
    const fanOut = await world.started();
    for (const { position } of [subscription, event]) {
      world.versions.fold(position);
      await world.clock.advance(0);
      expect(world.scheduled).toEqual([]);
    }
    world.versions.fold(pause.position);
    await world.clock.advance(0);
    expect(world.scheduled).toEqual(['e1→whs_1']);
    await world.log.publish(acme, 'e2', 'a.x');
    await world.subscription('whs_1', resumed);
    await world.log.publish(acme, 'e3', 'a.x');
    await world.clock.advance(0);
    expect(world.scheduled).toEqual(['e1→whs_1', 'e3→whs_1']);
    expect(fanOut.status()).toMatchObject({ caughtUp: true });
    await fanOut.stop();
  });

  it('can be stopped while the projection is behind, and misses nothing', async () => {
    const world = new World('as-told');
    await world.subscription('whs_1', created('**'));
    await world.log.publish(acme, 'e1', 'a.x');
    const fanOut = await world.started();
    await fanOut.stop();
    expect(fanOut.status()).toMatchObject({ state: 'STOPPED', why: null });
    expect(world.alarms).toEqual([]);
    world.versions.fold(String(world.log.log.head));
    await world.lives();
    expect(world.scheduled).toEqual(['e1→whs_1']);
  });

  it('asks for the versions of a site once, and reads from the log what changes them', async () => {
    const world = new World();
    for (let index = 0; index < 300; index += 1) await world.subscription(`whs_${index}`, created('**'));
    const fanOut = await world.started();
    const publish = async (eventId: string): Promise<readonly unknown[]> => {
      await world.log.publish(acme, eventId, 'a.x');
      await world.clock.advance(0);
      return world.versions.asked.splice(0);
    };
    // Once for each of the two.
    expect(await publish('e1')).toEqual(['all', 'all']);
    const changes: readonly Written[] = [paused, deleted, updated('b.x'), updated('**', 'ORDERED'), { type: 'WebhookSubscriptionSecretRotated', data: { secret, previous: null, retired: [] } }];
    for (const [index, change] of changes.entries()) await world.subscription(`whs_${index}`, change);
    await world.subscription('whs_300', created('**'));
    await world.subscription('whs_301', created('**'), other);
    // An update of one that it does not send for may make it its own.
    expect(await publish('e2')).toEqual([['whs_2', 'whs_3']]);
    expect(world.scheduled.filter((delivery) => delivery.startsWith('e2'))).toHaveLength(298);
    expect(await publish('e3')).toEqual([]);
    expect(world.scheduled.filter((delivery) => delivery.startsWith('e3'))).toHaveLength(298);
    await fanOut.stop();
  });

  it('asks again for those of which the log does not say what they are now, and for all when these are many', async () => {
    const world = new World();
    for (let index = 0; index < 300; index += 1) await world.subscription(`whs_${index}`, created('**'));
    const fanOut = await world.started();
    const publish = async (eventId: string): Promise<readonly unknown[]> => {
      await world.log.publish(acme, eventId, 'a.x');
      await world.clock.advance(0);
      return world.versions.asked.splice(0);
    };
    await publish('e1');
    await world.subscription('whs_7', deleted);
    await world.subscription('whs_7', { type: 'WebhookSubscriptionRestored', data: {} });
    expect(await publish('e2')).toEqual([['whs_7'], ['whs_7']]);
    expect(await publish('e3')).toEqual([]);
    expect(world.scheduled.filter((delivery) => delivery.endsWith('→whs_7'))).toEqual(['e1→whs_7', 'e2→whs_7', 'e3→whs_7']);
    for (let index = 0; index < 300; index += 1) {
      await world.subscription(`whs_${index}`, deleted);
      await world.subscription(`whs_${index}`, { type: 'WebhookSubscriptionRestored', data: {} });
    }
    expect(await publish('e4')).toEqual(['all', 'all']);
    expect(world.scheduled.filter((delivery) => delivery.startsWith('e4'))).toHaveLength(300);
    await fanOut.stop();
  });

  it('gives operational events only to subscriptions that name them', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**'));
    await world.subscription('whs_2', created('webhook.**'));
    await world.log.appendWith(streamOf('event', acme, 'e1'), { publishedid: 'e1', publishedtype: 'webhook.subscription.paused', operational: 'true' }, { type: 'EventPublished', data: {} });
    await world.lives();
    expect(world.scheduled).toEqual(['e1→whs_2']);
    expect(JSON.parse(world.log.of('webhookdelivery-')[0]?.data ?? '')).toMatchObject({ operational: true });
  });

  it.each(['AT_LEAST_ONCE', 'ORDERED'])('schedules what the filter at the position of the event wants, and to those without one everything (%s)', async (mode) => {
    const world = new World();
    await world.subscription('whs_1', created('**', mode));
    await world.subscription('whs_2', created('**', mode));
    const publish = async (name: string): Promise<void> => {
      for (const amount of [1, 200]) await world.log.publish(acme, `${name}-${amount}`, 'a.x', { amount });
      await world.log.publish(acme, `${name}-none`, 'a.x');
    };
    await publish('all');
    await world.subscription('whs_1', filtered('data.amount > 100', mode));
    await publish('large');
    await world.subscription('whs_1', filtered('!has(data.amount) || data.amount < 100', mode));
    await publish('small');
    await world.subscription('whs_1', filtered(undefined, mode));
    await publish('again');
    await world.lives();
    const names = (of: string): readonly string[] => world.scheduled.filter((one) => one.endsWith(of)).map((one) => one.replace(`→${of}`, ''));
    expect(names('whs_1').toSorted()).toEqual(['all-1', 'all-200', 'all-none', 'large-200', 'small-1', 'small-none', 'again-1', 'again-200', 'again-none'].toSorted());
    expect(names('whs_2')).toHaveLength(12);
    if (mode === 'ORDERED') expect(names('whs_1')).toEqual(['all-1', 'all-200', 'all-none', 'large-200', 'small-1', 'small-none', 'again-1', 'again-200', 'again-none']);
  });

  it('reads the data of an event once however many filters ask it, and not at all where the pattern of none matches', async () => {
    const world = new World();
    for (const id of ['whs_1', 'whs_2', 'whs_3']) await world.subscription(id, { type: 'WebhookSubscriptionCreated', data: { ...settings('a.*'), filter: `data.amount > 100 || "${id}" == "whs_3"`, status: 'ACTIVE', secret } });
    await world.subscription('whs_4', created('b.*'));
    const [asked, other] = [await world.log.publish(acme, 'e1', 'a.x', { amount: 100 }), await world.log.publish(acme, 'e2', 'b.x', { amount: 101 })];
    const parse = jest.spyOn(JSON, 'parse');
    await world.lives();
    const parsed = parse.mock.calls.map(([text]) => text);
    parse.mockRestore();
    expect(world.scheduled).toEqual(['e1→whs_3', 'e2→whs_4']);
    expect([parsed.filter((text) => text === asked.data), parsed.filter((text) => text === other.data)]).toEqual([[asked.data], []]);
  });

  it('lets no site wait for the filters of another', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**'));
    await world.subscription('whs_1', filtered('data.amount > 100'));
    await world.subscription('whs_2', created('**'), other);
    await world.log.publish(acme, 'e1', 'a.x', { amount: 101 });
    await world.log.publish(other, 'e2', 'a.x');
    await world.lives();
    expect(world.scheduled).toEqual(['e2→whs_2', 'e1→whs_1']);
  });

  it('changes nothing when every batch comes three times, and when it starts from the beginning again', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**'));
    for (const id of ['e1', 'e2', 'e3']) await world.log.publish(acme, id, 'a.x');
    await world.lives(redelivering(world.log.reopen(), 3));
    const first = world.log.of('webhookdelivery-');
    world.log.log.streams.delete('sagacheckpoint-fan-out');
    await world.lives(redelivering(world.log.reopen(), 3));
    expect(world.scheduled).toEqual(['e1→whs_1', 'e2→whs_1', 'e3→whs_1']);
    expect(world.log.of('webhookdelivery-')).toEqual(first);
  });

  it('does not bring back a delivery that was removed', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**'));
    await world.log.publish(acme, 'e1', 'a.x');
    await world.lives();
    await world.log.store.tombstone(world.log.of('webhookdelivery-')[0]?.stream ?? '');
    world.log.log.streams.delete('sagacheckpoint-fan-out');
    await world.lives();
    expect(world.scheduled).toEqual([]);
    expect(world.alarms).toEqual([]);
  });

  it('parks a published event that can not be read, schedules the others, and tries it again after a restart', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**'));
    const broken = await world.log.append(streamOf('event', acme, 'e1'), { type: 'EventPublished', data: {} });
    await world.log.publish(acme, 'e2', 'a.x');
    const fanOut = await world.started();
    expect(world.scheduled).toEqual(['e2→whs_1']);
    expect(world.alarms).toEqual(['fan-out', 'fan-out-ordered'].map((saga) => expect.objectContaining({ saga, alarm: 'instance-parked', instance: broken.stream }) as unknown));
    expect(fanOut.status().parked.map(({ instance }) => instance)).toEqual([broken.stream, broken.stream]);
    await fanOut.stop();
    await world.subscription('whs_1', paused);
    await world.subscription('whs_2', created('**'));
    await world.lives();
    mend(world.log, broken);
    const again = await world.started();
    await world.log.publish(acme, 'e3', 'a.x');
    await world.clock.advance(0);
    await again.stop();
    expect(world.scheduled).toEqual(['e2→whs_1', 'e1→whs_1', 'e3→whs_2']);
    const last = await world.started();
    expect(last.status().parked).toEqual([]);
    await last.stop();
  });

  it('schedules for an ORDERED subscription in log order, whatever fails in between', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**', 'ORDERED'));
    const ids = Array.from({ length: 30 }, (_, index) => `e${index}`);
    for (const id of ids) await world.log.publish(acme, id, 'a.x');
    const store = world.log.reopen();
    let appends = 0;
    const fanOut = await world.started({
      ...redelivering(store, 1),
      append: (...args) => {
        appends += 1;
        return appends % 3 === 1 ? Promise.reject(new StoreUnavailable('not now')) : store.append(...args);
      },
    });
    await world.clock.advance(60_000);
    await fanOut.stop();
    expect(world.scheduled).toEqual(ids.map((id) => `${id}→whs_1`));
  });

  it('holds up no other subscription for an ORDERED one', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**', 'ORDERED'));
    await world.subscription('whs_2', created('**'));
    for (const id of ['e1', 'e2']) await world.log.publish(acme, id, 'a.x');
    const store = world.log.reopen();
    const fanOut = await world.started({
      ...redelivering(store, 1),
      append: (stream, expected, events) => (events.some(({ data }) => data.includes('whs_1')) ? Promise.reject(new StoreUnavailable('not now')) : store.append(stream, expected, events)),
    });
    await world.log.publish(acme, 'e3', 'a.x');
    await world.clock.advance(5_000);
    expect(world.scheduled).toEqual(['e1→whs_2', 'e2→whs_2', 'e3→whs_2']);
    expect(fanOut.status()).toMatchObject({ position: '0', caughtUp: false });
    await fanOut.stop();
    await world.lives();
    expect(world.scheduled).toEqual(['e1→whs_2', 'e2→whs_2', 'e3→whs_2', 'e1→whs_1', 'e2→whs_1', 'e3→whs_1']);
  });

  it('says since when it is behind, also while it waits for the projection', async () => {
    const world = new World('as-told');
    await world.subscription('whs_1', created('**'));
    const fanOut = await world.started();
    await world.clock.advance(60_000);
    expect(fanOut.status()).toMatchObject({ state: 'RUNNING', caughtUp: true, behindMs: 0 });
    const event = await world.log.publish(acme, 'e1', 'a.x');
    await world.clock.advance(10_000);
    expect(fanOut.status()).toMatchObject({ state: 'RUNNING', caughtUp: false, behindMs: 10_000 });
    world.versions.fold(event.position);
    await world.clock.advance(0);
    expect(fanOut.status()).toMatchObject({ position: String(world.log.log.head), caughtUp: true, behindMs: 0 });
    await fanOut.stop();
  });
});

/** Gives a published event the metadata it lacked, as a mended reader would see it. */
function mend(log: TestLog, { stream }: RecordedEvent): void {
  const [broken] = log.log.streams.get(stream) ?? [];
  if (broken === undefined) throw new Error(`there is no ${stream}`);
  const mended = { ...broken, metadata: { ...broken.metadata, publishedid: 'e1', publishedtype: 'a.x' } };
  log.log.streams.set(stream, [mended]);
  log.log.events = log.log.events.map((event) => (event === broken ? mended : event));
}

/** The store, except that what is written while nothing else happens arrives together, in one batch. */
function inBursts(store: EventStore): EventStore {
  return {
    ...redelivering(store, 1),
    subscribe: async function* (after, filter, signal) {
      let position = after;
      for await (const { caughtUp } of store.subscribe(after, filter, signal)) {
        await new Promise((resolve) => setImmediate(resolve));
        const batch = await store.readAll(position, filter, 1_000);
        if (batch.position === position && caughtUp && position !== after) continue;
        position = batch.position;
        yield batch;
      }
    },
  };
}

type Op = { readonly site: Site } & ({ readonly do: 'publish'; readonly type: string } | { readonly do: 'change'; readonly id: string; readonly what: 'pause-or-resume' | 'delete-or-restore' | 'purge' | 'pattern'; readonly pattern: string; readonly mode: string });

const op: fc.Arbitrary<Op> = fc.record({ site: fc.constantFrom(acme, other), type: fc.constantFrom('a.x', 'a.y', 'b.x') }).chain(({ site, type }) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Op>({ do: 'publish', site, type }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('change' as const), site: fc.constant(site), id: fc.constantFrom('whs_1', 'whs_2'), what: fc.constantFrom('pause-or-resume', 'delete-or-restore', 'purge', 'pattern'), pattern: fc.constantFrom('a.*', '**', 'b.x', '*.x,a.y'), mode: fc.constantFrom('AT_LEAST_ONCE', 'ORDERED', 'BEST_EFFORT') }) },
  ),
);

/** What each subscription is, the plain way, to say who must get what. */
interface Plain {
  readonly pattern: string;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DELETED';
  readonly before: 'ACTIVE' | 'PAUSED';
}

const accepts: Readonly<Record<string, readonly string[]>> = { 'a.*': ['a.x', 'a.y'], '**': ['a.x', 'a.y', 'b.x'], 'b.x': ['b.x'], '*.x,a.y': ['a.x', 'b.x', 'a.y'] };

type Publish = Extract<Op, { do: 'publish' }>;
type Change = Extract<Op, { do: 'change' }>;

class Plainly {
  readonly subscriptions = new Map<string, Plain>();
  readonly expected: string[] = [];
  #events = 0;

  constructor(readonly world: World) {}

  async apply(one: Op): Promise<void> {
    await (one.do === 'publish' ? this.#publish(one) : this.#change(one));
  }

  async #publish({ site, type }: Publish): Promise<void> {
    this.#events += 1;
    const eventId = `e${this.#events}`;
    await this.world.log.publish(site, eventId, type);
    for (const [key, { pattern, status }] of this.subscriptions) {
      const [of, id = ''] = key.split('/');
      if (of === siteKey(site) && status === 'ACTIVE' && accepts[pattern]?.includes(type) === true) this.expected.push(`${eventId}→${id}`);
    }
  }

  async #change(one: Change): Promise<void> {
    const key = `${siteKey(one.site)}/${one.id}`;
    const changed = changeOf(this.subscriptions.get(key), one);
    if (changed === undefined) return;
    if (changed.plain === null) this.subscriptions.delete(key);
    else this.subscriptions.set(key, changed.plain);
    await this.world.subscription(one.id, changed.fact, one.site);
  }
}

function changeOf(plain: Plain | undefined, { what, pattern, mode }: Change): { readonly plain: Plain | null; readonly fact: Written } | undefined {
  if (plain === undefined) return { plain: { pattern, status: 'ACTIVE', before: 'ACTIVE' }, fact: created(pattern, mode) };
  if (what === 'delete-or-restore') return deleteOrRestore(plain);
  if (plain.status === 'DELETED') return what === 'purge' ? { plain: null, fact: { type: 'WebhookSubscriptionPurged', data: { shreddedSecrets: [] } } } : undefined;
  if (what === 'purge') return undefined;
  if (what === 'pattern') return { plain: { ...plain, pattern }, fact: updated(pattern, mode) };
  return plain.status === 'PAUSED' ? { plain: { ...plain, status: 'ACTIVE' }, fact: resumed } : { plain: { ...plain, status: 'PAUSED' }, fact: paused };
}

const deleteOrRestore = (plain: Plain): { readonly plain: Plain; readonly fact: Written } =>
  plain.status === 'DELETED'
    ? { plain: { ...plain, status: plain.before }, fact: { type: 'WebhookSubscriptionRestored', data: {} } }
    : { plain: { ...plain, status: 'DELETED', before: plain.status }, fact: deleted };

describe('fan-out, whatever happens in whatever order', () => {
  const life = fc.record({ op, then: fc.constantFrom('nothing', 'nothing', 'let-it-run', 'restart', 'kill') });

  it('schedules exactly what was active and matching at the position of each event, once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 30 }), fc.constantFrom('as-asked' as const, 'ahead' as const), async (lives, folds) => {
        const world = new World(folds);
        const plainly = new Plainly(world);
        const process = (): Promise<FanOut> => world.started(inBursts(world.log.reopen()));
        let fanOut = await process();
        for (const [index, { op: one, then }] of lives.entries()) {
          await plainly.apply(one);
          if (then === 'let-it-run') await world.clock.advance(0);
          if (then === 'restart' || then === 'kill') await fanOut.stop();
          if (then === 'kill') {
            // Killed at some call, with or without effect; nothing of it is waited for.
            const store = killedAt(inBursts(world.log.reopen()), 1 + (index % 7), index % 2 === 0);
            await world.started(store);
            store.kill();
          }
          if (then === 'restart' || then === 'kill') fanOut = await process();
        }
        await world.clock.advance(2_000);
        await fanOut.stop();
        expect(world.scheduled.toSorted()).toEqual(plainly.expected.toSorted());
        expect(world.alarms).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('at whichever call to the store it dies in the middle of a batch, the next process makes it whole', async () => {
    const scenario = async (world: World): Promise<void> => {
      await world.subscription('whs_1', created('**'));
      await world.subscription('whs_2', created('a.*', 'ORDERED'));
      for (const id of ['e1', 'e2', 'e3']) await world.log.publish(acme, id, 'a.x');
    };
    const undisturbed = new World();
    await scenario(undisturbed);
    const counted = killedAt(undisturbed.log.reopen(), Infinity, true);
    await (await undisturbed.started(counted)).stop();
    expect(counted.calls()).toBeGreaterThan(7);
    for (const reaches of [true, false]) {
      for (let n = 1; n <= counted.calls(); n += 1) {
        const world = new World();
        await scenario(world);
        await world.started(killedAt(world.log.reopen(), n, reaches));
        await world.lives();
        expect({ n, scheduled: world.scheduled.toSorted() }).toEqual({ n, scheduled: undisturbed.scheduled.toSorted() });
      }
    }
  });

  it('two at once schedule nothing twice, and one of them stops', async () => {
    const world = new World();
    await world.subscription('whs_1', created('**'));
    const both = [await world.started(), await world.started(createMemoryEventStore(world.log.log))];
    for (let index = 0; index < 10; index += 1) {
      await world.log.publish(acme, `e${index}`, 'a.x');
      await world.clock.advance(500);
    }
    expect(world.scheduled.toSorted()).toEqual(Array.from({ length: 10 }, (_, index) => `e${index}→whs_1`));
    expect(both.map((fanOut) => fanOut.status().state).toSorted()).toEqual(['RUNNING', 'STOPPED']);
    await Promise.all(both.map((fanOut) => fanOut.stop()));
  });
});
