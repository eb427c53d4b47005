import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DispatchingWorld, type Sent } from '../../test/support/dispatching-world.ts';
import { Pace } from './pace.ts';

const secondMs = 1_000;
const spanMs = 10 * secondMs;

/** The most starts in any 10 s, and the fewest in those that lie within the times. */
function inAnySpan(times: readonly number[], untilMs: number): { readonly most: number; readonly fewest: number } {
  let [most, fewest] = [0, Infinity];
  for (const [index, fromMs] of times.entries()) {
    const count = times.findLastIndex((atMs) => atMs < fromMs + spanMs) - index + 1;
    most = Math.max(most, count);
    if (fromMs + spanMs <= untilMs) fewest = Math.min(fewest, count);
  }
  return { most, fewest };
}

describe('the pace of an endpoint', () => {
  it('is even: each request an interval after the one before', () => {
    const pace = new Pace(0);
    pace.setRate(5);
    expect(pace.waitMs(0)).toBe(200);
    pace.started(200);
    expect(pace.waitMs(250)).toBe(150);
    expect(pace.waitMs(400)).toBe(0);
  });

  it('without a rate is none', () => {
    const pace = new Pace(0);
    for (let n = 0; n < 100; n += 1) pace.started(5);
    expect(pace.waitMs(5)).toBe(0);
    pace.setRate(2);
    expect(pace.waitMs(5)).toBe(500);
    pace.setRate(undefined);
    expect(pace.waitMs(5)).toBe(0);
  });

  it('holds no more than 5 % above its rate in any 10 s, whenever requests are wanted and however late they start', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 200 }), fc.array(fc.oneof(fc.nat(5), fc.nat(50), fc.nat(3_000)), { minLength: 50, maxLength: 3_000 }), (rate, pauses) => {
      const pace = new Pace(0);
      pace.setRate(rate);
      const times: number[] = [];
      let nowMs = 0;
      for (const pauseMs of pauses) {
        nowMs += pauseMs;
        for (; pace.waitMs(nowMs) === 0; pace.started(nowMs)) times.push(nowMs);
      }
      expect(inAnySpan(times, nowMs).most).toBeLessThanOrEqual(rate * 10 * 1.05);
    }), { numRuns: 200 });
  });

  it('makes up for timers that are late: no less than 5 % below its rate in any 10 s', () => {
    fc.assert(fc.property(fc.integer({ min: 3, max: 200 }), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1_000, maxLength: 1_500 }), (rate, pauses) => {
      const pace = new Pace(0);
      pace.setRate(rate);
      const times: number[] = [];
      let nowMs = 0;
      for (const pauseMs of pauses) {
        nowMs += pauseMs;
        for (; pace.waitMs(nowMs) === 0; pace.started(nowMs)) times.push(nowMs);
      }
      expect(inAnySpan(times, nowMs).fewest).toBeGreaterThanOrEqual(Math.floor(rate * 10 * 0.95));
    }), { numRuns: 8 });
  });
});

const paused = { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } } as const;
const resumed = { type: 'WebhookSubscriptionResumed', data: {} } as const;
const settings = { eventPattern: '**', targetUrl: 'https://alpha/hook', description: null } as const;

async function limited(rateLimitPerSecond: number | undefined, deliveryMode: 'AT_LEAST_ONCE' | 'ORDERED' = 'AT_LEAST_ONCE', backlog = 300): Promise<DispatchingWorld> {
  const world = new DispatchingWorld();
  await world.subscribe('alpha');
  await limitTo(world, rateLimitPerSecond, deliveryMode);
  for (let n = 0; n < backlog; n += 1) await world.publish(`e-${n}`, ['alpha']);
  return world;
}

const limitTo = (world: DispatchingWorld, rateLimitPerSecond: number | undefined, deliveryMode: 'AT_LEAST_ONCE' | 'ORDERED' = 'AT_LEAST_ONCE') =>
  world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { ...settings, deliveryMode, ...(rateLimitPerSecond === undefined ? {} : { rateLimitPerSecond }) } });

const startsOf = (sent: readonly Sent[]): number[] => sent.map(({ atMs }) => atMs);
const gapsOf = (sent: readonly Sent[]): number[] => startsOf(sent).slice(1).map((atMs, index) => atMs - (startsOf(sent)[index] ?? 0));

