import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createAggregates, publishEvent } from '#command-pipeline';
import { type EventStore, StoreUnavailable } from '#event-store';
import { createMemoryEventStore } from '#event-store/memory';
import { deliveryId, eventStream, formatInstant, isRefusal, type JsonObject, parseStream, type RecordedEvent, stored, streamOf } from '#kernel';
import { ReadModelsUnavailable } from '#read-models';
import { evolveRecovery, initialRecovery, type RecoveryEvent, type RecoveryState } from '#recoveries';
import { type GovernedWorld, governedWorld, site, upsertOf } from '../../test/support/governed-world.ts';
import { killedAt } from '../../test/support/log.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { selectionModels } from '../../test/support/selection-models.ts';
import { createFanOut } from './fan-out.ts';
import type { Recoveries, SagaAlarm } from './port.ts';
import { createRecoveries } from './recoveries.ts';

const outcome = { attempt: 1, startedAt: '2026-01-01T00:00:00.000Z', durationMs: 5, status: 500, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: 't' };
const hourMs = 3_600_000;
const modelsOf = selectionModels();

type Ending = 'Succeeded' | 'DeadLettered' | 'AttemptFailed';

class World {
  readonly governed: GovernedWorld = governedWorld();
  readonly clock = this.governed.clock;
  readonly models = modelsOf(() => this.governed.log.events);
  readonly alarms: SagaAlarm[] = [];
  /** How many of the next commands find no read models, which are asked about what is old. */
  unavailable = 0;
  #processes = 0;
  #published = 0;

  subscribe(id = 's1', more: JsonObject = {}): Promise<unknown> {
    return this.governed.must('UpsertWebhookSubscription', upsertOf(id, { eventPattern: 'version.*', ...more }));
  }

  async publish(type = 'version.published', dataText = '{}'): Promise<RecordedEvent> {
    const eventId = `e${(this.#published += 1)}`;
    const publisher = { site, actor: { type: 'SERVICE', id: 'registry' }, correlationId: 'c' } as const;
    const published = await publishEvent(this.governed.world, publisher, { eventId, type, dataText, occurredAt: null });
    if (isRefusal(published)) throw new Error(published.detail);
    const [event] = await this.governed.store.readStream(eventStream(site, eventId));
    if (event === undefined) throw new Error('not published');
    return event;
  }

