import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type RecordedEvent, Secret } from '#kernel';
import type { LiveSubscription } from '#subscriptions';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import { Bodies, EventUnreadable } from './bodies.ts';
import { OpenedSecrets } from './opened-secrets.ts';
import { Ranked } from './ranked.ts';
import { Rounds } from './rounds.ts';
import { type SlotHolder, Slots } from './slots.ts';
import { newTenant } from './tenants.ts';
import { Turns } from './turns.ts';
import { WakeUps } from './wake-ups.ts';

const published = (id: string, data = '{}'): RecordedEvent => ({
  id: `id-${id}`,
  type: 'EventPublished',
  data,
  metadata: { recordedat: '2026-11-21T12:00:00.000Z', publishedid: id, publishedtype: 'a.b', tenant: 'acme', environment: 'production', correlationid: `corr-${id}` },
  stream: `event-acme.production.${id}`,
  revision: 0,
  position: '1',
});

describe('the bodies of events', () => {
  const bodiesOf = (maxBytes: number, events: readonly RecordedEvent[]) => {
    const reads: string[] = [];
    const readStream = (stream: string): Promise<readonly RecordedEvent[]> => {
      reads.push(stream);
      return Promise.resolve(events.filter((event) => event.stream === stream));
    };
    return { reads, bodies: new Bodies({ readStream }, maxBytes) };
  };

  it('are read once for everybody who waits, then kept', async () => {
    const event = published('e1');
    const { bodies, reads } = bodiesOf(1_000_000, [event]);
    expect(bodies.get(event.stream)).toBeUndefined();
    const [one, two] = await Promise.all([bodies.load(event.stream), bodies.load(event.stream)]);
    expect(one).toBe(two);
    expect(bodies.get(event.stream)).toBe(one);
    expect(one).toMatchObject({ causationId: 'id-e1', correlationId: 'corr-e1' });
    expect(reads).toEqual([event.stream]);
  });

  it('of events that were just seen are not read', () => {
    const { bodies } = bodiesOf(1_000_000, []);
    bodies.remember(published('e1', '{"x":1.0}'));
    expect(Buffer.from(bodies.get('event-acme.production.e1')?.body ?? []).toString()).toContain('"data":{"x":1.0}}');
  });

  it('take no more than their budget, and keep what is used', () => {
    const { bodies } = bodiesOf(50_000, []);
    bodies.remember(published('used'));
    for (let n = 0; n < 1_000; n += 1) {
      bodies.remember(published(`e${n}`));
      bodies.get('event-acme.production.used');
    }
    const kept = Array.from({ length: 1_000 }, (_, n) => bodies.get(`event-acme.production.e${n}`)).filter((body) => body !== undefined);
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.length).toBeLessThan(60);
    expect(bodies.get('event-acme.production.used')).toBeDefined();
  });

  it('hold no memory but their own', () => {
    const { bodies } = bodiesOf(1_000_000, []);
    bodies.remember(published('e1'));
    const { body } = bodies.get('event-acme.production.e1') ?? {};
    expect(body?.buffer.byteLength).toBe(body?.byteLength);
  });

  it('that are not there, or are no published events, are unreadable', async () => {
    const { bodies } = bodiesOf(1_000, [{ ...published('e1'), type: 'SomethingElse' }]);
    await expect(bodies.load('event-acme.production.e1')).rejects.toThrow(EventUnreadable);
    await expect(bodies.load('event-acme.production.gone')).rejects.toThrow(EventUnreadable);
  });
});

describe('the headers of a subscription', () => {
  it('are one object for many requests, and another one when they were opened anew or are others', async () => {
    const clock = simulatedClock();
    const secrets = new OpenedSecrets({ open: (_place, { versionId }) => Promise.resolve(new Secret<Uint8Array>(Buffer.from(`value of ${versionId}`))) }, clock);
    const withHeader = (versionId: string): LiveSubscription => ({ incarnation: 'i', headers: { 'x-key': { versionId, fingerprint: 'f' } } }) as unknown as LiveSubscription;
    const [first, other] = [withHeader('v1'), withHeader('v2')];
    const opened = async (state: LiveSubscription): Promise<object | undefined> => {
      await secrets.load({ tenant: 'acme', environment: 'production' }, 's1', state, []);
      return secrets.get([], state.headers)?.headers;
    };
    const headers = await opened(first);
    expect(secrets.get([], first.headers)?.headers).toBe(headers);
    expect(await opened(other)).not.toBe(headers);
    expect(secrets.get([], other.headers)?.headers['x-key']?.reveal()).toBe('value of v2');
    await clock.advance(10_000);
    expect(secrets.get([], other.headers)).toBeUndefined();
    expect(await opened(other)).toBeDefined();
    secrets.forget();
    expect(secrets.get([], other.headers)).toBeUndefined();
  });
});

describe('rounds', () => {
  it('whoever comes back stands behind everybody, and nobody stands twice', () => {
    const rounds = new Rounds<string>();
    for (const item of ['a', 'b', 'a', 'c']) rounds.add(item);
    expect(rounds.next()).toBe('a');
    rounds.add('a');
    expect([rounds.next(), rounds.next(), rounds.next(), rounds.next()]).toEqual(['b', 'c', 'a', undefined]);
    expect(rounds.isEmpty).toBe(true);
  });
});

