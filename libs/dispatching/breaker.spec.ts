import { describe, expect, it } from '@jest/globals';
import { DispatchingWorld, type Reply, type Sent, site } from '../../test/support/dispatching-world.ts';
import { Breaker } from './breaker.ts';
import type { SentRequest } from './port.ts';

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const ordinary = 10;

const answerOf = (status: number | null, error: string | null = null, retryAfterMs: number | null = null): SentRequest => ({
  startedAt: '2026-11-21T12:00:00.000Z',
  durationMs: 5,
  request: { method: 'POST', url: 'https://alpha/', headers: {} },
  response: status === null ? null : { status, headers: {}, body: '', truncated: false },
  error,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 5 },
  remoteAddress: null,
  retryAfterMs,
});
const ok = answerOf(200);
const bad = answerOf(500);
const busy = (askedMs: number | null = null): SentRequest => answerOf(503, null, askedMs);

/** Ends requests that start one after the other. */
const ends = (breaker: Breaker, ...answers: readonly SentRequest[]): number[] => answers.map((sent) => breaker.ended(sent, breaker.turn, ordinary).restMs);
const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

describe('the breaker of an endpoint', () => {
  it.each([['500', bad], ['no answer', answerOf(null, 'timeout')], ['a dead name', answerOf(null, 'dns-failed')]])('opens at the fifth failure in a row (%s), and says so once', (_, failure) => {
    const breaker = new Breaker();
    expect(ends(breaker, ...times(4, failure))).toEqual([0, 0, 0, 0]);
    expect(breaker).toMatchObject({ isOpen: false, places: Infinity });
    expect(breaker.ended(failure, breaker.turn, ordinary)).toEqual({ restMs: secondMs, isNews: true });
    expect(breaker).toMatchObject({ isOpen: true, places: 1 });
    expect(breaker.ended(failure, breaker.turn, ordinary)).toEqual({ restMs: 2 * secondMs, isNews: false });
  });

  it('an answer in between begins the count anew, also one that refuses the delivery', () => {
    for (const answer of [ok, answerOf(301), answerOf(404), answerOf(422)]) {
      const breaker = new Breaker();
      ends(breaker, ...times(4, bad), answer, ...times(4, bad));
      expect(breaker.isOpen).toBe(false);
    }
  });

  it('opens at once for one that says it has too much to do, for as long as it asks within a minute', () => {
    for (const status of [429, 502, 503, 504]) expect(ends(new Breaker(), answerOf(status))).toEqual([secondMs]);
    expect(ends(new Breaker(), busy(30 * secondMs))).toEqual([30 * secondMs]);
    expect(ends(new Breaker(), busy(hourMs))).toEqual([minuteMs]);
  });

  it('tries one at a time, at intervals that double up to a minute', () => {
    for (const failure of [answerOf(null, 'timeout'), busy()]) {
      const breaker = new Breaker();
      expect(ends(breaker, ...times(4, bad), ...times(9, failure)).slice(4)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * secondMs));
      expect(breaker.places).toBe(1);
    }
  });

  it('tries one that answers 5xx every two seconds at least: it may fail only at the deliveries that come first', () => {
    const breaker = new Breaker();
    expect(ends(breaker, ...times(9, bad)).slice(4)).toEqual([1, 2, 2, 2, 2].map((seconds) => seconds * secondMs));
    expect(ends(breaker, busy(), bad)).toEqual([32 * secondMs, 2 * secondMs]);
  });

  it('lets one more pass with each answer after it, up to all', () => {
    const breaker = new Breaker();
    ends(breaker, busy());
    const places = times(9, ok).map((sent) => {
      ends(breaker, sent);
      return breaker.places;
    });
    expect(places).toEqual([2, 3, 4, 5, 6, 7, 8, 9, Infinity]);
    expect(breaker.isOpen).toBe(false);
  });

  it('a failure on the way back halves them, five in a row open it again, for a second', () => {
    const breaker = new Breaker();
    ends(breaker, busy(), ...times(7, ok), bad);
    expect(breaker).toMatchObject({ isOpen: false, places: 4 });
    expect(ends(breaker, ...times(4, bad))).toEqual([0, 0, 0, secondMs]);
  });

  it('what began before it opened opens it no further; what asks for a rest gets it, what was answered counts', () => {
    const breaker = new Breaker();
    const { turn } = breaker;
    const late = (sent: SentRequest): number => breaker.ended(sent, turn, ordinary).restMs;
    times(5, bad).forEach(late);
    expect(times(5, bad).map(late)).toEqual(times(5, 0));
    expect(late(busy(20 * secondMs))).toBe(20 * secondMs);
    expect(ends(breaker, bad)).toEqual([2 * secondMs]);
    late(ok);
    expect(breaker).toMatchObject({ isOpen: false, places: 1 });
  });

  it('what we ended ourselves says nothing', () => {
    const breaker = new Breaker();
    expect(ends(breaker, ...times(20, answerOf(null, 'aborted')))).toEqual(times(20, 0));
    expect(breaker.isOpen).toBe(false);
  });

  it('forgets everything when it is reset, and what began before says nothing', () => {
    const breaker = new Breaker();
    const { turn } = breaker;
    ends(breaker, ...times(9, bad));
    breaker.reset();
    for (let n = 0; n < 9; n += 1) breaker.ended(bad, turn, ordinary);
    expect(breaker).toMatchObject({ isOpen: false, places: Infinity });
  });
});