  /** What Countersign itself publishes. */
  async announce(type: string): Promise<void> {
    const eventId = `o${(this.#published += 1)}`;
    const metadata = { recordedat: formatInstant(this.clock.now()), schemaversion: '1', ...site, publishedid: eventId, publishedtype: type, operational: 'true' };
    await this.governed.store.append(eventStream(site, eventId), 'NO_STREAM', [{ id: seededIds(this.#published + 50_000).uuid(), type: 'EventPublished', data: '{}', metadata }]);
  }

  /** A delivery to the subscription with an outcome, or still without one; its id. */
  async deliver(ending?: Ending, subscriptionId = 's1'): Promise<string> {
    const event = await this.publish();
    const { publishedid: eventId = '' } = event.metadata;
    const id = deliveryId(site, eventId, subscriptionId, this.clock.now());
    const [created] = await this.governed.store.readStream(streamOf('webhooksubscription', site, subscriptionId), 0, 1);
    const data = { subscriptionId, incarnation: created?.id, eventId, eventType: 'version.published', eventPosition: event.position, eventStream: event.stream, operational: false };
    await this.#write(id, 'WebhookDeliveryScheduled', data);
    if (ending !== undefined) await this.ends(id, ending);
    return id;
  }

  async deliverMany(count: number, ending: Ending, subscriptionId = 's1'): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) ids.push(await this.deliver(ending, subscriptionId));
    return ids;
  }

  ends(id: string, ending: Ending): Promise<void> {
    const more = { Succeeded: {}, DeadLettered: { reason: 'attempts-exhausted' }, AttemptFailed: { why: 'status-500', nextAttemptAt: formatInstant(this.clock.now() + hourMs) } }[ending];
    return this.#write(id, `WebhookDelivery${ending}`, { ...outcome, ...more });
  }

  async #write(id: string, type: string, data: object): Promise<void> {
    const stream = streamOf('webhookdelivery', site, id);
    const events = await this.governed.store.readStream(stream);
    const metadata = { recordedat: formatInstant(this.clock.now()), schemaversion: '1', ...site };
    const [uuid] = [seededIds(this.governed.log.head + 7_000).uuid()];
    await this.governed.store.append(stream, events.length === 0 ? 'NO_STREAM' : events.length - 1, [{ id: uuid, type, data: JSON.stringify(data), metadata }]);
  }

  /** Starts a recovery of the last hour, a moment later; its id. */
  async recover(more: JsonObject = {}): Promise<string> {
    await this.clock.advance(1);
    const payload = { webhookSubscriptionId: 's1', since: formatInstant(this.clock.now() - hourMs), ratePerSecond: 10_000, ...more };
    return (await this.governed.must('RecoverWebhookDeliveries', payload)).resourceId;
  }

  process(store: EventStore = createMemoryEventStore(this.governed.log)): Recoveries {
    const pipeline = this.governed.another(() => store);
    this.#processes += 1;
    return createRecoveries({
      store,
      clock: this.clock,
      ids: seededIds(90_000 + this.#processes),
      onAlarm: (alarm) => this.alarms.push(alarm),
      aggregates: createAggregates(store),
      execute: (request) => {
        if (this.unavailable > 0) {
          this.unavailable -= 1;
          return Promise.reject(new ReadModelsUnavailable('no disk'));
        }
        return pipeline.execute(request);
      },
      selections: this.models,
    });
  }

  async started(store?: EventStore): Promise<Recoveries> {
    const recoveries = this.process(store);
    recoveries.start();
    await this.clock.advance(0);
    return recoveries;
  }

  /** Runs a process until nothing more happens by itself. */
  async lives(store?: EventStore, ms = 20_000): Promise<void> {
    const recoveries = await this.started(store);
    await this.clock.advance(ms);
    await recoveries.stop();
  }

  recovery(id: string): Exclude<RecoveryState, { status: 'NONE' }> {
    const facts = this.of(streamOf('recovery', site, id)).filter(({ type }) => type.startsWith('WebhookRecovery'));
    const state = facts.map((event) => stored<RecoveryEvent>(event)).reduce(evolveRecovery, initialRecovery);
    if (state.status === 'NONE') throw new Error(`no recovery ${id}`);
    return state;
  }

  of(prefix: string, type?: string): readonly RecordedEvent[] {
    return this.governed.log.events.filter((event) => event.stream.startsWith(prefix) && (type === undefined || event.type === type));
  }

  /** The deliveries that were replayed, each as often as it was. */
  get replayed(): readonly string[] {
    return this.of('webhookdelivery-', 'WebhookDeliveryReplayRequested').map(idOf);
  }

  /** The ids of the events for which a delivery was scheduled to the subscription. */
  scheduled(subscriptionId = 's1'): readonly string[] {
    const facts = this.of('webhookdelivery-', 'WebhookDeliveryScheduled').map(({ data }) => JSON.parse(data) as { subscriptionId: string; eventId: string });
    return facts.filter((one) => one.subscriptionId === subscriptionId).map(({ eventId }) => eventId);
  }
}

const idOf = ({ stream }: RecordedEvent): string => parseStream(stream)?.id ?? '';

describe('a recovery', () => {
  it('replays the dead letters of its time, each once, and says what came of it', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliver('DeadLettered');
    await world.clock.advance(2 * hourMs);
    const dead = await world.deliverMany(5, 'DeadLettered');
    await world.deliver('Succeeded');
    await world.deliver('AttemptFailed');
    await world.deliver();
    const id = await world.recover();
    await world.deliver('DeadLettered');
    await world.lives();
    expect(world.replayed).toEqual(dead);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: 5, recovered: 5, skipped: 0, detail: null });
    const [replay] = world.of('webhookdelivery-', 'WebhookDeliveryReplayRequested');
    const [start] = world.of(streamOf('recovery', site, id));
    expect(JSON.parse(replay?.data ?? '')).toEqual({ subscriptionId: 's1', resetAttempts: false, manual: false });
    expect(replay?.metadata).toMatchObject({ actortype: 'SYSTEM', actorid: 'recoveries', commandtype: 'ReplayWebhookDelivery', causationid: start?.id, correlationid: 'test' });
  });

