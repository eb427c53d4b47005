import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { comparePositions, deliveryId, eventStream, type Position, type RecordedEvent, type Site, siteKey, streamOf } from '#kernel';
import { readPublishedEvent } from '#publishing';
import type { SubscriptionVersion } from '#read-models';
import { createFanOut, type SubscriptionVersions } from '#sagas';
import { subscriptionProjection, subscriptionVersionTable } from '#subscriptions';
import { TestLog, type Written } from '../../test/support/log.ts';
import { MapRows } from '../../test/support/map-rows.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import type { Explanation, ExplainFacts } from './explain-facts.ts';
import { explain } from './explain.ts';

const site: Site = { tenant: 'acme', environment: 'production' };
const minuteMs = 60_000;

/** A log of one site, and what is asked of it. Every fact comes a minute after the one before. */
class History {
  readonly clock = simulatedClock();
  readonly log = new TestLog(this.clock);

  async fact(fact: Written, actor = 'sam', id = 'orders'): Promise<RecordedEvent> {
    await this.clock.advance(minuteMs);
    const envelope = actor === 'housekeeping' ? { actortype: 'SYSTEM', actorid: actor } : { actortype: 'USER', actorid: actor };
    return await this.log.appendWith(streamOf('webhooksubscription', site, id), { ...envelope, commandid: `cmd-${fact.type}` }, fact);
  }

  async publish(eventId: string, type = 'version.published', metadata: Record<string, string> = {}, data: object = {}): Promise<RecordedEvent> {
    await this.clock.advance(minuteMs);
    return await this.log.appendWith(eventStream(site, eventId), { publishedid: eventId, publishedtype: type, actortype: 'SERVICE', actorid: 'registry', ...metadata }, { type: 'EventPublished', data });
  }

  deliveryOf(eventId: string, id = 'orders'): string {
    const [event] = this.of(eventStream(site, eventId));
    return deliveryId(site, eventId, id, Date.parse(event?.metadata['recordedat'] ?? ''));
  }

  async delivery(eventId: string, fact: Written, metadata: Record<string, string> = { actortype: 'SYSTEM', actorid: 'dispatcher' }): Promise<RecordedEvent> {
    await this.clock.advance(minuteMs);
    return await this.log.appendWith(streamOf('webhookdelivery', site, this.deliveryOf(eventId)), metadata, fact);
  }

  /** What fan-out writes for the event now. */
  async schedule(eventId: string, metadata?: Record<string, string>): Promise<RecordedEvent> {
    const created = this.of(streamOf('webhooksubscription', site, 'orders')).findLast(({ type }) => type === 'WebhookSubscriptionCreated');
    const [event] = this.of(eventStream(site, eventId));
    const data = { subscriptionId: 'orders', incarnation: created?.id, eventId, eventType: event?.metadata['publishedtype'], eventPosition: event?.position, eventStream: event?.stream, operational: false };
    return await this.delivery(eventId, { type: 'WebhookDeliveryScheduled', data }, metadata ?? { actortype: 'SYSTEM', actorid: 'fan-out' });
  }

  of(stream: string): readonly RecordedEvent[] {
    return this.log.log.streams.get(stream) ?? [];
  }

  ask(eventId = 'e1', more: Partial<ExplainFacts> = {}, id = 'orders'): Explanation {
    const [event] = this.of(eventStream(site, eventId));
    const dlv = this.deliveryOf(eventId, id);
    return explain({
      site,
      eventId,
      subscriptionId: id,
      published: event === undefined ? undefined : readPublishedEvent(event),
      syntheticFor: null,
      subscription: this.of(streamOf('webhooksubscription', site, id)),
      deliveryId: dlv,
      delivery: this.of(streamOf('webhookdelivery', site, dlv)),
      historyDropped: false,
      fanOut: { scheduledUpTo: String(this.log.log.head), parked: null },
      ...more,
    });
  }
}

