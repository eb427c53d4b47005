import { describe, expect, it } from '@jest/globals';
import { type AttemptOutcome, defaultRetrySchedule } from '#deliveries';
import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import { formatInstant, sha256Hex } from '#kernel';
import { DispatchingWorld, site } from '../../test/support/dispatching-world.ts';

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

const paused = { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } } as const;
const resumed = { type: 'WebhookSubscriptionResumed', data: {} } as const;
const deleted = { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2027-01-01T00:00:00.000Z' } } as const;
const replayed = (resetAttempts = false) => ({ type: 'WebhookDeliveryReplayRequested', data: { resetAttempts, manual: false } }) as const;

/** Publishes one after the other to one subscription. */
async function publishMany(world: DispatchingWorld, count: number, to: string, prefix = 'e'): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push(...(await world.publish(`${prefix}-${n}`, [to])));
  return ids;
}

/** Answers of the read model come when they are let go: what they say was read before. */
function heldBack(world: DispatchingWorld): { go(): void } {
  const waiting: (() => void)[] = [];
  world.readModel.slow = () => new Promise((resolve) => void waiting.push(resolve));
  return {
    go: () => {
      world.readModel.slow = () => undefined;
      for (const answer of waiting) answer();
    },
  };
}

const outcomeOf = (world: DispatchingWorld, id: string): AttemptOutcome => JSON.parse(world.deliveryEvents(id).at(-1)?.data ?? '{}') as AttemptOutcome;

async function started(): Promise<DispatchingWorld> {
  const world = new DispatchingWorld();
  await world.subscribe('alpha');
  await world.start();
  return world;
}