  it.each([
    ['SCHEDULED', 'AttemptFailed', false],
    ['DELIVERED', 'Succeeded', true],
  ] as const)('replays what is %s when asked', async (status, ending, manual) => {
    const world = new World();
    await world.subscribe();
    const ids = await world.deliverMany(3, ending);
    await world.deliver('DeadLettered');
    await world.recover({ status: [status] });
    await world.lives();
    expect(world.replayed).toEqual(ids);
    expect(world.of('webhookdelivery-', 'WebhookDeliveryReplayRequested').map(({ data }) => (JSON.parse(data) as { manual: boolean }).manual)).toEqual([manual, manual, manual]);
  });

  it('opens again what a deletion cancelled that was undone, when asked, and nothing else of it', async () => {
    const world = new World();
    await world.subscribe();
    const cancelled = [await world.deliver(), await world.deliver('AttemptFailed')];
    await world.deliver('DeadLettered');
    await world.governed.must('DeleteWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.governed.must('RestoreWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.deliver();
    await world.deliver('AttemptFailed');
    const id = await world.recover({ status: ['CANCELLED'] });
    await world.lives();
    expect(world.replayed).toEqual(cancelled);
    expect(world.recovery(id)).toMatchObject({ total: 2, recovered: 2 });
    expect(cancelled.map((one) => world.models.statusOf(one))).toEqual(['PENDING', 'PENDING']);
  });

  it('schedules what was published while the subscription was paused and its pattern of then matches, and twice is once', async () => {
    const world = new World();
    await world.subscribe();
    await world.publish();
    await world.governed.must('PauseWebhookSubscription', { webhookSubscriptionId: 's1' });
    const missed = [await world.publish(), await world.publish()];
    await world.publish('claim.made');
    await world.governed.must('ResumeWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.publish();
    const id = await world.recover({ status: ['MISSED'] });
    await world.lives();
    expect(world.scheduled()).toEqual(missed.map(({ metadata }) => metadata['publishedid']));
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: 2, recovered: 2 });
    const again = await world.recover({ status: ['MISSED'] });
    await world.lives();
    expect(world.scheduled()).toHaveLength(2);
    expect(world.recovery(again)).toMatchObject({ status: 'FINISHED', total: 2, recovered: 0, skipped: 2 });
  });