describe('ranked items', () => {
  it('come by their rank as it was set last, among equals in the order in which it was', () => {
    const steps = fc.array(fc.record({ item: fc.nat(20), rank: fc.option(fc.nat(5)) }), { maxLength: 400, size: 'max' });
    fc.assert(
      fc.property(steps, (all) => {
        const ranked = new Ranked<number>();
        let expected: readonly { item: number; rank: number }[] = [];
        for (const { item, rank } of all) {
          expected = expected.filter((other) => other.item !== item);
          if (rank === null) ranked.delete(item);
          else {
            ranked.set(item, rank);
            expected = [...expected, { item, rank }].sort((a, b) => a.rank - b.rank);
          }
          expect(ranked.first()?.item).toBe(expected[0]?.item);
        }
        for (const { item, rank } of expected) {
          expect(ranked.first()).toMatchObject({ item, rank });
          ranked.delete(item);
        }
        expect([ranked.size, ranked.first()]).toEqual([0, undefined]);
      }),
    );
  });

  it('that are put elsewhere again and again are not held on to', () => {
    const ranked = new Ranked<string>();
    for (let n = 0; n < 10_000; n += 1) ranked.set('a', 10_000 - n);
    expect(ranked.held).toBeLessThan(100);
  });
});

describe('wake-ups', () => {
  it('come at their times, the earliest first, whatever the order they were set in', async () => {
    const clock = simulatedClock();
    const start = clock.now();
    const woken: [string, number][] = [];
    const wakeUps = new WakeUps<string>(clock, (items) => woken.push(...items.map((item): [string, number] => [item, clock.now() - start])));
    const times = [50, 10, 40, 10, 90, 20, 70, 30, 60, 80];
    times.forEach((ms, index) => wakeUps.set(`i${index}`, start + ms));
    await clock.advance(100);
    expect(woken.map(([, atMs]) => atMs)).toEqual([...times].sort((a, b) => a - b));
    expect(woken.every(([item, atMs]) => times[Number(item.slice(1))] === atMs)).toBe(true);
  });

  it('set twice is woken once, at the earlier time', async () => {
    const clock = simulatedClock();
    const woken: number[] = [];
    const start = clock.now();
    const wakeUps = new WakeUps<string>(clock, (items) => items.forEach(() => woken.push(clock.now() - start)));
    for (const ms of [50, 20, 70]) wakeUps.set('a', start + ms);
    await clock.advance(100);
    expect(woken).toEqual([20]);
  });

  it('notice within a minute that the clock was set', async () => {
    const clock = simulatedClock();
    let woken = 0;
    const wakeUps = new WakeUps<string>(clock, (items) => (woken += items.length));
    wakeUps.set('a', clock.now() + 10 * 3_600_000);
    clock.setNow(clock.now() + 11 * 3_600_000);
    await clock.advance(60_000);
    expect(woken).toBe(1);
  });

  it('come when the clock is set back, to be set anew', async () => {
    const clock = simulatedClock();
    const woken: string[] = [];
    const wakeUps = new WakeUps<string>(clock, (items) => woken.push(...items));
    wakeUps.set('a', clock.now() + 1_000);
    wakeUps.set('b', clock.now() + 5_000);
    clock.setNow(clock.now() - 3_600_000);
    await clock.advance(1_000);
    expect(woken).toEqual(['a', 'b']);
    await clock.advance(2 * 3_600_000);
    expect(woken).toEqual(['a', 'b']);
  });

  it('that are not wanted any more do not come, and those that are stay in order', async () => {
    const clock = simulatedClock();
    const start = clock.now();
    const woken: string[] = [];
    const wakeUps = new WakeUps<string>(clock, (items) => woken.push(...items));
    for (let n = 0; n < 500; n += 1) wakeUps.set(`i${n}`, start + ((n * 37) % 500));
    for (let n = 0; n < 500; n += 1) if (n % 10 !== 0) wakeUps.forget(`i${n}`);
    await clock.advance(1_000);
    const kept = Array.from({ length: 50 }, (_, n) => 10 * n).sort((a, b) => ((a * 37) % 500) - ((b * 37) % 500));
    expect(woken).toEqual(kept.map((n) => `i${n}`));
  });

  it('that are not wanted any more are not held on to', () => {
    const clock = simulatedClock();
    const wakeUps = new WakeUps<object>(clock, () => undefined);
    for (let n = 0; n < 10_000; n += 1) {
      const item = {};
      wakeUps.set(item, clock.now() + n);
      wakeUps.forget(item);
    }
    expect(wakeUps.size).toBeLessThan(100);
  });

  it('end with stop', async () => {
    const clock = simulatedClock();
    let woken = 0;
    const wakeUps = new WakeUps<string>(clock, (items) => (woken += items.length));
    wakeUps.set('a', clock.now() + 10);
    wakeUps.stop();
    await clock.advance(100);
    expect(woken).toBe(0);
  });
});

describe('whose turn it is', () => {
  it('is found at once of one whose trust has changed while it waited', () => {
    const slots = new Slots(10, 10);
    const turns = new Turns<SlotHolder>(slots);
    const lane: SlotHolder = { tenant: newTenant('acme'), held: 0, isTrusted: false };
    turns.add(lane, 'PENDING');
    slots.trust(lane, true);
    expect(turns.next()).toBe(lane);
  });
});