const settings = (eventPattern: string): object => ({ eventPattern, targetUrl: 'https://receiver.test/', deliveryMode: 'AT_LEAST_ONCE', description: null });
const created = (pattern: string, status = 'ACTIVE'): Written => ({ type: 'WebhookSubscriptionCreated', data: { ...settings(pattern), status, secret: { versionId: 'v1', kind: 'managed', fingerprint: 'f' } } });
const updated = (pattern: string): Written => ({ type: 'WebhookSubscriptionUpdated', data: settings(pattern) });
const pausedFor = (reason: string): Written => ({ type: 'WebhookSubscriptionPaused', data: { reason } });
const paused = pausedFor('requested');
const resumed: Written = { type: 'WebhookSubscriptionResumed', data: {} };
const deleted: Written = { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2027-01-01T00:00:00.000Z' } };
const restored: Written = { type: 'WebhookSubscriptionRestored', data: {} };
const purged: Written = { type: 'WebhookSubscriptionPurged', data: { shreddedSecrets: ['v1'] } };
const outcome = (attempt: number, status: number | null, error: string | null = null): object => ({ attempt, startedAt: `2026-01-01T0${attempt}:00:00.000Z`, durationMs: 5, status, error, subscriptionRevision: 1, secretVersionIds: ['v1'], transcriptSha256: 'x' });
const succeeded = (attempt: number): Written => ({ type: 'WebhookDeliverySucceeded', data: outcome(attempt, 200) });
const failed = (attempt: number): Written => ({ type: 'WebhookDeliveryAttemptFailed', data: { ...outcome(attempt, 503), nextAttemptAt: '2026-01-01T09:00:00.000Z', why: 'status 503' } });
const deadLettered = (attempt: number): Written => ({ type: 'WebhookDeliveryDeadLettered', data: { ...outcome(attempt, null, 'timeout'), reason: 'attempts-exhausted' } });
const replayed: Written = { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: false, manual: true } };

