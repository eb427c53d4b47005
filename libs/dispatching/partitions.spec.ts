import { describe, expect, it } from '@jest/globals';
import type { AttemptOutcome } from '#deliveries';
import { partitionOf, partitions } from '#dispatching';
import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import { formatInstant } from '#kernel';
import { DispatchingWorld, site } from '../../test/support/dispatching-world.ts';

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const paused = { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } } as const;
const resumed = { type: 'WebhookSubscriptionResumed', data: {} } as const;
const settings = { eventPattern: '**', targetUrl: 'https://alpha/hook', description: null } as const;

const alpha = partitionOf(site, 'alpha');
const beta = partitionOf(site, 'beta');

const outcome = { startedAt: formatInstant(0), durationMs: 1, status: 200, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: '00' };
const succeeded = (subscriptionId: string) => ({ type: 'WebhookDeliverySucceeded', data: { subscriptionId, attempt: 1, ...outcome } }) as const;
const failed = (subscriptionId: string, nextAttemptAtMs: number) =>
  ({ type: 'WebhookDeliveryAttemptFailed', data: { subscriptionId, attempt: 1, ...outcome, status: 500, nextAttemptAt: formatInstant(nextAttemptAtMs), why: 'status-500' } }) as const;

const outcomesOf = (world: DispatchingWorld, id: string): AttemptOutcome[] => world.deliveryEvents(id).slice(1).map(({ data }) => JSON.parse(data) as AttemptOutcome);
const typesOf = (world: DispatchingWorld, id: string): string[] => world.deliveryEvents(id).map(({ type }) => type.replace('WebhookDelivery', ''));
const eventsSent = (world: DispatchingWorld): string[] => world.sent.map(({ eventId }) => eventId);

async function publishMany(world: DispatchingWorld, count: number, to: string, prefix = 'e'): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push(...(await world.publish(`${prefix}-${n}`, [to])));
  return ids;
}

/** Streams that the world's process reads from now on. */
function readsOf(world: DispatchingWorld): string[] {
  const reads: string[] = [];
  world.slowRead = (stream) => {
    reads.push(stream);
    return undefined;
  };
  return reads;
}

/** What is read from streams of a category comes when it is let go. */
function heldBack(world: DispatchingWorld, category: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  world.slowRead = (stream) => (stream.startsWith(category) ? promise : undefined);
  return () => {
    world.slowRead = () => undefined;
    resolve();
  };
}

async function withAlpha(taken: readonly number[], mode: 'AT_LEAST_ONCE' | 'ORDERED' = 'AT_LEAST_ONCE'): Promise<DispatchingWorld> {
  const world = new DispatchingWorld();
  await world.subscribe('alpha', mode);
  await world.start(taken);
  return world;
}

/** An attempt that is being prepared until it is let go: its event is being read. */
async function preparing(): Promise<{ readonly world: DispatchingWorld; readonly id: string; readonly go: () => void }> {
  const world = new DispatchingWorld();
  await world.subscribe('alpha');
  const [id = ''] = await world.publish('e1', ['alpha']);
  await world.start([]);
  const go = heldBack(world, 'event-');
  await world.dispatcher?.take([alpha]);
  await world.clock.advance(10);
  expect(world.dispatcher?.isInFlight(id)).toBe(true);
  return { world, id, go };
}

/** Loses partitions, and what that asks for is recorded. */
async function lose(world: DispatchingWorld, numbers: readonly number[]): Promise<void> {
  const losing = world.dispatcher?.lose(numbers);
  await world.clock.advance(100);
  await losing;
}

/** Two processes that share a log: the first has taken all partitions, the second none. */
async function two(mode: 'AT_LEAST_ONCE' | 'ORDERED' = 'AT_LEAST_ONCE'): Promise<readonly [DispatchingWorld, DispatchingWorld]> {
  const one = await withAlpha(partitions, mode);
  const other = new DispatchingWorld(2, one);
  await other.start([]);
  return [one, other];
}