  it('schedules of what was missed what the filter of then wants; the rest is skipped', async () => {
    const world = new World();
    await world.subscribe('s1', { status: 'PAUSED', filter: 'data.amount > 100' });
    const missed = [];
    for (const amount of [100, 101, 102]) missed.push(await world.publish('version.published', JSON.stringify({ amount })));
    await world.publish();
    await world.governed.must('UpsertWebhookSubscription', { webhookSubscriptionId: 's1', filter: 'data.amount > 1000' });
    await world.publish('version.published', '{"amount":999}');
    const id = await world.recover({ status: ['MISSED'] });
    await world.lives();
    expect(world.scheduled()).toEqual(missed.slice(1).map(({ metadata }) => metadata['publishedid']));
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: 5, recovered: 2, skipped: 3 });
  });

  it('says that it scheduled what was missed, and why', async () => {
    const world = new World();
    await world.subscribe('s1', { status: 'PAUSED' });
    await world.publish();
    const id = await world.recover({ status: ['MISSED'] });
    await world.lives();
    const [start] = world.of(streamOf('recovery', site, id));
    const [scheduled] = world.of('webhookdelivery-', 'WebhookDeliveryScheduled');
    expect(scheduled?.metadata).toMatchObject({ ...site, actortype: 'SYSTEM', actorid: 'recoveries', causationid: start?.id, correlationid: start?.metadata['correlationid'] });
  });

  it('schedules for an ORDERED subscription in log order, one after the other', async () => {
    const world = new World();
    await world.subscribe('s1', { deliveryMode: 'ORDERED', status: 'PAUSED' });
    const missed: string[] = [];
    for (let n = 0; n < 40; n += 1) missed.push((await world.publish()).metadata['publishedid'] ?? '');
    await world.recover({ status: ['MISSED'] });
    const slow = createMemoryEventStore(world.governed.log);
    let appends = 0;
    const append: EventStore['append'] = async (stream, ...rest) => {
      appends += 1;
      // The first ones take longer than the next.
      for (let turn = 40 - appends; turn > 0; turn -= 1) await Promise.resolve();
      return await slow.append(stream, ...rest);
    };
    await world.lives({ ...killedAt(slow, Infinity, true), append });
    expect(world.scheduled()).toEqual(missed);
  });

  it('selects nothing that came into the log after its start, also when the clock was set back since', async () => {
    const world = new World();
    await world.subscribe();
    const dead = await world.deliverMany(2, 'DeadLettered');
    const id = await world.recover();
    world.clock.setNow(world.clock.now() - hourMs / 2);
    await world.deliver('DeadLettered');
    await world.lives();
    expect(world.replayed).toEqual(dead);
    expect(world.recovery(id)).toMatchObject({ total: 2, recovered: 2 });
  });

  it('without an end selects everything before its start in the log, whatever the clocks of then said', async () => {
    const world = new World();
    await world.subscribe();
    await world.clock.advance(hourMs / 2);
    const dead = await world.deliverMany(2, 'DeadLettered');
    await world.governed.must('PauseWebhookSubscription', { webhookSubscriptionId: 's1' });
    const { metadata } = await world.publish();
    const sinceMs = world.clock.now() - hourMs;
    const bounded = formatInstant(world.clock.now() - hourMs / 2);
    world.clock.setNow(world.clock.now() - hourMs / 4);
    const payload = { webhookSubscriptionId: 's1', since: formatInstant(sinceMs), ratePerSecond: 10_000 };
    const none = (await world.governed.must('RecoverWebhookDeliveries', { ...payload, until: bounded })).resourceId;
    const all = (await world.governed.must('RecoverWebhookDeliveries', payload)).resourceId;
    await world.lives();
    expect(world.recovery(none)).toMatchObject({ status: 'FINISHED', total: 0 });
    expect(world.recovery(all)).toMatchObject({ status: 'FINISHED', total: 3, recovered: 3 });
    expect(world.replayed).toEqual(dead);
    expect(world.scheduled()).toContain(metadata['publishedid']);
  });

  it('replays nothing more once a policy asks for an approval of each replay, and says why', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(30, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 4 });
    const recoveries = await world.started();
    await world.clock.advance(2_000);
    await world.governed.must('SetApprovalPolicy', { commandType: 'ReplayWebhookDelivery', required: true });
    const before = world.replayed.length;
    await world.clock.advance(10_000);
    await recoveries.stop();
    expect(before).toBeGreaterThan(4);
    expect(world.replayed).toHaveLength(before);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: 30, recovered: before, detail: expect.stringContaining('approval') });
  });

  it('schedules what was missed also where each replay needs an approval: that replays nothing', async () => {
    const world = new World();
    await world.subscribe('s1', { status: 'PAUSED' });
    await world.publish();
    await world.governed.must('SetApprovalPolicy', { commandType: 'ReplayWebhookDelivery', required: true });
    const payload = { webhookSubscriptionId: 's1', since: formatInstant(world.clock.now() - hourMs) };
    expect(await world.governed.refused('RecoverWebhookDeliveries', payload)).toBe('approval-required');
    const id = await world.recover({ status: ['MISSED'] });
    await world.lives();
    expect(world.scheduled()).toHaveLength(1);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', recovered: 1, detail: null });
  });

  it('skips what was replayed or delivered by others since it was counted', async () => {
    const world = new World();
    await world.subscribe();
    const [first, second, third] = await world.deliverMany(3, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 1 });
    const recoveries = await world.started();
    await world.governed.must('ReplayWebhookDelivery', { webhookDeliveryId: second ?? '' });
    await world.governed.must('ReplayWebhookDelivery', { webhookDeliveryId: third ?? '' });
    await world.ends(third ?? '', 'Succeeded');
    await world.clock.advance(10_000);
    await recoveries.stop();
    expect(world.replayed.filter((one) => one === first)).toHaveLength(1);
    expect(world.replayed).toHaveLength(3);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: 3, recovered: 1, skipped: 2 });
  });

  it('ends when its subscription is deleted, and says why', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(30, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 4 });
    const recoveries = await world.started();
    await world.clock.advance(2_000);
    await world.governed.must('DeleteWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.clock.advance(2_000);
    await recoveries.stop();
    expect(world.replayed.length).toBeLessThan(15);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: 30, recovered: world.replayed.length, detail: 'The webhook subscription was deleted.' });
  });

  it('does not touch another subscription of the same id', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(3, 'DeadLettered');
    const id = await world.recover();
    await world.governed.must('DeleteWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.clock.advance(31 * 24 * hourMs);
    await world.governed.must('PurgeWebhookSubscription', { webhookSubscriptionId: 's1' }, { caller: null, actor: { type: 'SYSTEM', id: 'x' } });
    await world.subscribe();
    await world.deliver('DeadLettered');
    await world.lives();
    expect(world.replayed).toEqual([]);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', recovered: 0, detail: 'The webhook subscription was deleted.' });
  });
});