describe('why an event was, or was not, delivered', () => {
  it('delivered: by which attempt', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    await world.delivery('e1', failed(1));
    const success = await world.delivery('e1', succeeded(2));
    const why = world.ask();
    expect(why).toMatchObject({ code: 'delivered', delivered: true, subscription: { status: 'ACTIVE', eventPattern: 'version.*', revision: 1 }, because: { type: 'WebhookDeliverySucceeded', position: success.position }, delivery: { state: { status: 'DELIVERED', attempts: 2 } }, notes: [] });
    expect(why.sentence).toBe('Event e1 (version.published, position 2) was delivered to orders: attempt 2, started at 2026-01-01T02:00:00.000Z, came to status 200.');
    expect(why.attempts.map(({ attempt, status, decision }) => [attempt, status, decision])).toEqual([[1, 503, 'SCHEDULED'], [2, 200, 'DELIVERED']]);
  });

  it('delivered, although lists have dropped it and the subscription was purged since', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    await world.delivery('e1', succeeded(1));
    await world.fact(deleted);
    await world.fact(purged, 'housekeeping');
    expect(world.ask('e1', { historyDropped: true })).toMatchObject({ code: 'delivered', delivered: true, now: null, attempts: [{ status: 200 }], notes: [expect.stringContaining('do not have it any more'), expect.stringContaining('was purged')] });
  });

  it('pending: before the first attempt, and when it is sent again', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    const first = await world.schedule('e1');
    expect(world.ask()).toMatchObject({ code: 'pending', delivered: false, because: { position: first.position }, delivery: { state: { status: 'PENDING' } } });
    expect(world.ask().sentence).toContain(`SYSTEM:fan-out scheduled its delivery at position ${first.position}`);
    await world.delivery('e1', succeeded(1));
    const again = await world.delivery('e1', replayed, { actortype: 'USER', actorid: 'kim' });
    const why = world.ask();
    expect(why).toMatchObject({ code: 'pending', delivered: true, because: { position: again.position, actor: { type: 'USER', id: 'kim' } } });
    expect(why.sentence).toContain(`USER:kim had it sent again at position ${again.position}`);
  });

  it('pending while the subscription is paused: nothing is sent, and who paused it', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    await world.fact(paused, 'kim');
    expect(world.ask()).toMatchObject({ code: 'pending', now: { status: 'PAUSED' }, notes: [expect.stringMatching(/USER:kim paused it .*--paused=false --site acme$/), expect.any(String)] });
  });

  it('retry-scheduled: when, and what came of the last attempt', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    await world.delivery('e1', failed(1));
    const why = world.ask();
    expect(why).toMatchObject({ code: 'retry-scheduled', delivered: false, delivery: { state: { status: 'SCHEDULED', nextAttemptAtMs: Date.UTC(2026, 0, 1, 9) } } });
    expect(why.sentence).toContain('again at 2026-01-01T09:00:00.000Z: attempt 1, started at 2026-01-01T01:00:00.000Z, came to status 503');
  });

  it('dead-lettered: the reason, the attempts, and how to have it sent once more', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    await world.delivery('e1', failed(1));
    await world.delivery('e1', deadLettered(2));
    const why = world.ask();
    expect(why).toMatchObject({ code: 'dead-lettered', delivered: false, delivery: { state: { status: 'DEAD_LETTERED', reason: 'attempts-exhausted' } } });
    expect(why.sentence).toContain('after 2 attempts (attempts-exhausted): attempt 2, started at 2026-01-01T02:00:00.000Z, came to timeout');
    expect(why.notes).toEqual([`To have it sent once more: kf webhook retry orders ${world.deliveryOf('e1')} --site acme`]);
  });

  it('cancelled: who deleted the subscription while it was open, also when it was restored since', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    const deletion = await world.fact(deleted, 'kim');
    expect(world.ask()).toMatchObject({ code: 'cancelled', because: { position: deletion.position, actor: { id: 'kim' } }, now: { status: 'DELETED' }, delivery: { subscription: { status: 'DELETED' } }, notes: [] });
    await world.fact(restored);
    expect(world.ask()).toMatchObject({ code: 'cancelled', because: { position: deletion.position }, now: { status: 'ACTIVE' }, notes: [expect.stringContaining('kf webhook recover orders --since'), expect.stringContaining('restored the subscription')] });
  });

  it('cancelled, when fan-out scheduled it only after the deletion', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    const deletion = await world.fact(deleted);
    await world.schedule('e1');
    expect(world.ask()).toMatchObject({ code: 'cancelled', because: { position: deletion.position } });
    await world.fact(restored);
    expect(world.ask().code).toBe('pending');
  });

  it('pattern-mismatch: the pattern for that event, who set it when, and that today’s would match', async () => {
    const world = new History();
    await world.fact(created('order.*'));
    const set = await world.fact(updated('claim.*'), 'kim');
    await world.publish('e1');
    await world.fact(updated('version.*'));
    const why = world.ask();
    expect(why).toMatchObject({ code: 'pattern-mismatch', subscription: { eventPattern: 'claim.*' }, because: { position: set.position, actor: { id: 'kim' }, commandId: 'cmd-WebhookSubscriptionUpdated' }, now: { eventPattern: 'version.*' } });
    expect(why.sentence).toContain(`its pattern for that event, "claim.*", does not match; USER:kim set that pattern at position ${set.position}`);
    expect(why.notes).toEqual(['Today\'s pattern, "version.*", would match it.', expect.stringContaining('changed the pattern from "claim.*" to "version.*"')]);
  });

  it('pattern-mismatch, only because operational events reach patterns that name them', async () => {
    const world = new History();
    await world.fact(created('**'));
    await world.publish('e1', 'webhook.subscription.paused', { operational: 'true' });
    expect(world.ask().sentence).toContain('it is an operational event, and those reach only patterns that name them');
    await world.fact(updated('webhook.**'));
    expect(world.ask().notes[0]).toBe('Today\'s pattern, "webhook.**", would match it.');
  });

  it('filter-mismatch: the filter for that event, whether it was false or could not be told, and who set it when; of a paused subscription too', async () => {
    const world = new History();
    const amount = (least: number): Written => ({ type: 'WebhookSubscriptionUpdated', data: { ...settings('version.*'), filter: `data.amount > ${least}` } });
    await world.fact(created('version.*'));
    const set = await world.fact(amount(100), 'kim');
    await world.fact({ type: 'WebhookSubscriptionUpdated', data: { ...settings('version.published'), filter: 'data.amount > 100' } });
    await world.publish('e1', 'version.published', {}, { amount: 100 });
    await world.publish('e2');
    await world.publish('e3', 'version.published', {}, { amount: 101 });
    await world.fact(amount(5));
    await world.fact(paused);
    await world.publish('e4', 'version.published', {}, { amount: 5 });
    const because = { position: set.position, actor: { id: 'kim' } };
    expect(world.ask('e1')).toMatchObject({ code: 'filter-mismatch', subscription: { filter: 'data.amount > 100' }, because });
    expect(world.ask('e1').sentence).toBe(`Event e1 (version.published, position 4) was not delivered to orders: its filter for that event, data.amount > 100, is not true of its data; USER:kim set that filter at position ${set.position} (2026-11-21T12:02:00.000Z).`);
    expect(world.ask('e2')).toMatchObject({ code: 'filter-mismatch', because, sentence: expect.stringContaining('cannot be told of its data (there is no field "amount")') });
    expect(world.ask('e3').code).toBe('not-scheduled-yet');
    expect(world.ask('e4')).toMatchObject({ code: 'filter-mismatch', subscription: { status: 'PAUSED', filter: 'data.amount > 5' }, notes: [expect.stringContaining('was paused as well')] });
  });

  it('filter-mismatch, and the filter changed later: what today’s would say, and who changed it when', async () => {
    const world = new History();
    const filtered = (pattern: string, filter?: string): Written => ({ type: 'WebhookSubscriptionUpdated', data: { ...settings(pattern), ...(filter === undefined ? {} : { filter }) } });
    await world.fact(created('version.*'));
    await world.fact(filtered('version.*', 'data.amount > 100'));
    await world.publish('e1', 'version.published', {}, { amount: 50 });
    const changed = async (...to: Parameters<typeof filtered>): Promise<string> => {
      const { position, metadata } = await world.fact(filtered(...to), 'kim');
      return `Later, at position ${position} (${metadata['recordedat']}), USER:kim changed`;
    };
    const [lower, other, none] = [await changed('version.*', 'data.amount > 5'), await changed('version.**', 'data.amount > "x"'), await changed('version.**')];
    const later = [`${lower} the filter from data.amount > 100 to data.amount > 5.`, `${other} the pattern from "version.*" to "version.**" and the filter from data.amount > 5 to data.amount > "x".`, `${none} the filter from data.amount > "x" to none.`];
    expect(world.ask('e1')).toMatchObject({ code: 'filter-mismatch', notes: ['Today it has no filter.', ...later] });
    const again = `${await changed('version.**', 'data.amount > 9')} the filter from none to data.amount > 9.`;
    expect(world.ask('e1').notes).toEqual(['Today\'s filter, data.amount > 9, would be true of it.', ...later, again]);
    await changed('version.**', 'data.amount > 90');
    expect(world.ask('e1').notes).not.toContainEqual(expect.stringContaining('Today'));
  });

  it('pattern-mismatch, of a paused subscription too: a recovery would not bring it', async () => {
    const world = new History();
    await world.fact(created('claim.*'));
    await world.fact(paused);
    await world.publish('e1');
    expect(world.ask()).toMatchObject({ code: 'pattern-mismatch', notes: [expect.stringContaining('was paused as well, by USER:sam')] });
  });

  it('paused: by whom, at which position, when, and the command that recovers it', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    const pause = await world.fact(paused, 'kim');
    const event = await world.publish('e1');
    const why = world.ask();
    expect(why).toMatchObject({ code: 'paused', subscription: { status: 'PAUSED' }, because: { type: 'WebhookSubscriptionPaused', position: pause.position, at: pause.metadata['recordedat'], actor: { type: 'USER', id: 'kim' } } });
    expect(why.sentence).toBe(`Event e1 (version.published, position ${event.position}) was not delivered to orders: the subscription was paused (requested) by USER:kim at position ${pause.position} (${pause.metadata['recordedat']}).`);
    expect(why.notes).toEqual([`To have it delivered after all, with everything else missed since: kf webhook recover orders --since ${event.metadata['recordedat']} --status MISSED --site acme`]);
  });

  it('paused from its creation, by the system, and before a deletion that was undone', async () => {
    const born = new History();
    const creation = await born.fact(created('version.*', 'PAUSED'));
    await born.publish('e1');
    expect(born.ask()).toMatchObject({ code: 'paused', because: { position: creation.position } });
    const gone = new History();
    await gone.fact(created('version.*'));
    const pause = await gone.fact(pausedFor('endpoint-gone'), 'housekeeping');
    await gone.fact(deleted);
    await gone.fact(restored);
    await gone.publish('e1');
    expect(gone.ask()).toMatchObject({ code: 'paused', because: { position: pause.position, actor: { type: 'SYSTEM' } }, sentence: expect.stringContaining('paused (endpoint-gone) by SYSTEM:housekeeping') });
  });

  it('paused, by who paused it, not by who changed something else since', async () => {
    const world = new History();
    await world.fact(created('claim.*'));
    const pause = await world.fact(paused, 'kim');
    await world.fact(updated('version.*'));
    await world.publish('e1');
    expect(world.ask()).toMatchObject({ code: 'paused', because: { position: pause.position, actor: { id: 'kim' } } });
  });

  it('paused, and the pattern changed later: the pattern for that event decides', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.fact(paused);
    await world.publish('e1');
    const change = await world.fact(updated('claim.*'), 'kim');
    await world.fact(resumed);
    const why = world.ask();
    expect(why).toMatchObject({ code: 'paused', subscription: { status: 'PAUSED', eventPattern: 'version.*' }, now: { status: 'ACTIVE', eventPattern: 'claim.*' } });
    expect(why.notes).toEqual([
      expect.stringContaining('kf webhook recover'),
      'Today\'s pattern, "claim.*", would not match it; the one for that event decides.',
      `Later, at position ${change.position} (${change.metadata['recordedat']}), USER:kim changed the pattern from "version.*" to "claim.*".`,
      expect.stringContaining('resumed the subscription'),
    ]);
  });

  it('paused, and recovered since: a job scheduled it', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.fact(paused, 'kim');
    await world.publish('e1');
    await world.fact(resumed);
    const scheduled = await world.schedule('e1', { actortype: 'SYSTEM', actorid: 'recovery' });
    await world.delivery('e1', succeeded(1));
    expect(world.ask()).toMatchObject({ code: 'delivered', delivered: true, subscription: { status: 'PAUSED' }, notes: [`The subscription was paused for that event (by USER:kim at position 2 (2026-11-21T12:02:00.000Z)), and it was recovered: SYSTEM:recovery scheduled it at position ${scheduled.position} (${scheduled.metadata['recordedat']}).`] });
  });

  it('created-later: when and by whom', async () => {
    const world = new History();
    await world.publish('e1');
    const creation = await world.fact(created('version.*'), 'kim');
    expect(world.ask()).toMatchObject({ code: 'created-later', subscription: null, because: { position: creation.position, actor: { id: 'kim' } }, now: { status: 'ACTIVE' }, notes: [] });
  });

  it('deleted: by whom and where', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    const deletion = await world.fact(deleted, 'kim');
    await world.publish('e1');
    expect(world.ask()).toMatchObject({ code: 'deleted', subscription: { status: 'DELETED' }, because: { position: deletion.position, actor: { id: 'kim' } }, sentence: expect.stringContaining(`deleted by USER:kim at position ${deletion.position}`) });
  });

  it('purged: when, and that another subscription has the id today', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.fact(deleted);
    const purge = await world.fact(purged, 'housekeeping');
    await world.publish('e1');
    expect(world.ask()).toMatchObject({ code: 'purged', subscription: null, because: { position: purge.position }, now: null });
    await world.fact(created('version.*'));
    expect(world.ask()).toMatchObject({ code: 'purged', now: { status: 'ACTIVE' }, notes: [expect.stringContaining('created a subscription of this id anew, which is another one')] });
  });

  it('cancelled, for an earlier subscription of the same id', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    const deletion = await world.fact(deleted);
    await world.fact(purged, 'housekeeping');
    await world.fact(created('version.*'));
    expect(world.ask()).toMatchObject({ code: 'cancelled', because: { position: deletion.position }, now: { status: 'ACTIVE' } });
    expect(world.ask().notes).toContain('It was scheduled for an earlier subscription of this id, which was purged; the one that has the id today is another.');
    expect(world.ask().notes.join()).not.toContain('kf webhook');
  });

  it('paused or given up, for an earlier subscription of the same id: nothing can be done with the one of today', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    await world.schedule('e1');
    await world.delivery('e1', deadLettered(1));
    await world.fact(paused);
    await world.publish('e2');
    await world.fact(deleted);
    await world.fact(purged, 'housekeeping');
    await world.fact(created('version.*'));
    expect([world.ask('e1').code, world.ask('e2').code]).toEqual(['dead-lettered', 'paused']);
    for (const id of ['e1', 'e2']) expect(world.ask(id).notes.join()).not.toContain('kf webhook');
    expect(world.ask('e2').notes[0]).toBe('The subscription of then is deleted, so it cannot be recovered.');
  });

  it('not-scheduled-yet: how far fan-out is, that this process does not run it, that it could not read the event', async () => {
    const world = new History();
    await world.fact(created('version.*'));
    await world.publish('e1');
    const said = (fanOut: ExplainFacts['fanOut']) => world.ask('e1', { fanOut });
    expect(said({ scheduledUpTo: '1', parked: null })).toMatchObject({ code: 'not-scheduled-yet', delivered: false, delivery: null, sentence: expect.stringContaining('scheduled up to position 1 so far') });
    expect(said({ scheduledUpTo: null, parked: null }).sentence).toContain('this process does not schedule deliveries');
    expect(said({ scheduledUpTo: '9', parked: 'no publishedid' }).sentence).toContain('fan-out could not read the event (no publishedid)');
    expect(said({ scheduledUpTo: '9', parked: null }).sentence).toContain('this must not be');
  });

  it('never-existed: the event, or the subscription', async () => {
    const world = new History();
    await world.log.append(streamOf('webhooksubscription', site, 'fenced'), { type: 'ApprovalFenced', data: { approvalId: 'apr_1' } });
    await world.publish('e1');
    expect(world.ask('e9')).toMatchObject({ code: 'never-existed', event: null, sentence: 'There never was an event e9 in site acme.' });
    expect(world.ask('e1', {}, 'fenced')).toMatchObject({ code: 'never-existed', event: { type: 'version.published' }, subscription: null, now: null, sentence: 'There never was a webhook subscription fenced in site acme.' });
  });

  it('of a synthetic event: it goes to the one it was made for, and no pattern is asked', async () => {
    const world = new History();
    await world.fact(created('claim.*'));
    await world.fact(created('**'), 'sam', 'other');
    await world.publish('e1', 'webhook.test');
    expect(world.ask('e1', { syntheticFor: 'orders' })).toMatchObject({ code: 'not-scheduled-yet', sentence: expect.stringContaining('about to be scheduled') });
    await world.schedule('e1');
    expect(world.ask('e1', { syntheticFor: 'orders' })).toMatchObject({ code: 'pending', notes: ['It is a synthetic event, made to try one subscription; no pattern is asked.'] });
    expect(world.ask('e1', { syntheticFor: 'orders' }, 'other')).toMatchObject({ code: 'pattern-mismatch', sentence: expect.stringContaining('made to try another subscription, orders') });
  });
});

