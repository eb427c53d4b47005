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

  it.each([429, 502, 503, 504])('halves the places of one that says it has too much to do (%d); when it says so again, with nothing answered well in between, it opens', (status) => {
    const breaker = new Breaker();
    expect(ends(breaker, answerOf(status))).toEqual([0]);
    expect(breaker).toMatchObject({ isOpen: false, places: 5 });
    expect(ends(breaker, answerOf(status))).toEqual([secondMs]);
    expect(breaker).toMatchObject({ isOpen: true, places: 1 });
  });

  it('opens at once for one that asks for a rest, for as long as it asks within a minute', () => {
    expect(ends(new Breaker(), busy(100))).toEqual([secondMs]);
    expect(ends(new Breaker(), busy(30 * secondMs))).toEqual([30 * secondMs]);
    expect(ends(new Breaker(), busy(hourMs))).toEqual([minuteMs]);
  });

  it('halves once for what was under way together, and adds one with each round of good answers', () => {
    const breaker = new Breaker();
    const { turn } = breaker;
    for (const sent of [ok, busy(), busy(), ok, busy(), ok]) breaker.ended(sent, turn, ordinary);
    expect(breaker).toMatchObject({ isOpen: false, places: 5 });
    const rounds = times(5, ok).map((sent) => {
      ends(breaker, ...times(breaker.places + 1, sent));
      return breaker.places;
    });
    expect(rounds).toEqual([6, 7, 8, 9, Infinity]);
    expect(ends(breaker, busy(), ok, busy(), ok, busy())).toEqual(times(5, 0));
    expect(breaker.places).toBe(1);
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
    ends(breaker, ...times(5, bad));
    const places = times(9, ok).map((sent) => {
      ends(breaker, sent);
      return breaker.places;
    });
    expect(places).toEqual([2, 3, 4, 5, 6, 7, 8, 9, Infinity]);
    expect(breaker.isOpen).toBe(false);
  });

  it('lets one more pass with each round of answers where it said that it has too much to do', () => {
    const breaker = new Breaker();
    ends(breaker, busy(secondMs));
    expect(ends(breaker, ok, ok, ok, ok, ok, ok)).toEqual(times(6, 0));
    expect(breaker.places).toBe(3);
  });

  it('a failure on the way back halves them, five in a row open it again, for a second', () => {
    const breaker = new Breaker();
    ends(breaker, ...times(5, bad), ...times(7, ok), bad);
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

async function started(mode: 'AT_LEAST_ONCE' | 'ORDERED' | 'BEST_EFFORT' = 'AT_LEAST_ONCE', schedule?: readonly number[]): Promise<DispatchingWorld> {
  const world = new DispatchingWorld();
  world.schedule = schedule;
  await world.subscribe('alpha', mode);
  await world.start();
  return world;
}

const gapsOf = (sent: readonly Sent[]): number[] => sent.slice(1).map(({ atMs }, index) => atMs - (sent[index]?.atMs ?? 0));

describe('an endpoint that says it has too much to do', () => {
  const seconds = 4;

  /** Requests and refusals in a second, of an endpoint that could take 500: ten at a time, 20 ms each. */
  async function ratesOf(says: (world: DispatchingWorld) => boolean, { afterMs = 20, retryAfterMs }: { afterMs?: number; retryAfterMs?: number } = {}): Promise<{ sent: number; refused: number }> {
    const world = await started('BEST_EFFORT');
    await publishMany(world, 500 * seconds + 100, 'alpha');
    world.sent.length = 0;
    let refused = 0;
    world.reply = () => {
      const isBusy = says(world);
      if (isBusy) refused += 1;
      return isBusy ? { status: 503, afterMs, retryAfterMs: retryAfterMs ?? null } : { status: 200, afterMs: 20 };
    };
    await world.clock.advance(seconds * secondMs);
    return { sent: world.sent.length / seconds, refused: refused / seconds };
  }

  /** So many of all answers, however they come after one another. */
  function share(of: number): () => boolean {
    let state = 1;
    return () => {
      state = (state * 48_271) % 2_147_483_647;
      return state < of * 2_147_483_647;
    };
  }

  it.each([
    { of: 0, least: 500, most: 500 },
    { of: 1 / 100, least: 350, most: 500 },
    { of: 1 / 10, least: 120, most: 250 },
    { of: 1 / 2, least: 3, most: 20 },
    { of: 1, least: 1, most: 5 },
  ])('to $of of all requests gets as much less: $least to $most of 500 a second', async ({ of, least, most }) => {
    const { sent } = await ratesOf(share(of));
    expect(sent).toBeGreaterThanOrEqual(least);
    expect(sent).toBeLessThanOrEqual(most);
  });

  it('beyond what it can take at a time gets most of that, with few refusals', async () => {
    const { sent, refused } = await ratesOf((world) => (world.underWay.get('alpha') ?? 0) > 4, { afterMs: 2 });
    expect(sent - refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(0.1 * sent);
  });

  it('and asks for a rest gets it each time', async () => {
    const { sent } = await ratesOf(share(1 / 100), { retryAfterMs: secondMs });
    expect(sent).toBeLessThan(120);
  });

  it('to everything has fifteen requests before its rest, and then one at a time', async () => {
    const world = await started();
    world.reply = () => ({ status: 503, afterMs: 20 });
    await publishMany(world, 100, 'alpha');
    await world.clock.advance(999);
    expect(world.sent).toHaveLength(15);
    await world.clock.advance(6 * secondMs);
    expect(world.sent).toHaveLength(17);
  });
});

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

  it('is asked with one request first after a restart, and gets all again as it answers', async () => {
    const world = await started('AT_LEAST_ONCE', [0, secondMs, secondMs, secondMs, hourMs]);
    await world.subscribe('beta');
    let up = false;
    world.reply = ({ url }): Reply => (up || url.includes('beta') ? 200 : 'hang');
    await publishMany(world, 100, 'alpha');
    await world.clock.advance(2 * minuteMs);
    world.kill();
    const from = world.sent.length;
    await publishMany(world, 20, 'beta', 'b');
    await world.start();
    expect(world.sent.slice(from).map(({ url }) => url.includes('alpha')).filter(Boolean)).toHaveLength(1);
    expect(world.sentTo('beta')).toHaveLength(10);
    expect(world.dispatcher?.stats()).toMatchObject({ failing: 1 });
    up = true;
    await world.clock.advance(minuteMs);
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
    world.reply = ({ eventId }) => (eventId === 'e1' ? { status: 503, retryAfterMs: secondMs } : 200);
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