async function publishMany(world: DispatchingWorld, count: number, to: string, prefix = 'e'): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push(...(await world.publish(`${prefix}-${n}`, [to])));
  return ids;
}

async function started(mode: 'AT_LEAST_ONCE' | 'ORDERED' = 'AT_LEAST_ONCE', schedule?: readonly number[]): Promise<DispatchingWorld> {
  const world = new DispatchingWorld();
  world.schedule = schedule;
  await world.subscribe('alpha', mode);
  await world.start();
  return world;
}

const gapsOf = (sent: readonly Sent[]): number[] => sent.slice(1).map(({ atMs }, index) => atMs - (sent[index]?.atMs ?? 0));

describe('an endpoint that fails', () => {
  it('gets one request at a time, ever more rarely; what waits costs a window, no attempt is counted that was not made, nothing is lost', async () => {
    const world = await started('AT_LEAST_ONCE', [0, ...times(20, secondMs)]);
    let up = false;
    world.reply = () => (up ? 200 : { error: 'connection-reset' });
    const ids = await publishMany(world, 400, 'alpha');
    await world.clock.advance(2 * minuteMs);
    const before = world.sent.length;
    expect(before).toBeLessThan(30);
    expect(world.dispatcher?.stats()).toMatchObject({ failing: 1, sending: 0 });
    expect(world.dispatcher?.stats().waiting).toBeLessThanOrEqual(200);
    expect(world.alarms).toEqual([{ alarm: 'endpoint-failing', detail: expect.any(String), site, subscriptionId: 'alpha' }]);
    expect(ids.reduce((sum, id) => sum + (world.delivery(id) as { attempts: number }).attempts, 0)).toBe(before);
    up = true;
    await world.clock.advance(2 * minuteMs);
    expect(ids.every((id) => world.delivery(id).status === 'DELIVERED')).toBe(true);
    expect(world.sent).toHaveLength(before + 400);
    expect(world.dispatcher?.stats()).toMatchObject({ failing: 0, waiting: 0 });
  });

  it('is found to work within a minute, and then gets more and more at a time', async () => {
    const world = await started();
    let up = false;
    world.reply = () => (up ? { status: 200, afterMs: 100 } : 500);
    await publishMany(world, 200, 'alpha');
    await world.clock.advance(10 * minuteMs);
    up = true;
    const from = world.sent.length;
    world.mostUnderWay.clear();
    await world.clock.advance(61 * secondMs);
    const counts = world.sent.slice(from, from + 20).map(({ atMs }, _, all) => all.filter((other) => other.atMs === atMs).length);
    expect(counts.slice(0, 7)).toEqual([1, 2, 2, 4, 4, 4, 4]);
    expect(world.mostUnderWay.get('alpha')).toBe(10);
  });

  it('is tried at least every minute while something is due, so that what fails for days is noticed', async () => {
    const world = await started();
    world.reply = () => 'hang';
    await publishMany(world, 300, 'alpha');
    await world.clock.advance(2 * hourMs);
    expect(Math.max(...gapsOf(world.sentTo('alpha').slice(10)))).toBeLessThanOrEqual(15 * secondMs + minuteMs + secondMs);
    expect(world.sentTo('alpha').length).toBeGreaterThan(90);
  });

  it('is tried as soon when the clock is set back meanwhile', async () => {
    const world = await started();
    world.reply = ({ eventId }) => (eventId === 'e1' ? 503 : 200);
    await world.publish('e1', ['alpha']);
    await world.clock.advance(100);
    await publishMany(world, 5, 'alpha');
    world.clock.setNow(world.clock.now() - hourMs);
    await world.clock.advance(2 * secondMs);
    expect(world.sent).toHaveLength(6);
  });

  it('that is another one now is sent to at once', async () => {
    const world = await started();
    world.reply = ({ url }) => (url.includes('alpha') ? { error: 'connection-reset' } : 200);
    await publishMany(world, 50, 'alpha');
    await world.clock.advance(5 * minuteMs);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { eventPattern: '**', targetUrl: 'https://beta/hook', deliveryMode: 'AT_LEAST_ONCE', description: null } });
    await world.clock.advance(4);
    expect(world.sentTo('beta')).toHaveLength(10);
  });

  it('of an ORDERED subscription stays in order', async () => {
    const world = await started('ORDERED', [0, secondMs, secondMs]);
    let up = false;
    world.reply = () => (up ? 200 : 503);
    await publishMany(world, 30, 'alpha');
    await world.clock.advance(minuteMs);
    up = true;
    await world.clock.advance(3 * minuteMs);
    const firsts = [...new Set(world.sent.map(({ eventId }) => eventId))];
    expect(firsts).toEqual(Array.from({ length: 30 }, (_, n) => `e-${n}`));
    expect(world.mostUnderWay.get('alpha')).toBe(1);
  });

  it('that fails only at some deliveries gets the others within a minute', async () => {
    const world = await started();
    world.reply = ({ eventId }) => (eventId.startsWith('bad') ? 500 : 200);
    await publishMany(world, 20, 'alpha', 'bad');
    const good = await publishMany(world, 20, 'alpha', 'good');
    await world.clock.advance(minuteMs);
    expect(good.every((id) => world.delivery(id).status === 'DELIVERED')).toBe(true);
  });

  it('does not slow down one that works, nor one that refuses some deliveries', async () => {
    const world = await started();
    await world.subscribe('beta');
    world.reply = ({ url, eventId }) => (url.includes('beta') ? 500 : Number(eventId.slice(2)) % 2 === 0 ? 422 : 200);
    await publishMany(world, 20, 'beta', 'b');
    const ids = await publishMany(world, 200, 'alpha');
    await world.clock.advance(secondMs);
    expect(world.sentTo('alpha')).toHaveLength(200);
    expect(ids.filter((id) => world.delivery(id).status === 'DELIVERED')).toHaveLength(100);
  });
});