describe('the partition of a subscription', () => {
  it('is one of 64, never changes, and is of its own in each site', () => {
    expect(partitions).toEqual(Array.from({ length: 64 }, (_, number) => number));
    expect(['alpha', 'beta', 'gamma', 'delta'].map((id) => partitionOf(site, id))).toEqual([57, 20, 33, 15]);
    expect(partitionOf({ ...site, environment: 'staging' }, 'alpha')).not.toBe(57);
  });

  it('is as often one as another', () => {
    const counts = partitions.map(() => 0);
    for (let n = 0; n < 6_400; n += 1) counts[partitionOf(site, `whs_${n}`)] = (counts[partitionOf(site, `whs_${n}`)] ?? 0) + 1;
    expect(Math.min(...counts)).toBeGreaterThan(60);
    expect(Math.max(...counts)).toBeLessThan(150);
  });
});

describe('take', () => {
  it('begins to send there and nowhere else; what waits elsewhere is sent when that is taken', async () => {
    const world = await withAlpha([alpha]);
    await world.subscribe('beta');
    const [, waiting = ''] = await world.publish('e1', ['alpha', 'beta']);
    await world.clock.advance(minuteMs);
    expect(world.sent.map(({ url }) => url)).toEqual(['https://alpha/hook']);
    await world.dispatcher?.take([beta]);
    await world.clock.advance(secondMs);
    expect(world.delivery(waiting).status).toBe('DELIVERED');
    expect(world.sent).toHaveLength(2);
  });

  it('what was read while it was away is sent, although the read model has it later than it is taken', async () => {
    const world = await withAlpha([]);
    world.reads = true;
    world.follows = false;
    const [id = ''] = await world.publish('e1', ['alpha']);
    const taking = world.dispatcher?.take([alpha]);
    await world.clock.advance(secondMs);
    world.commit();
    await taking;
    await world.clock.advance(secondMs);
    expect([world.delivery(id).status, world.sent.length]).toEqual(['DELIVERED', 1]);
  });

  it('what others send costs neither memory nor reads', async () => {
    const [one, other] = await two();
    const reads = readsOf(other);
    one.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    await publishMany(one, 20, 'alpha');
    await one.clock.advance(minuteMs);
    expect(one.sent).toHaveLength(40);
    expect(reads).toEqual([]);
    expect(other.dispatcher?.stats()).toEqual({ lanes: 0, waiting: 0, sending: 0, unrecorded: 0, failing: 0 });
  });

  it('loses nothing that is committed while it asks who is due', async () => {
    const world = await withAlpha([]);
    await world.subscribe('beta');
    const before = await world.publish('e1', ['alpha']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.readModel.slowLanes = () => late;
    const taking = world.dispatcher?.take(partitions);
    const meanwhile = await world.publish('e2', ['alpha', 'beta']);
    expect(world.sent).toEqual([]);
    go();
    await taking;
    await world.clock.advance(secondMs);
    expect([...before, ...meanwhile].map((id) => world.delivery(id).status)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
  });

  it.each(['release', 'lose'] as const)('%s meanwhile: it is not taken', async (how) => {
    const world = await withAlpha([]);
    await world.publish('e1', ['alpha']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.readModel.slowLanes = () => late;
    const taking = world.dispatcher?.take([alpha]);
    await world.dispatcher?.[how]([alpha]);
    go();
    await taking;
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    expect(world.dispatcher?.stats().lanes).toBe(0);
  });

  it('released and taken again meanwhile: it is taken once', async () => {
    const world = await withAlpha([]);
    const [id = ''] = await world.publish('e1', ['alpha']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.readModel.slowLanes = () => late;
    const first = world.dispatcher?.take([alpha]);
    await world.dispatcher?.release([alpha]);
    world.readModel.slowLanes = () => undefined;
    await world.dispatcher?.take([alpha]);
    go();
    await first;
    await world.clock.advance(minuteMs);
    expect(typesOf(world, id)).toEqual(['Scheduled', 'Succeeded']);
    expect(world.sent).toHaveLength(1);
  });

  it('of what is taken already changes nothing, and waits for the taking that is under way', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => ({ status: 200, afterMs: secondMs });
    await world.publish('e1', ['alpha']);
    const { promise: late, resolve: go } = Promise.withResolvers<void>();
    world.readModel.slowLanes = () => late;
    await world.dispatcher?.take(partitions);
    await world.dispatcher?.release([beta]);
    const steps: string[] = [];
    const takings = ['one', 'two'].map(async (name) => {
      await world.dispatcher?.take([alpha, beta]);
      steps.push(name);
    });
    await world.settle();
    expect(steps).toEqual([]);
    go();
    await Promise.all(takings);
    await world.clock.advance(minuteMs);
    expect(world.sent).toHaveLength(1);
  });

  it('rejects when the read model does not say who is due, and can be asked for again', async () => {
    const world = await withAlpha([]);
    const [id = ''] = await world.publish('e1', ['alpha']);
    world.readModel.slowLanes = () => Promise.reject(new Error('busy'));
    await expect(world.dispatcher?.take([alpha])).rejects.toThrow('busy');
    await world.publish('e2', ['alpha']);
    await world.clock.advance(secondMs);
    expect(world.sent).toEqual([]);
    world.readModel.slowLanes = () => undefined;
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
    await expect(world.dispatcher?.take([64])).rejects.toThrow('there is no partition 64');
  });

  it('of a process that stops takes nothing', async () => {
    const world = await withAlpha([]);
    await world.publish('e1', ['alpha']);
    await world.dispatcher?.stop({ graceMs: secondMs });
    world.readModel.slowLanes = () => Promise.reject(new Error('closed'));
    await world.dispatcher?.take(partitions);
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
  });
});

describe('release', () => {
  it('lets requests under way end and be recorded, starts nothing more, and forgets the subscriptions', async () => {
    const [one, other] = await two();
    one.reply = () => ({ status: 200, afterMs: secondMs });
    const ids = await publishMany(one, 15, 'alpha');
    let released = false;
    const releasing = one.dispatcher?.release(partitions).then(() => (released = true));
    await one.clock.advance(900);
    expect(released).toBe(false);
    await one.clock.advance(200);
    await releasing;
    expect(one.sent).toHaveLength(10);
    expect(ids.filter((id) => one.delivery(id).status === 'DELIVERED')).toHaveLength(10);
    await publishMany(one, 3, 'alpha', 'later');
    await one.clock.advance(hourMs);
    expect(one.sent).toHaveLength(10);
    expect(one.dispatcher?.stats()).toEqual({ lanes: 0, waiting: 0, sending: 0, unrecorded: 0, failing: 0 });
    await other.dispatcher?.take(partitions);
    await one.clock.advance(secondMs);
    expect(one.sent).toHaveLength(18);
    expect(ids.map((id) => typesOf(one, id))).toEqual(ids.map(() => ['Scheduled', 'Succeeded']));
  });

  it('waits until the outcome is in the log, and does not forget before the read model shows it', async () => {
    const world = await withAlpha(partitions);
    let down = true;
    world.fault = (stream) => (down && stream.startsWith('webhookdelivery-') ? { before: new StoreUnavailable('away') } : undefined);
    const [id = ''] = await world.publish('e1', ['alpha']);
    let released = false;
    const releasing = world.dispatcher?.release([alpha]).then(() => (released = true));
    await world.clock.advance(minuteMs);
    expect(released).toBe(false);
    world.follows = false;
    down = false;
    await world.clock.advance(2 * secondMs);
    await releasing;
    expect(world.delivery(id).status).toBe('DELIVERED');
    // The read model still has it as PENDING.
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(1);
    await world.dispatcher?.release([alpha]);
    world.commit();
    expect(world.dispatcher?.stats().lanes).toBe(0);
  });

  it('is not held up by what an error of ours has set aside for minutes', async () => {
    const world = await withAlpha(partitions);
    world.reply = ({ nth }) => {
      if (nth === 1) throw new TypeError('a bug');
      return 200;
    };
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    await world.dispatcher?.release([alpha]);
    await world.clock.advance(10 * minuteMs);
    expect(world.sent).toHaveLength(1);
    expect(world.dispatcher?.stats().lanes).toBe(0);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('starts nothing that was being prepared', async () => {
    const { world, go } = await preparing();
    const releasing = world.dispatcher?.release([alpha]);
    go();
    await releasing;
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    expect(world.dispatcher?.stats().lanes).toBe(0);
  });

  it('undone by take before it has ended: what is under way goes on, nothing is sent twice', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => ({ status: 200, afterMs: secondMs });
    const ids = await publishMany(world, 15, 'alpha');
    const releasing = world.dispatcher?.release([alpha]);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(5 * secondMs);
    await releasing;
    expect(ids.map((id) => typesOf(world, id))).toEqual(ids.map(() => ['Scheduled', 'Succeeded']));
    expect(world.sent).toHaveLength(15);
  });

  it('undone by take before it has ended: a subscription that slept is looked at again', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => ({ status: 200, afterMs: minuteMs });
    const ids = await publishMany(world, 11, 'alpha');
    await world.onSubscription('alpha', paused);
    await world.clock.advance(secondMs);
    void world.dispatcher?.release([alpha]);
    await world.onSubscription('alpha', resumed);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(5 * minuteMs);
    expect(ids.map((id) => typesOf(world, id))).toEqual(ids.map(() => ['Scheduled', 'Succeeded']));
  });

  it('and take while the read model is behind: ORDERED waits for the retry that only we know of', async () => {
    const world = await withAlpha(partitions, 'ORDERED');
    world.reply = ({ eventId, nth }) => (eventId === 'e-0' && nth === 1 ? 500 : 200);
    await publishMany(world, 2, 'alpha');
    world.follows = false;
    await world.clock.advance(100);
    await world.dispatcher?.release([alpha]);
    world.readModel.slow = ({ status }) => (status === 'SCHEDULED' ? new Promise((resolve) => void world.clock.after(100, resolve)) : undefined);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(10 * secondMs);
    expect(eventsSent(world)).toEqual(['e-0', 'e-0', 'e-1']);
  });

  it('resolves when the dispatcher is stopped', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => 'hang';
    await world.publish('e1', ['alpha']);
    const releasing = world.dispatcher?.release([alpha]);
    const stopping = world.dispatcher?.stop({ graceMs: secondMs });
    await world.clock.advance(secondMs);
    await Promise.all([releasing, stopping, world.dispatcher?.lose([alpha])]);
    expect(world.transcripts()).toEqual([]);
  });
});

describe('lose', () => {
  it('aborts the request of an ORDERED subscription and records it as a failed attempt; those of others end by themselves', async () => {
    const world = await withAlpha(partitions, 'ORDERED');
    await world.subscribe('beta');
    world.reply = () => ({ status: 200, afterMs: 10 * secondMs });
    const [ordered = '', other = ''] = await world.publish('e1', ['alpha', 'beta']);
    await world.clock.advance(secondMs);
    let lost = false;
    const losing = world.dispatcher?.lose(partitions).then(() => (lost = true));
    await world.clock.advance(100);
    expect(outcomesOf(world, ordered)).toMatchObject([{ subscriptionId: 'alpha', attempt: 1, status: null, error: 'aborted', why: 'aborted' }]);
    expect(world.transcripts()).toMatchObject([{ deliveryId: ordered, error: 'aborted' }]);
    expect(lost).toBe(false);
    await world.clock.advance(10 * secondMs);
    await losing;
    expect(world.delivery(other).status).toBe('DELIVERED');
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(2);
    await world.dispatcher?.take(partitions);
    await world.clock.advance(minuteMs);
    expect(world.delivery(ordered)).toMatchObject({ status: 'DELIVERED', attempts: 2 });
  });

  it('ends no delivery: also the last attempt of the schedule is made again', async () => {
    const world = new DispatchingWorld();
    world.schedule = [0];
    await world.subscribe('alpha', 'ORDERED');
    await world.start();
    world.reply = ({ nth }) => (nth === 1 ? 'hang' : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await lose(world, [alpha]);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(7 * secondMs);
    expect(typesOf(world, id)).toEqual(['Scheduled', 'AttemptFailed', 'Succeeded']);
  });

  it('after release aborts what was still under way', async () => {
    const world = await withAlpha(partitions, 'ORDERED');
    world.reply = () => 'hang';
    const [id = ''] = await world.publish('e1', ['alpha']);
    const releasing = world.dispatcher?.release([alpha]);
    await lose(world, [alpha]);
    await releasing;
    expect(outcomesOf(world, id)).toMatchObject([{ error: 'aborted' }]);
  });

  it('what was being prepared is taken back, never sent, and sent when it is ours again', async () => {
    const { world, id, go } = await preparing();
    const losing = world.dispatcher?.lose([alpha]);
    go();
    await losing;
    await world.clock.advance(hourMs);
    expect(world.sent).toEqual([]);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('what was being prepared does not go on in the next holding as if nothing had been in between', async () => {
    const { world: one, id, go } = await preparing();
    const other = new DispatchingWorld(2, one);
    void one.dispatcher?.lose([alpha]);
    await other.start([alpha]);
    await one.clock.advance(secondMs);
    await other.dispatcher?.release([alpha]);
    await one.dispatcher?.take([alpha]);
    go();
    await one.clock.advance(minuteMs);
    expect(typesOf(one, id)).toEqual(['Scheduled', 'Succeeded']);
    expect(one.sent).toHaveLength(1);
  });

  it('the next owner keeps the order: it waits for the retry of what was aborted', async () => {
    const [one, other] = await two('ORDERED');
    one.reply = () => 'hang';
    await publishMany(one, 3, 'alpha');
    await lose(one, partitions);
    await other.dispatcher?.take(partitions);
    await one.clock.advance(3 * secondMs);
    expect(eventsSent(one)).toEqual(['e-0']);
    await one.clock.advance(10 * secondMs);
    expect(eventsSent(one)).toEqual(['e-0', 'e-0', 'e-1', 'e-2']);
  });
});

describe('a partition that is taken but not held right now', () => {
  it('has nothing sent, without spinning, and goes on when it is held again', async () => {
    const world = await withAlpha(partitions);
    await world.publish('e0', ['alpha']);
    await world.clock.advance(secondMs);
    let asked = 0;
    let held = false;
    world.held = (partition) => {
      expect(partition).toBe(alpha);
      asked += 1;
      return held;
    };
    const ids = await publishMany(world, 20, 'alpha');
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toHaveLength(1);
    expect(asked).toBeLessThan(50);
    held = true;
    await world.clock.advance(2 * secondMs);
    expect(ids.map((id) => world.delivery(id).status)).toEqual(ids.map(() => 'DELIVERED'));
  });

  it('is noticed by an attempt that is being prepared', async () => {
    const { world, id, go } = await preparing();
    world.held = () => false;
    go();
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toEqual([]);
    expect(world.dispatcher?.isInFlight(id)).toBe(false);
    world.held = () => true;
    await world.clock.advance(2 * secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });
});

describe('a subscription that other processes may change', () => {
  async function trusting(): Promise<DispatchingWorld> {
    const world = new DispatchingWorld();
    world.limits = { viewTrustMs: secondMs };
    await world.subscribe('alpha');
    await world.start();
    await world.publish('e0', ['alpha']);
    await world.clock.advance(10);
    return world;
  }

  it('has nothing sent more than a second after a pause that is in the log, though the read model has not shown it', async () => {
    const world = await trusting();
    world.follows = false;
    const at = world.clock.now();
    await world.onSubscription('alpha', paused);
    for (let n = 0; n < 30; n += 1) {
      await world.publish(`later-${n}`, ['alpha']);
      world.dispatcher?.onCommitted({ position: world.log.events.at(-1)?.position ?? '0', events: world.log.events.slice(-2) });
      await world.clock.advance(100);
    }
    expect(world.sent.length).toBeGreaterThan(5);
    expect(Math.max(...world.sent.map(({ atMs }) => atMs - at))).toBeLessThanOrEqual(secondMs);
  });

  it('is read once a second while it is sent to, and not at all while it is not', async () => {
    const world = await trusting();
    const reads = readsOf(world);
    for (let n = 0; n < 50; n += 1) {
      await world.publish(`e-${n}`, ['alpha']);
      await world.clock.advance(100);
    }
    expect(world.sent).toHaveLength(51);
    expect(reads.length).toBeGreaterThanOrEqual(4);
    expect(reads.length).toBeLessThanOrEqual(5);
    await world.clock.advance(hourMs);
    expect(reads.length).toBeLessThanOrEqual(5);
  });

  it('that is deleted and restored while nothing is heard of it gets nothing from before, neither what was known here nor what a page still has', async () => {
    const world = await trusting();
    world.reply = () => 500;
    const before = await publishMany(world, 120, 'alpha');
    world.follows = false;
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2027-01-01T00:00:00.000Z' } });
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    const atMs = world.clock.now() + secondMs;
    await world.clock.advance(hourMs);
    expect(world.sent.filter((request) => request.atMs > atMs)).toEqual([]);
    world.follows = true;
    world.reply = () => 200;
    const [after = ''] = await world.publish('after', ['alpha']);
    await world.clock.advance(hourMs);
    expect(world.delivery(after).status).toBe('DELIVERED');
    expect(before.filter((id) => world.delivery(id).status === 'DELIVERED')).toEqual([]);
  });

  it('that can not be read has nothing sent', async () => {
    const world = await trusting();
    await world.clock.advance(2 * secondMs);
    world.slowRead = (stream) => (stream.startsWith('webhooksubscription-') ? Promise.reject(new StoreUnavailable('away')) : undefined);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toHaveLength(1);
    expect(world.alarms).toMatchObject([{ alarm: 'store-unavailable' }]);
    world.slowRead = () => undefined;
    await world.clock.advance(2 * secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('counts from the beginning of a reading', async () => {
    const world = await trusting();
    await world.clock.advance(2 * secondMs);
    let slow = true;
    world.slowRead = (stream) => (slow && stream.startsWith('webhooksubscription-') ? new Promise((resolve) => void world.clock.after(1_500, resolve)) : undefined);
    await world.publish('e1', ['alpha']);
    await world.clock.advance(5 * secondMs);
    expect(world.sent).toHaveLength(1);
    slow = false;
    await world.clock.advance(2 * secondMs);
    expect(world.sent).toHaveLength(2);
  });

  it('that becomes ORDERED while attempts are being prepared gets one at a time, from the first', async () => {
    const world = new DispatchingWorld();
    await world.subscribe('alpha');
    const ids = await publishMany(world, 5, 'alpha');
    await world.start([]);
    const go = heldBack(world, 'event-');
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(10);
    expect(ids.map((id) => world.dispatcher?.isInFlight(id))).toEqual(ids.map(() => true));
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionUpdated', data: { ...settings, deliveryMode: 'ORDERED' } });
    world.reply = () => ({ status: 200, afterMs: 100 });
    go();
    await world.clock.advance(10 * secondMs);
    expect(eventsSent(world)).toEqual(['e-0', 'e-1', 'e-2', 'e-3', 'e-4']);
    expect(world.mostUnderWay.get('alpha')).toBe(1);
  });
});

describe('what a process before us records late', () => {
  it('a delivery that waits here is not sent again', async () => {
    const world = new DispatchingWorld();
    world.limits = { perSubscription: 1 };
    await world.subscribe('alpha');
    await world.start();
    world.reply = () => ({ status: 200, afterMs: secondMs });
    const [, id = ''] = await publishMany(world, 3, 'alpha');
    await world.onDelivery(id, succeeded('alpha'));
    await world.clock.advance(minuteMs);
    expect(eventsSent(world)).toEqual(['e-0', 'e-2']);
  });

  it('also when it stands in the same batch as the delivery', async () => {
    const world = await withAlpha(partitions);
    await world.publish('e0', ['alpha']);
    await world.publish('e1', []);
    world.follows = false;
    const id = await world.scheduleDelivery('e1', 'alpha');
    await world.onDelivery(id, succeeded('alpha'));
    world.commit();
    await world.clock.advance(minuteMs);
    expect(eventsSent(world)).toEqual(['e0']);
  });

  it('also when it is shown while an older state is being read', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => 500;
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(10);
    const go = heldBack(world, 'webhookdelivery-');
    const replayed = { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: false, manual: false } } as const;
    await world.onDelivery(id, replayed);
    await world.settle();
    await world.onDelivery(id, succeeded('alpha'));
    await world.settle();
    go();
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
  });

  it('is read once for what stands in one batch', async () => {
    const world = await withAlpha(partitions);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    const reads = readsOf(world);
    world.follows = false;
    await world.onDelivery(id, { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: false, manual: true } });
    await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
    world.commit();
    await world.clock.advance(secondMs);
    expect(world.sent).toHaveLength(2);
    expect(reads.filter((stream) => stream.startsWith('webhookdelivery-'))).toHaveLength(1);
  });

  it('and that the read model has not shown yet is not forgotten for it', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => ({ error: 'timeout', afterMs: 10 });
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    world.follows = false;
    const upTo = world.log.events.length;
    await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
    await world.onDelivery(id, succeeded('alpha'));
    // The first of the two is shown, both are read, and then the window is filled by a read model that has neither.
    const receipt = world.log.events[upTo];
    world.dispatcher?.onCommitted({ position: receipt?.position ?? '0', events: receipt === undefined ? [] : [receipt] });
    await world.settle();
    await world.dispatcher?.release([alpha]);
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
  });

  it('also when a page is read meanwhile that still has it', async () => {
    const world = await withAlpha([]);
    const [id = ''] = await world.publish('e1', ['alpha']);
    const { promise: late, resolve: page } = Promise.withResolvers<void>();
    world.readModel.slow = () => late;
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(10);
    const go = heldBack(world, 'webhookdelivery-');
    await world.onDelivery(id, succeeded('alpha'));
    await world.clock.advance(10);
    page();
    await world.clock.advance(10);
    go();
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    expect(world.dispatcher?.stats().waiting).toBe(0);
  });

  it('also when an attempt of it is being prepared', async () => {
    const { world, id, go } = await preparing();
    await world.onDelivery(id, succeeded('alpha'));
    await world.settle();
    go();
    await world.clock.advance(minuteMs);
    expect(world.sent).toEqual([]);
    expect(world.dispatcher?.isInFlight(id)).toBe(false);
  });

  it('ORDERED waits until it is known, and then for the retry', async () => {
    const world = await withAlpha([], 'ORDERED');
    const [first = ''] = await publishMany(world, 2, 'alpha');
    const { promise: late, resolve: page } = Promise.withResolvers<void>();
    world.readModel.slow = () => late;
    await world.dispatcher?.take([alpha]);
    await world.clock.advance(10);
    const go = heldBack(world, 'webhookdelivery-');
    await world.onDelivery(first, failed('alpha', world.clock.now() + 20 * secondMs));
    await world.clock.advance(10);
    page();
    await world.clock.advance(10 * secondMs);
    expect(world.sent).toEqual([]);
    go();
    await world.clock.advance(9 * secondMs);
    expect(world.sent).toEqual([]);
    await world.clock.advance(3 * secondMs);
    expect(eventsSent(world)).toEqual(['e-0', 'e-1']);
  });

  it.each([
    ['a replay that says whose it is', { type: 'WebhookDeliveryReplayRequested', data: { subscriptionId: 'alpha', resetAttempts: false, manual: false } }],
    ['a replay that does not', { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: false, manual: false } }],
    ['a receipt', { type: 'CommandExecuted', data: {} }],
  ] as const)('ORDERED waits until it is known, also when the subscription is resumed meanwhile: %s', async (_, moved) => {
    const world = await withAlpha(partitions, 'ORDERED');
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [first = ''] = await publishMany(world, 2, 'alpha');
    await world.clock.advance(10);
    const go = heldBack(world, 'webhookdelivery-');
    await world.onDelivery(first, moved);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } });
    await world.clock.advance(10);
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionResumed', data: {} });
    await world.clock.advance(10 * secondMs);
    expect(eventsSent(world)).toEqual(['e-0']);
    go();
    await world.clock.advance(minuteMs);
    expect(eventsSent(world)).toEqual(['e-0', 'e-0', 'e-1', 'e-1']);
  });

  it('ORDERED sends first what became the first while a page was read that does not have it', async () => {
    const world = await withAlpha(partitions, 'ORDERED');
    world.reads = true;
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [first = ''] = await publishMany(world, 2, 'alpha');
    await world.onSubscription('alpha', paused);
    await world.clock.advance(10);
    world.follows = false;
    await world.onDelivery(first, { type: 'CommandExecuted', data: {} });
    await world.onDelivery(first, { type: 'WebhookDeliveryReplayRequested', data: { subscriptionId: 'alpha', resetAttempts: false, manual: false } });
    const go = heldBack(world, 'webhookdelivery-');
    world.commit(1);
    const { promise: late, resolve: page } = Promise.withResolvers<void>();
    world.readModel.slow = () => late;
    await world.onSubscription('alpha', resumed);
    await world.clock.advance(10);
    go();
    await world.clock.advance(10);
    page();
    await world.clock.advance(minuteMs);
    expect(eventsSent(world)).toEqual(['e-0', 'e-0', 'e-1', 'e-1']);
  });

  it('it overtakes our own outcome: what we recorded is not taken for the last word', async () => {
    const world = await withAlpha(partitions);
    world.reply = () => 500;
    let slow = true;
    world.fault = (stream) => (slow && stream.startsWith('webhookdelivery-') ? { after: new OutcomeUnknown('no answer') } : undefined);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(10);
    expect(typesOf(world, id)).toEqual(['Scheduled', 'AttemptFailed']);
    await world.onDelivery(id, { type: 'WebhookDeliverySucceeded', data: { subscriptionId: 'alpha', attempt: 2, ...outcome } });
    slow = false;
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(1);
    expect(world.delivery(id).status).toBe('DELIVERED');
  });

  it('a delivery that a deletion has cancelled stays so when the deletion was undone', async () => {
    const world = new DispatchingWorld();
    world.limits = { perSubscription: 1 };
    await world.subscribe('alpha');
    await world.start();
    world.reply = () => ({ status: 200, afterMs: secondMs });
    const [, id = ''] = await publishMany(world, 2, 'alpha');
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionDeleted', data: { purgeAt: '2027-01-01T00:00:00.000Z' } });
    await world.onSubscription('alpha', { type: 'WebhookSubscriptionRestored', data: {} });
    await world.clock.advance(3 * secondMs);
    await world.onDelivery(id, failed('alpha', world.clock.now() + secondMs));
    await world.publish('later', ['alpha']);
    await world.clock.advance(minuteMs);
    expect(eventsSent(world)).toEqual(['e-0', 'later']);
  });

  it('what was read before our own outcome does not undo it', async () => {
    const world = await withAlpha(partitions);
    world.reply = ({ nth }) => (nth === 1 ? 500 : 200);
    const [id = ''] = await world.publish('e1', ['alpha']);
    await world.clock.advance(secondMs);
    const go = heldBack(world, 'webhookdelivery-');
    await world.onDelivery(id, { type: 'CommandExecuted', data: {} });
    await world.settle();
    world.follows = false;
    world.slowRead = () => undefined;
    await world.clock.advance(10 * secondMs);
    expect(world.delivery(id).status).toBe('DELIVERED');
    go();
    await world.clock.advance(hourMs);
    expect(world.sent).toHaveLength(2);
  });

  it('outcomes of a time when they did not say whose they are count as well', async () => {
    const world = new DispatchingWorld();
    world.limits = { perSubscription: 1 };
    await world.subscribe('alpha');
    await world.start();
    world.reply = () => ({ status: 200, afterMs: secondMs });
    const [, id = ''] = await publishMany(world, 2, 'alpha');
    await world.onDelivery(id, { type: 'WebhookDeliverySucceeded', data: { attempt: 1, ...outcome } });
    await world.clock.advance(minuteMs);
    expect(eventsSent(world)).toEqual(['e-0']);
  });

  it('a replay is sent by whoever has the partition, once', async () => {
    const [one, other] = await two();
    const [id = ''] = await one.publish('e1', ['alpha']);
    await one.clock.advance(secondMs);
    await one.onDelivery(id, { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts: false, manual: true } });
    await one.clock.advance(secondMs);
    expect(typesOf(one, id)).toEqual(['Scheduled', 'Succeeded', 'ReplayRequested', 'Succeeded']);
    expect(one.lines).toHaveLength(2);
    expect(other.dispatcher?.stats().lanes).toBe(0);
  });
});