describe('an attempt', () => {
  it('goes out when the delivery is scheduled, without a query, and is recorded', async () => {
    const world = await started();
    const [id = ''] = await world.publish('e1', ['alpha']);
    expect(world.dispatcher?.isInFlight(id)).toBe(true);
    await world.clock.advance(100);
    expect(world.sentTo('alpha')).toMatchObject([{ webhookId: id, eventId: 'e1', url: 'https://alpha/hook', keys: ['key of alpha-1'] }]);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 1 });
    expect(world.dispatcher?.isInFlight(id)).toBe(false);
    expect(world.readModel.queries).toEqual([]);
    expect(world.dispatcher?.stats()).toEqual({ lanes: 1, waiting: 0, sending: 0, unrecorded: 0, failing: 0 });
  });

  it('goes out when it is read that the delivery is scheduled, while the read model has not seen it, and is made once', async () => {
    const world = await started();
    world.reads = true;
    world.follows = false;
    world.reply = () => ({ status: 200, afterMs: 50 });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.onSubscription('alpha', paused);
    await world.publish('e2', ['alpha']);
    const withoutOutcome = world.log.events.length - 1;
    await world.clock.advance(100);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 1 });
    // What waits is asked for, and answered with the first delivery as it was scheduled.
    world.commit(withoutOutcome);
    await world.onSubscription('alpha', resumed);
    await world.clock.advance(minuteMs);
    expect(world.readModel.queries).not.toEqual([]);
    world.commit();
    await world.clock.advance(minuteMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e1', 'e2']);
  });

  it.each(['PENDING', 'SCHEDULED'] as const)('does not go out (%s) when its subscription was deleted and restored, while the read model has seen neither', async (status) => {
    const world = new DispatchingWorld();
    world.reads = true;
    world.limits = status === 'PENDING' ? { perSubscription: 1 } : {};
    world.reply = () => (status === 'PENDING' ? 'hang' : 500);
    await world.subscribe('alpha');
    await world.start();
    await world.publish('e1', ['alpha']);
    const [id = ''] = await world.publish('e2', ['alpha']);
    await world.clock.advance(100);
    world.commit();
    await world.settle();
    expect(world.delivery(id)).toMatchObject({ status });
    world.follows = false;
    const before = world.sent.length;
    for (const type of ['Deleted', 'Restored'] as const) {
      await world.onSubscription('alpha', type === 'Deleted' ? { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2099-01-01T00:00:00.000Z' } } : { type: 'WebhookSubscriptionRestored', data: {} });
      await world.settle();
    }
    world.follows = true;
    world.commit();
    world.reply = () => 200;
    await world.clock.advance(minuteMs);
    expect(world.sent).toHaveLength(before);
  });

  it('goes out in the end that was scheduled after a deletion, although nothing of its subscription was kept when that was restored', async () => {
    const world = new DispatchingWorld();
    world.reads = true;
    world.limits = { lanes: 1 };
    const others = Array.from({ length: 8 }, (_, index) => `beta-${index}`);
    await world.subscribe('alpha');
    for (const other of others) await world.subscribe(other);
    await world.start();
    await world.publish('e1', []);
    world.follows = false;
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2099-01-01T00:00:00.000Z' } });
    const id = await world.scheduleDelivery('e1', 'alpha');
    await world.clock.advance(100);
    for (const other of others) await world.publish(`of-${other}`, [other]);
    await world.clock.advance(100);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    await world.clock.advance(1_000);
    world.follows = true;
    world.commit();
    await world.clock.advance(60 * minuteMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('goes out when its page had to wait for what was shown while another was read', async () => {
    const world = new DispatchingWorld();
    world.limits = { unshown: 12, window: 4 };
    const slow = Promise.withResolvers<void>();
    world.readModel.slow = ({ subscriptionId, status }) => (subscriptionId === 'alpha' && status === 'SCHEDULED' ? slow.promise : undefined);
    await world.subscribe('alpha');
    await world.subscribe('beta');
    await world.publish('e1', ['alpha', 'beta']);
    await world.start();
    await world.clock.advance(100);
    world.follows = false;
    world.reads = true;
    for (let n = 0; n < 10; n += 1) await world.publish(`a${n}`, ['alpha']);
    await world.clock.advance(100);
    world.reads = false;
    const ids: string[] = [];
    for (let n = 0; n < 8; n += 1) ids.push(...(await world.publish(`b${n}`, ['beta'])));
    world.reads = true;
    world.read();
    for (let round = 0; round < 3; round += 1) {
      await world.clock.advance(100);
      if (round < 2) world.commit();
    }
    slow.resolve();
    await world.clock.advance(100);
    world.commit();
    world.follows = true;
    await world.clock.advance(60 * minuteMs);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(ids.map(() => 'DELIVERED'));
  });

  it('goes out as what its subscription was told to be before the delivery was scheduled, while the read model has seen neither', async () => {
    const world = await started();
    await world.publish('e1', ['alpha']);
    world.reads = true;
    world.follows = false;
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://elsewhere/hook', deliveryMode: 'AT_LEAST_ONCE', description: null } });
    await world.publish('e2', ['alpha']);
    expect(world.sent.map(({ eventId, url }) => [eventId, url])).toEqual([
      ['e1', 'https://alpha/hook'],
      ['e2', 'https://elsewhere/hook'],
    ]);
  });

  it('goes out in the end when it had no place in memory while the read model had not seen it', async () => {
    const world = new DispatchingWorld();
    world.limits = { window: 2, waiting: 2, perSubscription: 1 };
    await world.subscribe('alpha', 'ORDERED');
    await world.start();
    world.reads = true;
    world.follows = false;
    await publishMany(world, 8, 'alpha');
    await world.clock.advance(minuteMs);
    const before = world.sent.length;
    expect(before).toBeLessThan(8);
    world.follows = true;
    world.commit();
    await world.clock.advance(minuteMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(Array.from({ length: 8 }, (_, n) => `e-${n}`));
  });

  it('carries the data of the publisher byte for byte, the same on every attempt', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    await world.publish('e1', ['alpha'], '{"id":9007199254740993,"x":1.0}');
    await world.clock.advance(10 * secondMs);
    const bodies = world.sent.map(({ body }) => body);
    expect(bodies).toEqual([bodies[0], bodies[0]]);
    expect(bodies[0]).toMatch(/^\{"id":"e1","type":"order\.placed","timestamp":"2026-11-21T12:00:00\.000Z","tenant":"acme","environment":"production","data":\{"id":9007199254740993,"x":1\.0\}\}$/);
  });

  it('leaves a transcript before its outcome, and the outcome names it', async () => {
    const world = await started();
    world.reply = () => ({ status: 503, retryAfterMs: minuteMs });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    const [transcript] = world.transcripts();
    const decision = { next: 'SCHEDULED', why: 'status-503, retry-after', nextAttemptAt: expect.any(String) };
    expect(transcript).toMatchObject({ tenant: 'acme', deliveryId: id, attempt: 1, response: { status: 503 }, error: null, decision, subscriptionRevision: 1, secretVersionIds: ['alpha-1'], remoteAddress: '192.0.2.1' });
    expect(transcript).not.toHaveProperty('request.body');
    expect(outcomeOf(world, id)).toMatchObject({ attempt: 1, status: 503, error: null, subscriptionRevision: 1, secretVersionIds: ['alpha-1'], transcriptSha256: sha256Hex(JSON.stringify(transcript)) });
    const types = world.log.events.map(({ type }) => type);
    expect(types.indexOf('WebhookTranscriptsRecorded')).toBeLessThan(types.indexOf('WebhookDeliveryAttemptFailed'));
    expect(world.log.events.find(({ type }) => type === 'WebhookTranscriptsRecorded')?.stream).toBe('transcript-20261121.0');
  });

  it('has its transcript in the stream of its day, which a restart goes on with', async () => {
    const world = await started();
    const transcriptStreams = (): string[] => world.log.events.filter(({ stream }) => stream.startsWith('transcript-')).map(({ stream, revision }) => `${stream}@${revision}`);
    await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    await world.dispatcher?.stop({ graceMs: secondMs });
    await world.start();
    await world.publish('e2', ['alpha']);
    await world.clock.advance(24 * hourMs);
    await world.publish('e3', ['alpha']);
    await world.clock.advance(secondMs);
    expect(transcriptStreams()).toEqual(['transcript-20261121.0@0', 'transcript-20261121.0@1', 'transcript-20261122.0@0']);
  });

  it('is recorded with flat metadata that says whose it is and what caused it', async () => {
    const world = await started();
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    const published = world.log.events.find(({ type }) => type === 'EventPublished');
    expect(world.deliveryEvents(id).at(-1)?.metadata).toEqual({
      recordedat: formatInstant(Date.UTC(2026, 10, 21, 12) + 5),
      schemaversion: '1',
      tenant: 'acme',
      environment: 'production',
      correlationid: 'corr-1',
      causationid: published?.id,
      actortype: 'SYSTEM',
      actorid: 'dispatcher',
    });
  });

  it('is told as one line, without the URL', async () => {
    const world = await started();
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    expect(world.lines).toEqual([
      {
        correlationId: 'corr-1',
        tenant: 'acme',
        environment: 'production',
        subscriptionId: 'alpha',
        deliveryId: id,
        eventId: 'e1',
        eventType: 'order.placed',
        attempt: 1,
        status: 200,
        error: null,
        durationMs: 5,
        remoteAddress: '192.0.2.1',
        decision: 'DELIVERED',
        why: 'status-200',
        nextAttemptAt: null,
      },
    ]);
  });

  it('takes target and revision as they are when it starts', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://beta/hook', deliveryMode: 'AT_LEAST_ONCE', description: null } });
    await world.clock.advance(10 * secondMs);
    expect(world.sent.map(({ url }) => url)).toEqual(['https://alpha/hook', 'https://beta/hook']);
    expect(outcomeOf(world, id)).toMatchObject({ attempt: 2, subscriptionRevision: 2 });
  });

  it('is signed with both keys in the grace window, the new one first, and with the new one alone after it', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth < 3 ? 500 : 200);
    await world.onSubscription('alpha', {
      type: 'WebhookSubscriptionSecretRotated',
      data: { secret: { versionId: 'alpha-2', kind: 'managed', fingerprint: 'g' }, previous: { versionId: 'alpha-1', graceUntil: formatInstant(world.clock.now() + minuteMs) }, retired: [] },
    });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(30 * secondMs);
    expect(outcomeOf(world, id).secretVersionIds).toEqual(['alpha-2', 'alpha-1']);
    await world.clock.advance(10 * minuteMs);
    expect(world.sent.map(({ keys }) => keys)).toEqual([['key of alpha-2', 'key of alpha-1'], ['key of alpha-2', 'key of alpha-1'], ['key of alpha-2']]);
  });
});