/** The real projection over the log, never behind. */
class Versions implements SubscriptionVersions {
  readonly #rows = new MapRows();
  #position: Position = '0';

  constructor(readonly log: TestLog) {}

  reached(position: Position): Promise<void> {
    for (const event of this.log.of('webhooksubscription-')) if (comparePositions(event.position, this.#position) > 0 && comparePositions(event.position, position) <= 0) subscriptionProjection.apply(event, this.#rows);
    this.#position = position;
    return Promise.resolve();
  }

  overlapping(of: Site, after: Position, through: Position): Promise<readonly SubscriptionVersion[]> {
    const rows = this.#rows.all(subscriptionVersionTable).filter(({ tenant, environment, fromPosition, toPosition }) => siteKey({ tenant, environment }) === siteKey(of) && comparePositions(fromPosition, through) < 0 && (toPosition === null || comparePositions(toPosition, after) > 0));
    return Promise.resolve(rows.map(({ tenant, environment, ...version }) => ({ ...version, site: { tenant, environment } }) as SubscriptionVersion));
  }
}

const patterns = ['a.*', 'b.**', '**', 'webhook.**', '*.x'];
const types = ['a.x', 'b.x', 'webhook.x'];
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('publish' as const), type: fc.constantFrom(...types), operational: fc.boolean() }),
    fc.record({ do: fc.constant('change' as const), which: fc.nat(5), pattern: fc.constantFrom(...patterns) }),
  ),
  { maxLength: 25 },
);