describe('the events a recovery schedules as missed', () => {
  const patterns = ['version.*', 'claim.**,version.published', '**', 'webhook.**', '*.published'] as const;
  const types = ['version.published', 'version.gone', 'claim.made.late'] as const;
  const steps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ publish: fc.constantFrom(...types) }) },
      { weight: 1, arbitrary: fc.record({ announce: fc.constantFrom('webhook.subscription.paused', 'approval.requested') }) },
      { weight: 2, arbitrary: fc.record({ set: fc.constantFrom('ACTIVE', 'PAUSED'), to: fc.constantFrom(...patterns) }) },
      { weight: 1, arbitrary: fc.constantFrom({ change: 'DeleteWebhookSubscription' }, { change: 'RestoreWebhookSubscription' }) },
    ),
    { minLength: 5, maxLength: 40 },
  );

  it('are those that the fan-out would have scheduled, had each pause been active with the pattern it had', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const world = new World();
        await world.subscribe();
        for (const step of history) {
          await world.clock.advance(1);
          if ('publish' in step) await world.publish(step.publish);
          else if ('announce' in step) await world.announce(step.announce);
          // Of a deleted one it is refused.
          else if ('set' in step) await world.governed.send('UpsertWebhookSubscription', upsertOf('s1', { eventPattern: step.to, status: step.set }));
          else await world.governed.must(step.change, { webhookSubscriptionId: 's1' });
        }
        await world.governed.must('RestoreWebhookSubscription', { webhookSubscriptionId: 's1' });
        const expected = await fannedOut(world);
        const id = await world.recover({ status: ['MISSED'] });
        await world.lives();
        expect(scheduledIn(world)).toEqual(expected);
        expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', total: expected.length, recovered: expected.length });
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  const scheduledIn = (world: World): readonly object[] => world.of('webhookdelivery-').map(({ stream, id, data }) => ({ stream, id, data })).sort((a, b) => (a.stream < b.stream ? -1 : 1));

  /** What the fan-out writes, with the log as it was before it. */
  async function fannedOut(world: World): Promise<readonly object[]> {
    const { log } = world.governed;
    const before = { head: log.head, events: [...log.events] };
    const fanOut = createFanOut({ store: createMemoryEventStore(log), clock: world.clock, ids: seededIds(3), versions: modelsOf(() => before.events).pausesAsActive, onAlarm: (alarm) => world.alarms.push(alarm) });
    fanOut.start();
    await world.clock.advance(0);
    await fanOut.stop();
    const scheduled = scheduledIn(world);
    for (const { stream } of log.events.slice(before.events.length)) log.streams.delete(stream);
    Object.assign(log, before);
    return scheduled;
  }
});