describe('a subscription with a rate limit', () => {
  it.each(['AT_LEAST_ONCE', 'ORDERED'] as const)('gets so many requests a second, evenly (%s)', async (mode) => {
    const world = await limited(10, mode, 150);
    await world.start();
    await world.clock.advance(12 * secondMs);
    expect(world.sent).toHaveLength(120);
    expect(new Set(gapsOf(world.sent))).toEqual(new Set([100]));
  });

  it('counts retries', async () => {
    const world = await limited(10, 'AT_LEAST_ONCE', 60);
    world.schedule = [0, ...Array.from({ length: 20 }, () => 100)];
    world.reply = ({ nth }) => (nth % 2 === 0 ? 404 : 422);
    await world.start();
    await world.clock.advance(20 * secondMs);
    expect(world.sent.some(({ nth }) => nth > 1)).toBe(true);
    expect(inAnySpan(startsOf(world.sent), 0).most).toBe(100);
  });

  it('holds up no other', async () => {
    const world = await limited(1, 'AT_LEAST_ONCE', 20);
    await world.subscribe('beta');
    await world.start();
    for (let n = 0; n < 50; n += 1) await world.publish(`b-${n}`, ['beta']);
    await world.clock.advance(100);
    expect(world.sentTo('beta')).toHaveLength(50);
    expect(world.sentTo('alpha')).toHaveLength(0);
  });

  it('has no burst after a time without requests, a pause or an edit', async () => {
    const world = await limited(20, 'AT_LEAST_ONCE', 0);
    await world.start();
    for (let round = 0; round < 4; round += 1) {
      for (let n = 0; n < 100; n += 1) await world.publish(`e-${round}-${n}`, ['alpha']);
      await world.clock.advance(3 * secondMs);
      await world.onSubscription('alpha', paused);
      await world.clock.advance(700 + 2_000 * round);
      await world.onSubscription('alpha', resumed);
      await limitTo(world, 20);
    }
    await world.clock.advance(30 * secondMs);
    expect(world.sent).toHaveLength(400);
    expect(inAnySpan(startsOf(world.sent), 0).most).toBeLessThanOrEqual(210);
  });

  it.each([1, 4, 25])('keeps %i a second through restarts, and loses no more than an interval with each', async (rate) => {
    const world = await limited(rate, 'AT_LEAST_ONCE', 40 * rate);
    await world.start();
    for (let restart = 0; restart < 6; restart += 1) {
      await world.clock.advance(1_730);
      await world.dispatcher?.stop({ graceMs: secondMs });
      await world.start();
    }
    await world.clock.advance(10 * secondMs);
    expect(inAnySpan(startsOf(world.sent), 0).most).toBeLessThanOrEqual(10.5 * rate);
    expect(Math.max(...gapsOf(world.sent))).toBeLessThan(2 * (secondMs / rate) + 20);
  });

  it.each([1, 4, 25])('keeps %i a second when partitions move between processes', async (rate) => {
    const one = await limited(rate, 'AT_LEAST_ONCE', 40 * rate);
    await one.start();
    const other = new DispatchingWorld(2, one);
    await other.start([]);
    const all = Array.from({ length: 64 }, (_, n) => n);
    for (let move = 0; move < 8; move += 1) {
      const [from, to] = move % 2 === 0 ? [one, other] : [other, one];
      await one.clock.advance(1_130);
      const released = from.dispatcher?.release(all);
      await one.clock.advance(50);
      await released;
      await to.dispatcher?.take(all);
    }
    await one.clock.advance(10 * secondMs);
    expect(inAnySpan(startsOf(one.sent), 0).most).toBeLessThanOrEqual(10.5 * rate);
    expect(Math.max(...gapsOf(one.sent))).toBeLessThan(2 * (secondMs / rate) + 80);
    expect(new Set(one.sent.map(({ webhookId }) => webhookId)).size).toBe(one.sent.length);
  });

  it('is kept by a process that gets its partitions back while a request of its own is still under way there', async () => {
    const one = await limited(1, 'AT_LEAST_ONCE', 20);
    one.reply = ({ eventId }) => ({ status: 200, afterMs: eventId === 'e-0' ? 10 * secondMs : 5 });
    await one.start();
    const other = new DispatchingWorld(2, one);
    await other.start([]);
    await one.clock.advance(1_100);
    const all = Array.from({ length: 64 }, (_, n) => n);
    void one.dispatcher?.lose(all);
    await other.dispatcher?.take(all);
    await one.clock.advance(3_150);
    await other.dispatcher?.release(all);
    await one.dispatcher?.take(all);
    await one.clock.advance(3 * secondMs);
    expect(one.sent.length).toBeGreaterThan(5);
    expect(Math.min(...gapsOf(one.sent))).toBeGreaterThanOrEqual(secondMs);
  });

  it('is not forgotten with subscriptions that nothing waits for', async () => {
    const world = new DispatchingWorld();
    world.limits = { lanes: 2 };
    for (const id of ['alpha', 'beta', 'gamma', 'delta']) await world.subscribe(id);
    await limitTo(world, 1);
    await world.start();
    await world.publish('e1', ['alpha']);
    await world.clock.advance(1_100);
    for (const id of ['beta', 'gamma', 'delta']) {
      await world.publish(`to-${id}`, [id]);
      await world.clock.advance(20);
    }
    await world.publish('e2', ['alpha']);
    await world.clock.advance(2 * secondMs);
    expect(gapsOf(world.sentTo('alpha'))).toEqual([secondMs]);
  });

  it('is kept by when requests start, not by when they are prepared', async () => {
    const world = await limited(4, 'AT_LEAST_ONCE', 30);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.slowRead = (stream) => (stream.startsWith('event-') ? late : undefined);
    await world.start();
    await world.clock.advance(5 * secondMs);
    expect(world.sent).toEqual([]);
    go();
    await world.clock.advance(3 * secondMs);
    expect(inAnySpan(startsOf(world.sent), 0).most).toBeLessThanOrEqual(14);
  });

  it('goes on as it was when the clock is set back', async () => {
    const world = await limited(2, 'AT_LEAST_ONCE', 30);
    await world.start();
    await world.clock.advance(1_100);
    const before = world.sent.length;
    world.clock.setNow(world.clock.now() - 3_600_000);
    await world.clock.advance(5 * secondMs);
    expect(world.sent).toHaveLength(before + 10);
  });

  it('that is taken away gets what waits at once', async () => {
    const world = await limited(1, 'AT_LEAST_ONCE', 50);
    await world.start();
    await world.clock.advance(3 * secondMs);
    expect(world.sent).toHaveLength(3);
    await limitTo(world, undefined);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(50);
  });
});