const factOf = (change: string, pattern: string): Written => ({ create: created(pattern), pause: paused, resume: resumed, delete: deleted, restore: restored, purge: purged })[change] ?? updated(pattern);
/** What may follow a status, the likelier more often. */
const allowed: Readonly<Record<string, readonly string[]>> = { NONE: ['create'], ACTIVE: ['update', 'update', 'pause', 'pause', 'pause', 'delete'], PAUSED: ['update', 'resume', 'delete'], DELETED: ['restore', 'restore', 'purge'] };

function changeAfter(status: string, which: number): string {
  const choices = allowed[status] ?? [];
  return choices[which % choices.length] ?? '';
}

type Step = { readonly do: 'publish'; readonly type: string; readonly operational: boolean } | { readonly do: 'change'; readonly which: number; readonly pattern: string };

/** Writes a history in which every change may follow what is there; answers the events' ids. */
async function lived(world: History, history: readonly Step[]): Promise<readonly string[]> {
  const eventIds: string[] = [];
  let status = 'NONE';
  let before = 'ACTIVE';
  for (const step of history) {
    if (step.do === 'publish') {
      eventIds.push(`e${eventIds.length + 1}`);
      await world.publish(eventIds.at(-1) ?? '', step.type, step.operational ? { operational: 'true' } : {});
      continue;
    }
    const change = changeAfter(status, step.which);
    await world.fact(factOf(change, step.pattern));
    if (change === 'delete') before = status;
    status = { create: 'ACTIVE', update: status, pause: 'PAUSED', resume: 'ACTIVE', delete: 'DELETED', restore: before, purge: 'NONE' }[change] ?? status;
  }
  return eventIds;
}

describe('the verdict over any history', () => {
  it('is what fan-out did: it scheduled a delivery exactly where nothing stood against it', async () => {
    const met = new Set<string>();
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const world = new History();
        const eventIds = await lived(world, history);
        const before = eventIds.map((eventId) => world.ask(eventId));
        const fanOut = createFanOut({ store: world.log.reopen(), versions: new Versions(world.log), clock: world.clock, ids: seededIds(3), onAlarm: () => undefined });
        fanOut.start();
        await world.clock.advance(0);
        await fanOut.stop();
        for (const { eventId, code } of before) {
          met.add(code);
          const wasScheduled = world.of(streamOf('webhookdelivery', site, world.deliveryOf(eventId))).length > 0;
          expect([eventId, code === 'not-scheduled-yet']).toEqual([eventId, wasScheduled]);
          expect(['pending', 'cancelled'].includes(world.ask(eventId).code)).toBe(wasScheduled);
        }
      }),
      { numRuns: 150, seed: 20 },
    );
    expect([...met].sort()).toEqual(['created-later', 'deleted', 'never-existed', 'not-scheduled-yet', 'pattern-mismatch', 'paused', 'purged']);
  });
});