const behaviours: Readonly<Record<string, Reply>> = {
  hang: 'hang',
  'answer byte by byte': { status: 200, afterMs: 14_000 },
  reset: { error: 'connection-reset', afterMs: 2 },
  'answer 500': 500,
  'have a dead name': { error: 'dns-failed', afterMs: 5_000 },
};

describe('two hundred bad endpoints beside twenty good ones of the same tenant', () => {
  /** How long each delivery of the good ones took from its publishing to its answer. */
  async function latencies(bad: readonly Reply[], seconds: number): Promise<number[]> {
    const world = new DispatchingWorld();
    const goods = Array.from({ length: 20 }, (_, n) => `good-${n}`);
    const bads = bad.map((_, n) => `bad-${n}`);
    for (const id of [...goods, ...bads]) await world.subscribe(id);
    await world.start();
    world.reply = ({ url }) => bad[Number(/bad-(\d+)/.exec(url)?.[1])] ?? { status: 200, afterMs: 20 };
    const publishedAtMs = new Map<string, number>();
    for (let second = 0; second < seconds; second += 1) {
      publishedAtMs.set(`e${second}`, world.clock.now());
      await world.publish(`e${second}`, [...bads, ...goods]);
      await world.clock.advance(secondMs);
    }
    await world.clock.advance(secondMs);
    const sent = world.sent.filter(({ url }) => url.includes('good'));
    expect(sent).toHaveLength(20 * seconds);
    return sent.map(({ atMs, eventId }) => atMs - (publishedAtMs.get(eventId) ?? 0));
  }

  it.each(Object.keys(behaviours))('that %s: the good ones wait for nothing', async (name) => {
    expect(Math.max(...(await latencies(Array.from({ length: 200 }, () => behaviours[name] ?? 500), 8)))).toBe(0);
  });

  it('that do all of it: the good ones wait for nothing', async () => {
    const all = Object.values(behaviours);
    expect(Math.max(...(await latencies(Array.from({ length: 200 }, (_, n) => all[n % all.length] ?? 500), 20)))).toBe(0);
  });
});