describe('transcripts', () => {
  it('stand in the stream of the partition that the process was given, as it is when they are written', async () => {
    const world = await withAlpha(partitions);
    for (const partition of [7, 7, 12]) {
      world.transcriptPartition = partition;
      await world.publish(`e-${world.sent.length}`, ['alpha']);
      await world.clock.advance(secondMs);
    }
    const streams = world.log.events.filter(({ stream }) => stream.startsWith('transcript-')).map(({ stream, revision }) => `${stream}@${revision}`);
    expect(streams).toEqual(['transcript-20261121.7@0', 'transcript-20261121.7@1', 'transcript-20261121.12@0']);
  });
});

describe('memory', () => {
  it('keeps nothing of partitions that come and go', async () => {
    const world = new DispatchingWorld();
    const dispatcher = await world.start();
    world.reply = () => 500;
    const ids = Array.from({ length: 30 }, (_, n) => `s${n}`);
    for (const id of ids) await world.subscribe(id);
    await world.publish('e1', ids);
    await world.clock.advance(secondMs);
    for (let round = 0; round < 5; round += 1) {
      await dispatcher.lose(partitions);
      expect(dispatcher.stats()).toEqual({ lanes: 0, waiting: 0, sending: 0, unrecorded: 0, failing: 0 });
      await dispatcher.take(partitions);
      await world.clock.advance(100);
      expect(dispatcher.stats().lanes).toBe(30);
    }
    expect(world.sent).toHaveLength(30);
    await dispatcher.lose(partitions);
    await world.onSubscription('s1', resumed);
    expect(dispatcher.stats().lanes).toBe(0);
  });
});