describe('the timeout of a request', () => {
  it('is 15 s, or what the subscription says when the attempt starts', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth < 3 ? 'hang' : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://alpha/hook', deliveryMode: 'AT_LEAST_ONCE', description: null, timeoutMs: 2_000 } });
    await world.clock.advance(15 * secondMs + 5);
    expect(outcomeOf(world, id)).toMatchObject({ error: 'timeout', durationMs: 15_000 });
    await world.clock.advance(10 * secondMs);
    expect(outcomeOf(world, id)).toMatchObject({ error: 'timeout', durationMs: 2_000 });
    expect(world.sent).toHaveLength(2);
  });
});

describe('retries', () => {
  it('follow the schedule with at most 20 % jitter until the delivery is a dead letter', async () => {
    const world = await started();
    world.reply = () => 500;
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(120 * hourMs);
    const gaps = world.sent.slice(1).map(({ atMs }, index) => atMs - (world.sent[index]?.atMs ?? 0) - 5);
    expect(gaps).toHaveLength(9);
    gaps.forEach((gap, index) => {
      const delay = defaultRetrySchedule[index + 1] ?? Number.NaN;
      expect(gap).toBeGreaterThanOrEqual(delay * 0.8);
      expect(gap).toBeLessThanOrEqual(delay * 1.2 + 1);
    });
    expect(new Set(gaps.map((gap, index) => gap / (defaultRetrySchedule[index + 1] ?? 1))).size).toBeGreaterThan(5);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', reason: 'attempts-exhausted', attempts: 10 });
    expect(new Set(world.sent.map(({ webhookId }) => webhookId))).toEqual(new Set([id]));
  });

  it('follow the schedule of the subscription as it was when the attempt started', async () => {
    const world = await started();
    const settings = { eventPattern: '**', targetUrl: 'https://alpha/hook', deliveryMode: 'AT_LEAST_ONCE', description: null } as const;
    world.reply = () => 500;
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { ...settings, retryScheduleMs: [0, hourMs] } });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(minuteMs);
    expect(world.sent).toHaveLength(1);
    await world.clock.advance(2 * hourMs);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', reason: 'attempts-exhausted', attempts: 2 });
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: settings });
    await world.publish('e2', ['alpha']);
    await world.clock.advance(minuteMs);
    expect(world.sent).toHaveLength(4);
  });

  it('have the headers of the subscription as it was when the attempt started, and wait where a value is not to be had', async () => {
    const world = await started();
    const settings = { eventPattern: '**', targetUrl: 'https://alpha/hook', deliveryMode: 'AT_LEAST_ONCE', description: null } as const;
    const headers = { 'x-a': { versionId: 'v1', fingerprint: 'f' }, 'x-b': { versionId: 'v2', fingerprint: 'f' } };
    await world.publish('e0', ['alpha']);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { ...settings, headers } });
    await world.publish('e1', ['alpha']);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { ...settings, headers: { 'x-b': { versionId: 'v3', fingerprint: 'g' } } } });
    await world.publish('e2', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.sent.map((sent) => sent.headers)).toEqual([{}, { 'x-a': 'key of v1', 'x-b': 'key of v2' }, { 'x-b': 'key of v3' }]);
    world.unavailableSecrets.add('v4');
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { ...settings, headers: { 'x-b': { versionId: 'v4', fingerprint: 'h' } } } });
    await world.publish('e3', ['alpha']);
    await world.clock.advance(10 * secondMs);
    expect([world.sent.length, world.alarms]).toEqual([3, [expect.objectContaining({ alarm: 'signing-secret-unavailable', subscriptionId: 'alpha' })]]);
    world.unavailableSecrets.clear();
    await world.clock.advance(minuteMs);
    expect(world.sent.at(-1)?.headers).toEqual({ 'x-b': 'key of v4' });
  });

  it('start at the very time that was recorded', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    const { nextAttemptAt } = JSON.parse(world.deliveryEvents(id).at(-1)?.data ?? '') as { nextAttemptAt: string };
    await world.clock.advance(10 * secondMs);
    expect(formatInstant(world.sent[1]?.atMs ?? 0)).toBe(nextAttemptAt);
  });

  it('wait for Retry-After', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? { status: 429, retryAfterMs: hourMs } : 200);
    await world.publish('e1', ['alpha']);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(2);
  });

  it.each([429, 502, 503, 504])('slow the endpoint down after %i: half of its other deliveries wait, and all a second when it says so again; those of others do not', async (status) => {
    const world = await started();
    await world.subscribe('beta');
    world.reply = ({ url }) => ({ status: url.includes('alpha') ? status : 200, afterMs: 20 });
    await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    const later = Array.from({ length: 9 }, (_, n) => `e${n + 2}`);
    for (const eventId of later) await world.publish(eventId, ['alpha', 'beta']);
    await world.clock.advance(100);
    expect(world.sentTo('alpha').map(({ eventId }) => eventId)).toEqual(['e1', ...later.slice(0, 5)]);
    expect(world.sentTo('beta').map(({ eventId }) => eventId)).toEqual(later);
    await world.clock.advance(secondMs);
    expect(world.sentTo('alpha').map(({ eventId }) => eventId)).toEqual(['e1', ...later.slice(0, 6)]);
  });

  it('leave the endpoint alone for as long as it asks, within a minute', async () => {
    const world = await started();
    world.reply = ({ eventId }) => (eventId === 'e1' ? { status: 503, retryAfterMs: hourMs } : 200);
    await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    await world.publish('e2', ['alpha']);
    await world.clock.advance(59 * secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e1']);
    await world.clock.advance(2 * secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e1', 'e2']);
  });

  it('go on at once after a 500: only this delivery waits', async () => {
    const world = await started();
    world.reply = ({ eventId }) => (eventId === 'e1' ? 500 : 200);
    await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    await world.publish('e2', ['alpha']);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e1', 'e2']);
  });

  it('end with 410: the delivery is a dead letter at once', async () => {
    const world = await started();
    world.reply = () => 410;
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', reason: 'endpoint-gone' });
  });

  it('follow no answer as they follow a bad one', async () => {
    const world = await started();
    world.schedule = [0, secondMs];
    world.kill();
    await world.start();
    world.reply = () => ({ error: 'target-refused' });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toHaveLength(2);
    expect(outcomeOf(world, id)).toMatchObject({ status: null, error: 'target-refused', attempt: 2 });
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', reason: 'attempts-exhausted' });
  });

  it('go on after a restart', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth < 3 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(minuteMs);
    await world.dispatcher?.stop({ graceMs: secondMs });
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(2);
    await world.start();
    await world.clock.advance(100);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 3 });
  });

  it('take turns with first attempts, so that a backlog of new deliveries does not starve them', async () => {
    const world = new DispatchingWorld();
    world.limits = { perSubscription: 1 };
    await world.subscribe('alpha');
    world.reply = ({ eventId, nth }) => (eventId.startsWith('old') && nth === 1 ? 500 : { status: 200, afterMs: 100 });
    await world.start();
    const old = await publishMany(world, 3, 'alpha', 'old');
    await world.clock.advance(secondMs);
    await publishMany(world, 90, 'alpha', 'new');
    await world.clock.advance(8 * secondMs);
    expect(old.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
    expect(world.sentTo('alpha').length).toBeLessThan(93);
  });
});