describe('the rate of a recovery', () => {
  it('is kept on average, also over a restart, and no second holds many more', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(200, 'DeadLettered');
    await world.recover({ ratePerSecond: 20 });
    const counts: number[] = [];
    const second = async (): Promise<void> => {
      const before = world.replayed.length;
      await world.clock.advance(1_000);
      counts.push(world.replayed.length - before);
    };
    const recoveries = await world.started();
    for (let n = 0; n < 5; n += 1) await second();
    await recoveries.stop();
    expect(world.replayed.length).toBeGreaterThanOrEqual(95);
    expect(world.replayed.length).toBeLessThanOrEqual(105);
    expect(Math.max(...counts)).toBeLessThanOrEqual(25);
    const again = await world.started();
    for (let n = 0; n < 6; n += 1) await second();
    await again.stop();
    expect(world.replayed).toHaveLength(200);
    expect(Math.max(...counts)).toBeLessThanOrEqual(25);
  });

  it('may be one a second', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(4, 'DeadLettered');
    await world.recover({ ratePerSecond: 1 });
    const recoveries = await world.started();
    await world.clock.advance(1_999);
    expect(world.replayed).toHaveLength(2);
    await world.clock.advance(10_000);
    await recoveries.stop();
    expect(world.replayed).toHaveLength(4);
  });
});

describe('recoveries beside each other', () => {
  it('all come on, a small one while a big one is at it, and each replays its own', async () => {
    const world = new World();
    await world.subscribe('s1');
    await world.subscribe('s2');
    await world.deliverMany(400, 'DeadLettered', 's1');
    const small = await world.deliverMany(3, 'DeadLettered', 's2');
    const slow = await world.recover({ ratePerSecond: 20 });
    const quick = await world.recover({ webhookSubscriptionId: 's2' });
    const recoveries = await world.started();
    await world.clock.advance(1_000);
    expect(world.recovery(quick)).toMatchObject({ status: 'FINISHED', recovered: 3 });
    expect(world.recovery(slow).status).toBe('RUNNING');
    expect(world.replayed.filter((id) => small.includes(id))).toHaveLength(3);
    expect(recoveries.status()).toMatchObject({ state: 'RUNNING', open: 1 });
    await world.clock.advance(20_000);
    await recoveries.stop();
    expect(world.recovery(slow)).toMatchObject({ status: 'FINISHED', recovered: 400 });
  });

  it('come on when there are more of them than work at a time', async () => {
    const world = new World();
    await world.subscribe();
    const dead = await world.deliverMany(3, 'DeadLettered');
    const ids: string[] = [];
    for (let n = 0; n < 30; n += 1) ids.push(await world.recover());
    await world.lives();
    expect(ids.map((id) => world.recovery(id).status)).toEqual(ids.map(() => 'FINISHED'));
    // Each found them pending: the first has replayed them.
    expect(world.replayed.toSorted()).toEqual(dead.toSorted());
  });
});

describe('a recovery that is cancelled', () => {
  it('sends nothing more, and stays as it was', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(100, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 20 });
    const recoveries = await world.started();
    await world.clock.advance(2_000);
    await world.governed.must('CancelWebhookRecovery', { recoveryId: id });
    const sent = world.replayed.length;
    await world.clock.advance(10_000);
    expect(recoveries.status().open).toBe(0);
    await recoveries.stop();
    await world.lives();
    expect(sent).toBeGreaterThan(20);
    expect(world.replayed).toHaveLength(sent);
    expect(world.recovery(id)).toMatchObject({ status: 'CANCELLED', total: 100 });
    expect((await world.governed.must('CancelWebhookRecovery', { recoveryId: id })).outcome).toBe('NO_CHANGE');
  });

  it('is met by the record of its progress, when the news of it is late', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(200, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 40 });
    const inner = createMemoryEventStore(world.governed.log);
    let told = true;
    const deaf: EventStore = {
      ...killedAt(inner, Infinity, true),
      subscribe: async function* (...args) {
        for await (const batch of inner.subscribe(...args)) if (told) yield batch;
      },
    };
    const recoveries = await world.started(deaf);
    await world.clock.advance(1_100);
    told = false;
    await world.governed.must('CancelWebhookRecovery', { recoveryId: id });
    await world.clock.advance(20_000);
    await recoveries.stop();
    expect(world.replayed.length).toBeGreaterThan(0);
    expect(world.replayed.length).toBeLessThan(100);
    expect(world.recovery(id).status).toBe('CANCELLED');
  });
});

describe('a process that dies in the middle of a recovery', () => {
  /** A world with dead letters, a missed event and a running job. */
  async function prepared(): Promise<{ readonly world: World; readonly dead: readonly string[]; readonly id: string }> {
    const world = new World();
    await world.subscribe();
    const dead = await world.deliverMany(4, 'DeadLettered');
    await world.deliver('Succeeded');
    await world.governed.must('PauseWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.publish();
    await world.publish();
    await world.governed.must('ResumeWebhookSubscription', { webhookSubscriptionId: 's1' });
    world.models.behind = true;
    return { world, dead, id: await world.recover({ ratePerSecond: 4 }) };
  }

  async function callsOfARun(): Promise<number> {
    const { world } = await prepared();
    const store = killedAt(createMemoryEventStore(world.governed.log), Infinity, true);
    const recoveries = world.process(store);
    recoveries.start();
    await world.clock.advance(10_000);
    const made = store.calls();
    await recoveries.stop();
    return made;
  }

  it('wherever it dies, the next one goes on: nothing is replayed twice, nothing is left out, and all of it is counted', async () => {
    const calls = await callsOfARun();
    expect(calls).toBeGreaterThan(50);
    for (let n = 1; n <= calls; n += 1) {
      for (const reaches of [true, false]) {
        const { world, dead, id } = await prepared();
        const doomed = world.process(killedAt(createMemoryEventStore(world.governed.log), n, reaches));
        doomed.start();
        await world.clock.advance(10_000);
        // What was sent meanwhile has been delivered, or is a dead letter again.
        for (const [index, replayed] of world.replayed.entries()) await world.ends(replayed, index % 2 === 0 ? 'Succeeded' : 'DeadLettered');
        await world.lives();
        expect([n, reaches, world.replayed.toSorted()]).toEqual([n, reaches, dead.toSorted()]);
        expect([n, reaches, world.scheduled().toSorted()]).toEqual([n, reaches, ['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7']]);
        expect([n, reaches, world.recovery(id)]).toMatchObject([n, reaches, { status: 'FINISHED', total: 6, recovered: 6, skipped: 0 }]);
        expect(world.alarms).toEqual([]);
      }
    }
  }, 120_000);

  it('goes on from the progress recorded last, not from the start', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(100, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 20 });
    const store = killedAt(createMemoryEventStore(world.governed.log), Infinity, true);
    const doomed = await world.started(store);
    await world.clock.advance(3_500);
    store.kill();
    const { recovered, cursor } = world.recovery(id);
    expect(recovered).toBeGreaterThan(40);
    const before = world.replayed.length;
    expect(before).toBeGreaterThan(recovered);
    await world.lives();
    expect(world.models.asked.filter(({ openedAfter }) => openedAfter !== null)[0]?.after).toBe(cursor?.position);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', recovered: 100, skipped: 0 });
    expect(new Set(world.replayed).size).toBe(100);
    expect(world.replayed).toHaveLength(100);
    void doomed;
  });

  it('of many at a low rate keeps a record that can still be read whole', async () => {
    const world = new World();
    await world.subscribe('s1', { status: 'PAUSED' });
    for (let n = 0; n < 40_000; n += 1) await world.announce('version.published');
    const id = await world.recover({ status: ['MISSED'], ratePerSecond: 1 });
    const recoveries = await world.started();
    await world.clock.advance(40_000);
    await recoveries.stop();
    expect(world.scheduled().length).toBeGreaterThanOrEqual(40);
    expect(world.recovery(id)).toMatchObject({ status: 'RUNNING', total: 40_000 });
    const records = world.of(streamOf('recovery', site, id), 'WebhookRecoveryProgressed').length;
    expect(records).toBeGreaterThan(5);
    expect(records).toBeLessThanOrEqual(12);
  }, 60_000);

  it('is replaced by another that runs beside it: each delivery is replayed once, the record is one', async () => {
    const world = new World();
    await world.subscribe();
    const dead = await world.deliverMany(100, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 20 });
    const one = await world.started();
    await world.clock.advance(1_500);
    const other = await world.started();
    await world.clock.advance(20_000);
    await Promise.all([one.stop(), other.stop()]);
    expect(world.replayed.toSorted()).toEqual(dead.toSorted());
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', recovered: 100 });
  });
});