describe('first attempts', () => {
  it('take turns with retries, so that a storm of retries does not starve them', async () => {
    const world = new DispatchingWorld();
    world.limits = { perSubscription: 1 };
    world.schedule = [0, secondMs, secondMs, secondMs, secondMs];
    await world.subscribe('alpha');
    world.reply = ({ eventId }) => ({ status: eventId.startsWith('old') ? 422 : 200, afterMs: 100 });
    await world.start();
    await publishMany(world, 30, 'alpha', 'old');
    await world.clock.advance(7 * secondMs);
    const fresh = await publishMany(world, 3, 'alpha', 'new');
    await world.clock.advance(secondMs);
    expect(world.sent.at(-1)?.eventId).toMatch(/^old/);
    expect(fresh.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
  });
});

describe('BEST_EFFORT', () => {
  it('is tried once', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha', 'BEST_EFFORT');
    await world.start();
    world.reply = () => 500;
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', reason: 'best-effort-failed' });
  });
});

describe('ORDERED', () => {
  it('sends in log order, one at a time, the next only when the one before is durably delivered', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha', 'ORDERED');
    await world.start();
    let durable = 0;
    const durableWhenSent: number[] = [];
    world.reply = () => {
      durableWhenSent.push(durable);
      return 200;
    };
    world.fault = (stream) => {
      if (!stream.startsWith('webhookdelivery-')) return undefined;
      const stall = new Promise<void>((resolve) => world.clock.after(50, () => {
        durable += 1;
        resolve();
      }));
      return { stall };
    };
    await publishMany(world, 5, 'alpha');
    await world.clock.advance(secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-1', 'e-2', 'e-3', 'e-4']);
    expect(world.mostUnderWay.get('alpha')).toBe(1);
    expect(durableWhenSent).toEqual([0, 1, 2, 3, 4]);
  });

  it('holds everything back while the first one waits for its retry, through a restart', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha', 'ORDERED');
    await world.start();
    world.reply = ({ eventId, nth }) => (eventId === 'e-1' && nth < 4 ? 500 : 200);
    await publishMany(world, 4, 'alpha');
    await world.clock.advance(minuteMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-1', 'e-1']);
    world.kill();
    await world.start();
    await world.clock.advance(10 * minuteMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-1', 'e-1', 'e-1']);
    await world.clock.advance(hourMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-1', 'e-1', 'e-1', 'e-1', 'e-2', 'e-3']);
  });

  it('goes on behind a dead letter', async () => {
    const world = new DispatchingWorld();
    world.schedule = [0, secondMs];
    await world.subscribe('alpha', 'ORDERED');
    await world.start();
    world.reply = ({ eventId }) => (eventId === 'e-0' ? 500 : 200);
    const ids = await publishMany(world, 2, 'alpha');
    await world.clock.advance(minuteMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-0', 'e-1']);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(['DEAD_LETTERED', 'DELIVERED']);
  });

  it('is in order also while the read model is behind, and a page of it is late', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha', 'ORDERED', 'PAUSED');
    await publishMany(world, 3, 'alpha');
    await world.start();
    world.reply = ({ eventId, nth }) => (eventId === 'e-0' && nth === 1 ? 500 : 200);
    world.follows = false;
    await world.onSubscription('alpha', resumed);
    world.commit();
    await world.clock.advance(100);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0']);
    // Not shown: the read model still has e-0 as PENDING, and the window is read anew.
    await world.dispatcher?.pauseSeen(site, 'alpha');
    await world.clock.advance(2 * secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0']);
    await world.clock.advance(10 * secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-0', 'e-1', 'e-2']);
  });

  it('is in order also when the pages of first attempts and of retries come at different times, and neither has the retry yet', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha', 'ORDERED');
    await world.start();
    world.reply = ({ eventId, nth }) => (eventId === 'e-0' && nth === 1 ? 500 : 200);
    await publishMany(world, 2, 'alpha');
    world.follows = false;
    await world.clock.advance(100);
    await world.onSubscription('alpha', paused);
    await world.dispatcher?.pauseSeen(site, 'alpha');
    await world.clock.advance(100);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.readModel.slow = ({ status }) => (status === 'SCHEDULED' ? late : undefined);
    await world.onSubscription('alpha', resumed);
    await world.dispatcher?.pauseSeen(site, 'alpha');
    await world.clock.advance(100);
    go();
    await world.clock.advance(10 * secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e-0', 'e-0', 'e-1']);
  });

  it('puts retries into log order when the mode changes, whatever their times', async () => {
    const world = await started();
    const waits: Record<string, number> = { 'e-0': 30, 'e-1': 10, 'e-2': 20 };
    world.reply = ({ eventId, nth }) => (nth === 1 ? { status: 429, retryAfterMs: (waits[eventId] ?? 0) * secondMs } : 200);
    await publishMany(world, 3, 'alpha');
    await world.clock.advance(secondMs);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://alpha/hook', deliveryMode: 'ORDERED', description: null } });
    await world.clock.advance(minuteMs);
    expect(world.sent.slice(3).map(({ eventId }) => eventId)).toEqual(['e-0', 'e-1', 'e-2']);
  });

  it('begins when the mode changes, after what is under way', async () => {
    const world = await started();
    world.reply = () => ({ status: 200, afterMs: secondMs });
    await publishMany(world, 12, 'alpha');
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://alpha/hook', deliveryMode: 'ORDERED', description: null } });
    await world.clock.advance(500);
    expect(world.sent).toHaveLength(10);
    await world.clock.advance(600);
    expect(world.sent).toHaveLength(11);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(12);
  });
});

describe('pause', () => {
  it('nothing starts after it was seen; what is under way finishes; what is pending waits', async () => {
    const world = await started();
    world.reply = () => ({ status: 200, afterMs: secondMs });
    const ids = await publishMany(world, 15, 'alpha');
    await world.clock.advance(100);
    expect(world.sent).toHaveLength(10);
    world.follows = false; // The read model learns of it later than the command's answer.
    await world.onSubscription('alpha', paused);
    await world.dispatcher?.pauseSeen(site, 'alpha');
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toHaveLength(10);
    expect(ids.map((id) => world.delivery(id).status).filter((status) => status === 'DELIVERED')).toHaveLength(10);
    world.commit();
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(10);
    expect(world.dispatcher?.stats().waiting).toBe(0);
  });

  it('is seen by an attempt that is being prepared', async () => {
    const world = await started();
    const { promise: gate, resolve: go } = Promise.withResolvers<void>();
    // What was read before the pause comes late.
    world.slowRead = (stream) => (stream.startsWith('webhooksubscription-') ? gate : undefined);
    await world.publish('e1', ['alpha']);
    world.slowRead = () => undefined;
    await world.onSubscription('alpha', paused);
    await world.dispatcher?.pauseSeen(site, 'alpha');
    go();
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
  });

  it('ends with resume: what waited goes out, also after a restart in between', async () => {
    const world = await started();
    await world.onSubscription('alpha', paused);
    const ids = await publishMany(world, 3, 'alpha');
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    world.kill();
    await world.start();
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    await world.onSubscription('alpha', resumed);
    await world.clock.advance(100);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
  });

  it('holds retries back too, and they go on with resume', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    await world.onSubscription('alpha', paused);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
    await world.onSubscription('alpha', resumed);
    await world.clock.advance(100);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 2 });
  });
});

describe('delete', () => {
  it('ends everything that waits; what is under way finishes and is recorded', async () => {
    const world = await started();
    world.reply = () => ({ status: 500, afterMs: secondMs });
    const ids = await publishMany(world, 12, 'alpha');
    await world.onSubscription('alpha', deleted);
    await world.dispatcher?.pauseSeen(site, 'alpha');
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(10);
    expect(ids.filter((id) => world.delivery(id).status === 'SCHEDULED')).toHaveLength(10);
  });

  it('restored: what was cancelled stays so, what comes after it is sent', async () => {
    const world = await started();
    world.reply = ({ eventId }) => ({ status: eventId === 'e9' ? 200 : 500, afterMs: secondMs });
    await publishMany(world, 12, 'alpha');
    await world.onSubscription('alpha', deleted);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    const [id = ''] = await world.publish('e9', ['alpha']);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(11);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it.each([[false], [true]])('restored: what was scheduled after the deletion, by a fan-out that was late, is sent (restart in between: %s)', async (restart) => {
    const world = await started();
    await world.publish('e1', []);
    await world.onSubscription('alpha', deleted);
    const id = await world.scheduleDelivery('e1', 'alpha');
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    await world.scheduleDelivery('e1-too', 'alpha');
    expect(world.dispatcher?.stats().waiting).toBe(0);
    if (restart) {
      world.kill();
      await world.start();
    }
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    await world.clock.advance(secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('restored: what was scheduled after the deletion is sent, also what nobody here was told of before others were scheduled', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha');
    await world.publish('e1', []);
    await world.onSubscription('alpha', deleted);
    const ids = [await world.scheduleDelivery('e1', 'alpha')];
    await world.start();
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.slowRead = (stream) => (stream.startsWith('webhooksubscription-') ? late : undefined);
    await world.publish('e2', []);
    ids.push(await world.scheduleDelivery('e2', 'alpha'));
    await world.settle();
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    go();
    await world.clock.advance(secondMs);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED']);
  });

  it('cancels what has failed and is to be tried again, although the read model does not show it yet, and although it is undone before', async () => {
    const world = await started();
    world.reads = true;
    world.follows = false;
    world.reply = () => 500;
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.delivery(id).status).toBe('SCHEDULED');
    await world.onSubscription('alpha', deleted);
    const { promise: late, resolve: page } = Promise.withResolvers<void>();
    world.readModel.slow = ({ status }) => (status === 'PENDING' ? late : undefined);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    await world.settle();
    world.follows = true;
    world.commit();
    await world.clock.advance(minuteMs);
    page();
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
  });

  it('cancels an attempt that is being prepared, even when it is undone before the attempt is ready', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha');
    const [id = ''] = await world.publish('e1', ['alpha']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.slowRead = (stream) => (stream.startsWith('event-') ? late : undefined);
    await world.start();
    expect(world.dispatcher?.isInFlight(id)).toBe(true);
    await world.onSubscription('alpha', deleted);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    await world.settle();
    go();
    await world.clock.advance(hourMs);
    expect(world.sent).toEqual([]);
    expect(world.dispatcher?.isInFlight(id)).toBe(false);
  });

  it('a delivery of an earlier incarnation is not sent to the later one', async () => {
    const world = await started();
    const earlier = world.incarnationOf('alpha');
    await world.onSubscription('alpha', deleted);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionPurged', data: { shreddedSecrets: [] } });
    await world.subscribe('alpha');
    const [, own = ''] = [await world.publish('e1', []), ...(await world.publish('e2', ['alpha']))];
    const late = await world.scheduleDelivery('e1', 'alpha', '1', earlier);
    await world.clock.advance(minuteMs);
    expect(world.sent.map(({ webhookId }) => webhookId)).toEqual([own]);
    expect(world.deliveryEvents(late)).toHaveLength(1);
  });
});

describe('fairness', () => {
  it('a subscription has at most its share under way, and a hung receiver costs only its own', async () => {
    const world = new DispatchingWorld();
    for (const id of ['hung', 'beta', 'gamma']) await world.subscribe(id);
    await world.start();
    world.reply = ({ url }) => (url.includes('hung') ? 'hang' : 200);
    await publishMany(world, 30, 'hung');
    const others = [...(await publishMany(world, 30, 'beta', 'b')), ...(await publishMany(world, 30, 'gamma', 'g'))];
    await world.clock.advance(secondMs);
    expect(others.every((id) => world.delivery(id).status === 'DELIVERED')).toBe(true);
    expect(Object.fromEntries(world.mostUnderWay)).toEqual({ hung: 10, beta: expect.any(Number), gamma: expect.any(Number) });
    expect(world.sentTo('hung')).toHaveLength(10);
    await world.clock.advance(15 * secondMs);
    expect(world.sentTo('hung').length).toBeGreaterThan(10);
  });

  it('with few slots for all, subscriptions take turns', async () => {
    const world = new DispatchingWorld();
    world.limits = { inFlight: 2 };
    world.reply = () => ({ status: 200, afterMs: 100 });
    for (const id of ['alpha', 'beta', 'gamma']) await world.subscribe(id, 'AT_LEAST_ONCE', 'PAUSED');
    await publishMany(world, 20, 'alpha', 'a');
    await publishMany(world, 4, 'beta', 'b');
    await publishMany(world, 4, 'gamma', 'g');
    await world.start();
    for (const id of ['alpha', 'beta', 'gamma']) await world.onSubscription(id, resumed);
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toHaveLength(28);
    const lastOfTheSmall = world.sent.findLastIndex(({ eventId }) => !eventId.startsWith('a-'));
    expect(lastOfTheSmall).toBeLessThan(15);
    expect(Math.max(...world.mostUnderWay.values())).toBeLessThanOrEqual(2);
  });

  it('the cap over all holds', async () => {
    const world = new DispatchingWorld();
    world.limits = { inFlight: 7 };
    world.reply = () => 'hang';
    for (const id of ['alpha', 'beta']) {
      await world.subscribe(id);
      await publishMany(world, 10, id, id);
    }
    await world.start();
    await world.clock.advance(secondMs);
    // First attempts of one tenant: twice as many as are left free.
    expect(world.sent).toHaveLength(5);
    expect(world.dispatcher?.stats().sending).toBe(5);
  });
});

describe('memory', () => {
  it('holds a window of what waits for a slow receiver; the rest is found in the read model', async () => {
    const world = new DispatchingWorld();
    world.limits = { window: 5 };
    world.reply = () => ({ status: 200, afterMs: secondMs });
    await world.subscribe('alpha');
    await world.start();
    const ids = await publishMany(world, 40, 'alpha');
    expect(world.dispatcher?.stats()).toMatchObject({ sending: 10, waiting: 5 });
    await world.clock.advance(10 * secondMs);
    expect(ids.every((id) => world.delivery(id).status === 'DELIVERED')).toBe(true);
  });

  it('forgets no subscription that has something under way', async () => {
    const world = new DispatchingWorld();
    world.limits = { lanes: 2 };
    world.reply = ({ url }) => ({ status: 200, afterMs: url.includes('alpha') ? secondMs : 5 });
    for (const id of ['alpha', 'beta', 'gamma', 'delta']) await world.subscribe(id, 'ORDERED');
    await world.start();
    await world.publish('e1', ['alpha']);
    for (const id of ['beta', 'gamma', 'delta']) {
      await world.publish(`to-${id}`, [id]);
      await world.clock.advance(100);
    }
    await world.publish('e2', ['alpha']);
    await world.clock.advance(10 * secondMs);
    expect(world.sentTo('alpha')).toHaveLength(2);
    expect(world.mostUnderWay.get('alpha')).toBe(1);
  });
});

describe('what can go wrong', () => {
  it('the answer of the outcome append is lost: it is appended once', async () => {
    const world = await started();
    let faults = 0;
    world.fault = (stream) => (stream.startsWith('webhookdelivery-') && faults++ < 3 ? { after: new OutcomeUnknown('no answer') } : undefined);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(10 * secondMs);
    expect(faults).toBeGreaterThan(3);
    expect(world.deliveryEvents(id).map(({ type }) => type)).toEqual(['WebhookDeliveryScheduled', 'WebhookDeliverySucceeded']);
    expect(world.sent).toHaveLength(1);
  });

  it('the answer of the transcript append is lost: the batch stands once', async () => {
    const world = await started();
    let faults = 0;
    world.fault = (stream) => (stream.startsWith('transcript-') && faults++ < 2 ? { after: new OutcomeUnknown('no answer') } : undefined);
    const ids = await publishMany(world, 3, 'alpha');
    await world.clock.advance(10 * secondMs);
    expect(world.transcripts().map(({ deliveryId }) => deliveryId).sort()).toEqual([...ids].sort());
    expect(ids.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
  });

  it('the store stalls: nothing more is sent once an outcome has waited 5 s, and it goes on afterwards', async () => {
    const world = await started();
    let down = true;
    world.fault = () => (down ? { before: new StoreUnavailable('away') } : undefined);
    await publishMany(world, 3, 'alpha', 'before');
    await world.clock.advance(6 * secondMs);
    expect(world.sent).toHaveLength(3);
    const ids = await publishMany(world, 3, 'alpha', 'after');
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(3);
    expect(world.alarms.map(({ alarm }) => alarm)).toEqual(expect.arrayContaining(['store-unavailable', 'outcomes-unrecorded']));
    down = false;
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toHaveLength(6);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
  });

  it('the store stalls while an attempt is being prepared: it does not start either', async () => {
    const world = new DispatchingWorld();
    for (const id of ['alpha', 'beta']) await world.subscribe(id);
    const [early = ''] = await world.publish('e1', ['beta']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.slowRead = (stream) => (stream.startsWith('event-') ? late : undefined);
    await world.start();
    let down = true;
    world.fault = () => (down ? { before: new StoreUnavailable('away') } : undefined);
    await world.publish('e2', ['alpha']);
    await world.clock.advance(6 * secondMs);
    expect(world.sent.map(({ eventId }) => eventId)).toEqual(['e2']);
    go();
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(1);
    down = false;
    await world.clock.advance(10 * secondMs);
    expect(world.delivery(early).status).toBe('DELIVERED');
  });

  it('too many outcomes wait: nothing more is sent', async () => {
    const world = new DispatchingWorld();
    world.limits = { unrecorded: 4, perSubscription: 2 };
    await world.subscribe('alpha');
    await world.start();
    world.fault = () => ({ before: new StoreUnavailable('away') });
    await publishMany(world, 20, 'alpha');
    await world.clock.advance(4 * secondMs);
    expect(world.sent.length).toBeGreaterThanOrEqual(4);
    // Those under way when the limit was reached finish, nothing more begins.
    expect(world.sent.length).toBeLessThanOrEqual(4 + 1);
  });

  it('crash between request and outcome: sent again with the same webhook-id, recorded once', async () => {
    const world = await started();
    world.fault = () => ({ stall: new Promise(() => undefined) });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(1);
    world.kill();
    world.fault = () => undefined;
    await world.start();
    await world.clock.advance(secondMs);
    expect(world.sent.map(({ webhookId }) => webhookId)).toEqual([id, id]);
    expect(world.deliveryEvents(id).map(({ type }) => type)).toEqual(['WebhookDeliveryScheduled', 'WebhookDeliverySucceeded']);
  });

  it('another process recorded an outcome first: ours is a further attempt that changes nothing', async () => {
    const world = await started();
    const [id = ''] = await world.publish('e1', ['alpha']);
    const outcome = { attempt: 1, startedAt: formatInstant(0), durationMs: 1, status: 200, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: '00' };
    await world.onDelivery(id, { type: 'WebhookDeliverySucceeded', data: outcome });
    await world.clock.advance(minuteMs);
    expect(world.deliveryEvents(id).map(({ type }) => type)).toEqual(['WebhookDeliveryScheduled', 'WebhookDeliverySucceeded', 'WebhookDeliveryDuplicateAttempted']);
    expect(outcomeOf(world, id)).toMatchObject({ subscriptionId: 'alpha', attempt: 2, status: 200, transcriptSha256: sha256Hex(JSON.stringify(world.transcripts()[0])) });
    expect(world.sent).toHaveLength(1);
  });

  it('a receipt in between is no outcome: ours stands as decided, after it', async () => {
    const world = await started();
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
    await world.clock.advance(minuteMs);
    expect(world.deliveryEvents(id).map(({ type }) => type)).toEqual(['WebhookDeliveryScheduled', 'CommandExecuted', 'WebhookDeliverySucceeded']);
  });

  it('a signing secret is not to be had: the deliveries wait with an alarm, nothing is recorded, others go on', async () => {
    const world = await started();
    await world.subscribe('beta');
    world.unavailableSecrets.add('alpha-1');
    const [id = '', other = ''] = await world.publish('e1', ['alpha', 'beta']);
    await world.clock.advance(5 * minuteMs);
    expect(world.sent.map(({ webhookId }) => webhookId)).toEqual([other]);
    expect(world.deliveryEvents(id)).toHaveLength(1);
    expect(world.alarms).toContainEqual({ alarm: 'signing-secret-unavailable', detail: "secret version alpha-1 can't be read now", site, subscriptionId: 'alpha' });
    expect(world.alarms.length).toBeLessThanOrEqual(11);
    expect(world.secretsAskedFor).toBeLessThanOrEqual(12);
    world.unavailableSecrets.clear();
    await world.clock.advance(31 * secondMs);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 1 });
  });

  it('no key is used for long without asking for it', async () => {
    const world = await started();
    await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    world.unavailableSecrets.add('alpha-1');
    await world.publish('e2', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(2);
    await world.clock.advance(10 * secondMs);
    await world.publish('e3', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(2);
  });

  it('a change of the subscription has its keys asked for anew', async () => {
    const world = await started();
    await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    world.unavailableSecrets.add('alpha-1');
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://alpha/hook', deliveryMode: 'AT_LEAST_ONCE', description: null } });
    await world.publish('e2', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(1);
  });

  it('a rotation ends the wait for a secret at once', async () => {
    const world = await started();
    world.unavailableSecrets.add('alpha-1');
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionSecretRotated', data: { secret: { versionId: 'alpha-2', kind: 'managed', fingerprint: 'g' }, previous: null, retired: ['alpha-1'] } });
    await world.clock.advance(secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('an event can not be read: its delivery waits with an alarm, the others of the subscription go on', async () => {
    const world = await started();
    const [good = ''] = await world.publish('e1', ['alpha']);
    const bad = await world.scheduleDelivery('gone', 'alpha');
    const [next = ''] = await world.publish('e3', ['alpha']);
    await world.clock.advance(4 * minuteMs);
    expect([good, next].map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED']);
    expect(world.delivery(bad)).toMatchObject({ status: 'PENDING', attempts: 0 });
    expect(world.alarms.filter(({ alarm }) => alarm === 'event-unreadable')).toMatchObject([{ deliveryId: bad, subscriptionId: 'alpha' }]);
    await world.clock.advance(2 * minuteMs);
    expect(world.alarms.filter(({ alarm }) => alarm === 'event-unreadable')).toHaveLength(2);
  });

  it('a request ends in an error of ours: an alarm, others go on, and it is sent again some minutes later', async () => {
    const world = await started();
    world.reply = ({ eventId, nth }) => {
      if (eventId === 'e1' && nth === 1) throw new TypeError('a bug');
      return 200;
    };
    const [bad = '', good = ''] = [...(await world.publish('e1', ['alpha'])), ...(await world.publish('e2', ['alpha']))];
    await world.clock.advance(4 * minuteMs);
    expect(world.delivery(good).status).toBe('DELIVERED');
    expect(world.delivery(bad)).toMatchObject({ status: 'PENDING', attempts: 0 });
    expect(world.alarms).toEqual([{ alarm: 'attempt-broken', detail: 'TypeError', site, subscriptionId: 'alpha', deliveryId: bad }]);
    expect(world.dispatcher?.stats().sending).toBe(0);
    await world.clock.advance(2 * minuteMs);
    expect(world.delivery(bad)).toMatchObject({ status: 'DELIVERED', attempts: 1 });
  });

  it('an outcome is refused for good: an alarm, and the request is made again some minutes later', async () => {
    const world = await started();
    let refusals = 0;
    world.fault = (stream) => (stream.startsWith('webhookdelivery-') && refusals++ === 0 ? { before: new TypeError('refused') } : undefined);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(4 * minuteMs);
    expect(world.alarms).toMatchObject([{ alarm: 'attempt-broken', deliveryId: id }]);
    expect(world.dispatcher?.stats()).toMatchObject({ sending: 0, unrecorded: 0 });
    await world.clock.advance(2 * minuteMs);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 1 });
  });

  it('a batch that is told twice changes nothing', async () => {
    const world = await started();
    await publishMany(world, 3, 'alpha');
    await world.clock.advance(secondMs);
    const position = world.log.events.at(-1)?.position ?? '0';
    world.dispatcher?.onCommitted({ position, events: world.log.events });
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(3);
  });

  it('the read model does not answer: it is asked again', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha');
    const ids = await publishMany(world, 3, 'alpha');
    world.readModel.fault = new Error('busy');
    await world.start();
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toEqual([]);
    expect(world.alarms).toMatchObject([{ alarm: 'store-unavailable' }]);
    world.readModel.fault = undefined;
    await world.clock.advance(2 * secondMs);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
  });

  it('a page that was read before an outcome does not bring its delivery back', async () => {
    const world = await started();
    world.reply = () => ({ status: 200, afterMs: 100 });
    const ids = await publishMany(world, 12, 'alpha');
    const answers = heldBack(world);
    await world.onSubscription('alpha', paused);
    await world.settle();
    await world.onSubscription('alpha', resumed);
    await world.clock.advance(secondMs);
    expect(ids.map((id) => world.delivery(id).status).filter((status) => status === 'DELIVERED')).toHaveLength(10);
    answers.go();
    await world.clock.advance(secondMs);
    expect(world.sent.map(({ webhookId }) => webhookId).sort()).toEqual([...ids].sort());
  });

  it('what is scheduled while a page is read that can not have it is not lost', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha');
    const before = await publishMany(world, 2, 'alpha', 'before');
    const answers = heldBack(world);
    await world.start();
    const meanwhile = await publishMany(world, 2, 'alpha', 'meanwhile');
    answers.go();
    await world.clock.advance(secondMs);
    expect([...before, ...meanwhile].map((id) => world.delivery(id).status)).toEqual(Array.from({ length: 4 }, () => 'DELIVERED'));
  });
});

describe('replay', () => {
  it('a delivery that waits for its retry goes out at once, and a dead letter exactly once more', async () => {
    const world = await started();
    world.reply = () => 500;
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(minuteMs);
    expect(world.sent).toHaveLength(2);
    await world.onDelivery(id, replayed());
    await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
    await world.clock.advance(100);
    expect(world.sent).toHaveLength(3);
    await world.clock.advance(120 * hourMs);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', attempts: 10 });
    await world.onDelivery(id, replayed());
    await world.clock.advance(120 * hourMs);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', reason: 'attempts-exhausted', attempts: 11 });
    await world.onDelivery(id, replayed(true));
    await world.clock.advance(120 * hourMs);
    expect(world.delivery(id)).toMatchObject({ status: 'DEAD_LETTERED', attempts: 21, attemptsCounted: 10 });
  });

  it('of one whose retry is near: it goes out once, not twice', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    await world.onDelivery(id, replayed());
    await world.clock.advance(minuteMs);
    expect(world.sent).toHaveLength(2);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 2 });
  });

  it('of a delivered one: it is sent again', async () => {
    const world = await started();
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    await world.onDelivery(id, { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: false, manual: true } });
    await world.clock.advance(100);
    expect(world.delivery(id)).toMatchObject({ status: 'DELIVERED', attempts: 2 });
  });

  it('a receipt alone moves the revision, and the retry is recorded at it', async () => {
    const world = await started();
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
    await world.clock.advance(10 * secondMs);
    expect(world.deliveryEvents(id).map(({ type }) => type)).toEqual(['WebhookDeliveryScheduled', 'WebhookDeliveryAttemptFailed', 'CommandExecuted', 'WebhookDeliverySucceeded']);
  });
});

describe('stop', () => {
  it('lets the requests under way finish, records them, and starts nothing more', async () => {
    const world = await started();
    world.reply = () => ({ status: 200, afterMs: secondMs });
    const ids = await publishMany(world, 12, 'alpha');
    await world.clock.advance(100);
    const stopping = world.dispatcher?.stop({ graceMs: 10 * secondMs });
    await world.clock.advance(2 * secondMs);
    await stopping;
    expect(world.sent).toHaveLength(10);
    expect(ids.filter((id) => world.delivery(id).status === 'DELIVERED')).toHaveLength(10);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(10);
  });

  it.each(['AT_LEAST_ONCE', 'ORDERED'] as const)('releases what does not finish in time: aborted, recorded nowhere, sent again after the next start (%s)', async (mode) => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha', mode);
    await world.start();
    world.reply = ({ nth }) => (nth === 1 ? 'hang' : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    const stopping = world.dispatcher?.stop({ graceMs: secondMs });
    await world.clock.advance(secondMs);
    await stopping;
    await world.settle();
    expect(world.underWay.get('alpha')).toBe(0);
    await world.clock.advance(hourMs);
    expect(world.deliveryEvents(id)).toHaveLength(1);
    expect(world.transcripts()).toEqual([]);
    await world.start();
    await world.clock.advance(100);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('starts nothing that was being prepared', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha');
    await world.publish('e1', ['alpha']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.slowRead = (stream) => (stream.startsWith('event-') ? late : undefined);
    await world.start();
    const stopping = world.dispatcher?.stop({ graceMs: secondMs });
    go();
    await world.settle();
    await expect(stopping).resolves.toBeUndefined();
    await world.clock.advance(secondMs);
    expect(world.sent).toEqual([]);
  });

  it('does not wait for a store that is away longer than it was given', async () => {
    const world = await started();
    world.fault = () => ({ before: new StoreUnavailable('away') });
    await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    const stopping = world.dispatcher?.stop({ graceMs: 3 * secondMs });
    await world.clock.advance(3 * secondMs);
    await expect(stopping).resolves.toBeUndefined();
  });

  it('with nothing under way is at once', async () => {
    const world = await started();
    await expect(world.dispatcher?.stop({ graceMs: hourMs })).resolves.toBeUndefined();
  });
});