describe('trouble', () => {
  it('of the store or the read models is waited out, with an alarm that does not repeat itself', async () => {
    const world = new World();
    await world.subscribe();
    await world.deliverMany(10, 'DeadLettered');
    const id = await world.recover({ ratePerSecond: 4 });
    world.models.troubles = 3;
    const inner = createMemoryEventStore(world.governed.log);
    let failing = 0;
    const shaky: EventStore = {
      ...killedAt(inner, Infinity, true),
      append: (...args) => {
        failing += 1;
        return failing % 3 === 0 ? Promise.reject(new StoreUnavailable('away')) : inner.append(...args);
      },
    };
    await world.lives(shaky, 60_000);
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', recovered: 10 });
    expect(world.replayed).toHaveLength(10);
    expect(world.alarms.map(({ alarm }) => alarm)).toEqual(['store-trouble', ...world.alarms.slice(1).map(() => 'store-trouble')]);
    expect(world.alarms.length).toBeLessThanOrEqual(3);
  });

  it('of the read models while a delivery from before the last day is replayed is waited out too', async () => {
    const world = new World();
    await world.subscribe();
    const dead = await world.deliverMany(3, 'DeadLettered');
    const id = await world.recover();
    world.unavailable = 2;
    await world.lives();
    expect(world.replayed.toSorted()).toEqual(dead.toSorted());
    expect(world.recovery(id)).toMatchObject({ status: 'FINISHED', recovered: 3 });
    expect(world.alarms.map(({ alarm }) => alarm)).toEqual(['store-trouble']);
  });

  it('that does not pass parks the job with an alarm, not the others, until the next start', async () => {
    const world = new World();
    await world.subscribe('s1');
    await world.subscribe('s2');
    await world.deliver('DeadLettered', 's1');
    await world.deliver('DeadLettered', 's2');
    const [broken, sound] = [await world.recover(), await world.recover({ webhookSubscriptionId: 's2' })];
    world.models.brokenFor = 's1';
    const recoveries = await world.started();
    await world.clock.advance(5_000);
    expect(world.alarms).toEqual([{ saga: 'recoveries', alarm: 'instance-parked', instance: streamOf('recovery', site, broken), detail: 'TypeError: broken' }]);
    expect(recoveries.status()).toMatchObject({ state: 'RUNNING', open: 1, parked: [{ instance: streamOf('recovery', site, broken), error: 'TypeError: broken' }] });
    expect(world.recovery(sound).status).toBe('FINISHED');
    await recoveries.stop();
    world.models.brokenFor = undefined;
    await world.lives();
    expect(world.recovery(broken)).toMatchObject({ status: 'FINISHED', recovered: 1 });
  });
});
