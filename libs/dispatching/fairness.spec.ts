import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DispatchingWorld, type Reply, type Sent } from '../../test/support/dispatching-world.ts';
import { partitionOf } from './partitions.ts';
import { Reads } from './reads.ts';
import { GroupedRounds } from './rounds.ts';
import { type SlotHolder, Slots } from './slots.ts';
import { newTenant } from './tenants.ts';
import { Turns } from './turns.ts';

const secondMs = 1_000;

/** Subscriptions are named `<tenant>-<n>`. */
function worldOfTenants(): DispatchingWorld {
  const world = new DispatchingWorld();
  world.siteOf = (id) => ({ tenant: id.split('-')[0] ?? '', environment: 'production' });
  return world;
}

const namesOf = (tenant: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${tenant}-${n}`);

async function subscribeAll(world: DispatchingWorld, names: readonly string[]): Promise<void> {
  for (const name of names) await world.subscribe(name);
}

async function publishTo(world: DispatchingWorld, names: readonly string[], each: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < each; n += 1) for (const name of names) ids.push(...(await world.publish(`${name}-e${n}`, [name])));
  return ids;
}

const sentBy = (world: DispatchingWorld, tenant: string): readonly Sent[] => world.sent.filter(({ url }) => url.startsWith(`https://${tenant}-`));
const allAre = (world: DispatchingWorld, ids: readonly string[], status: string): boolean => ids.every((id) => world.delivery(id).status === status);

describe('tenants', () => {
  it('take turns: one with very many subscriptions is one among them', async () => {
    const world = worldOfTenants();
    world.limits = { inFlight: 20, perSubscription: 2 };
    world.reply = () => ({ status: 200, afterMs: 100 });
    const [many, few] = [namesOf('many', 200), namesOf('few', 1)];
    await subscribeAll(world, [...many, ...few]);
    await publishTo(world, many, 3);
    const ids = await publishTo(world, few, 10);
    await world.start();
    await world.clock.advance(1_200);
    expect(allAre(world, ids, 'DELIVERED')).toBe(true);
    expect(sentBy(world, 'many').length).toBeLessThan(300);
  });

  it('do not fill the slots of others: one whose endpoints all hang leaves room', async () => {
    const world = worldOfTenants();
    world.limits = { inFlight: 40 };
    world.reply = ({ url }): Reply => (url.includes('good') ? 200 : 'hang');
    const [hung, good] = [namesOf('hung', 100), namesOf('good', 1)];
    await subscribeAll(world, [...hung, ...good]);
    await world.start();
    await publishTo(world, hung, 1);
    const ids = await publishTo(world, good, 20);
    await world.clock.advance(100);
    expect(allAre(world, ids, 'DELIVERED')).toBe(true);
    expect(sentBy(world, 'hung').length).toBeGreaterThanOrEqual(15);
  });

  it('have one share, also after a subscription was given up while a request to it was being prepared', async () => {
    const world = worldOfTenants();
    world.limits = { inFlight: 40, perSubscription: 40, viewTrustMs: secondMs };
    world.reply = ({ url }): Reply => (url.includes('m-0') ? 200 : 'hang');
    const [left, ...others] = namesOf('m', 3);
    await subscribeAll(world, [left ?? '', ...others]);
    await world.start();
    await publishTo(world, ['m-0', 'm-1'], 1);
    await world.clock.advance(2 * secondMs);
    const read = Promise.withResolvers<void>();
    world.slowRead = (stream) => (stream.endsWith('.m-0') ? read.promise : undefined);
    await world.publish('e1', ['m-0']);
    const released = world.dispatcher?.release([partitionOf(world.siteOf('m-0'), 'm-0')]);
    read.resolve();
    await released;
    await publishTo(world, others, 40);
    await world.settle();
    expect(world.dispatcher?.stats().sending).toBeLessThanOrEqual(27);
  });

  it('share what waits in memory: what one has waiting shortens its own windows', async () => {
    const world = worldOfTenants();
    world.limits = { waiting: 400, window: 20, perSubscription: 1 };
    world.reply = () => 'hang';
    const [many, few] = [namesOf('many', 30), namesOf('few', 1)];
    await subscribeAll(world, [...many, ...few]);
    await world.start();
    await publishTo(world, many, 25);
    expect(world.dispatcher?.stats().waiting).toBe(300);
    await publishTo(world, few, 25);
    expect(world.dispatcher?.stats().waiting).toBe(320);
    await world.clock.advance(secondMs);
    expect(world.readModel.queries.length).toBeLessThan(100);
  });

  it('share what the read model may owe: one far behind does not keep the pages of others from being read', async () => {
    const world = worldOfTenants();
    world.limits = { unshown: 300, window: 8 };
    const [many, few] = [namesOf('many', 20), namesOf('few', 1)];
    await subscribeAll(world, [...many, ...few]);
    await publishTo(world, many, 50);
    const late = await publishTo(world, few, 5);
    await world.onSubscription('few-0', { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } });
    await world.start();
    world.follows = false;
    await world.clock.advance(secondMs);
    const sent = world.sent.length;
    await world.clock.advance(secondMs);
    // It stands still until the read model follows; what the window of each held was sent.
    expect(world.sent).toHaveLength(sent);
    expect(sent).toBeLessThan(900);
    await world.onSubscription('few-0', { type: 'WebhookSubscriptionResumed', data: {} });
    await world.dispatcher?.pauseSeen(world.siteOf('few-0'), 'few-0');
    await world.clock.advance(secondMs);
    expect(allAre(world, late, 'DELIVERED')).toBe(true);
    world.commit();
    world.follows = true;
    await world.clock.advance(10 * secondMs);
    expect(sentBy(world, 'many')).toHaveLength(1_000);
  });
});

describe('a subscription that got no more slots while room was scarce', () => {
  it('asks again soon, however long the requests take that it has under way', async () => {
    const world = worldOfTenants();
    world.limits = { inFlight: 20 };
    world.reply = ({ url, eventId }): Reply => (url.includes('few') ? (eventId.startsWith('slow') ? 'hang' : 200) : { status: 200, afterMs: 900 });
    const others = Array.from({ length: 15 }, (_, n) => `other${n}-0`);
    await subscribeAll(world, ['few-0', ...others]);
    await world.start();
    for (let n = 0; n < 3; n += 1) await world.publish(`slow-${n}`, ['few-0']);
    await publishTo(world, others, 1);
    expect(world.sent).toHaveLength(18);
    const ids = await publishTo(world, ['few-0'], 4);
    await world.clock.advance(500);
    expect(world.sent).toHaveLength(18);
    await world.clock.advance(secondMs);
    expect(allAre(world, ids, 'DELIVERED')).toBe(true);
  });
});

describe('first attempts and retries', () => {
  it('have shares of their own: a mass of retries that hang leaves room for first attempts', async () => {
    const world = worldOfTenants();
    world.limits = { inFlight: 40 };
    world.schedule = [0, secondMs, secondMs];
    world.reply = ({ url, nth }): Reply => (url.includes('good') ? 200 : nth === 1 ? 500 : 'hang');
    const [failing, good] = [namesOf('failing', 100), namesOf('failing_good', 2)];
    world.siteOf = () => ({ tenant: 'failing', environment: 'production' });
    await subscribeAll(world, [...failing, ...good]);
    await world.start();
    await publishTo(world, failing, 1);
    await world.clock.advance(5 * secondMs);
    expect(world.dispatcher?.stats().sending).toBeGreaterThanOrEqual(15);
    const ids = await publishTo(world, good, 20);
    await world.clock.advance(100);
    expect(allAre(world, ids, 'DELIVERED')).toBe(true);
  });
});

const holderOf = (tenant = newTenant('acme'), isTrusted = true): SlotHolder => ({ tenant, held: 0, isTrusted });

/** Takes as long as there is room. */
function fill(slots: Slots, holders: readonly SlotHolder[], kind: 'PENDING' | 'SCHEDULED'): number {
  const before = slots.taken;
  for (const holder of holders) while (slots.hasRoom(holder, kind)) slots.take(holder, kind);
  return slots.taken - before;
}

describe('the slots', () => {
  const many = (count: number, tenant = newTenant('acme'), isTrusted = true): SlotHolder[] => Array.from({ length: count }, () => holderOf(tenant, isTrusted));

  it('are all of a subscription’s as long as a fifth is free', () => {
    const slots = new Slots(1_000, 10);
    const holders = Array.from({ length: 40 }, () => holderOf(newTenant('x')));
    for (let n = 0; n < 10; n += 1) for (const holder of holders) if (slots.hasRoom(holder, 'PENDING')) slots.take(holder, 'PENDING');
    expect(holders.every(({ held }) => held === 10)).toBe(true);
  });

  it('are three quarters at most for one tenant: two thirds for first attempts, half for retries, half for those who are not trusted', () => {
    const slots = new Slots(1_000, 10);
    const tenant = newTenant('acme');
    expect(fill(slots, many(2_000, tenant), 'PENDING')).toBe(667);
    expect(fill(slots, many(2_000, tenant), 'SCHEDULED')).toBe(83);
    expect(fill(new Slots(1_000, 10), many(2_000), 'SCHEDULED')).toBe(500);
    expect(fill(new Slots(1_000, 10), many(2_000, newTenant('acme'), false), 'PENDING')).toBe(500);
  });

  it('leave room for the good ones however many bad ones of the same tenant there are, and for other tenants', () => {
    const slots = new Slots(1_000, 10);
    const tenant = newTenant('acme');
    fill(slots, many(5_000, tenant, false), 'PENDING');
    expect(fill(slots, many(20, tenant), 'PENDING')).toBeGreaterThan(100);
    fill(slots, many(5_000, tenant), 'PENDING');
    expect(fill(slots, many(20), 'PENDING')).toBeGreaterThan(100);
  });

  it('are counted as they are taken and given back, whatever becomes of those who hold them', () => {
    const step = fc.record({ who: fc.nat(5), does: fc.constantFrom('take', 'give', 'trust', 'doubt'), kind: fc.constantFrom('PENDING' as const, 'SCHEDULED' as const) });
    fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const slots = new Slots(20, 4);
      const [a, b] = [newTenant('a'), newTenant('b')];
      const holders = [holderOf(a), holderOf(a, false), holderOf(a), holderOf(b), holderOf(b, false), holderOf(b)];
      const taken: (() => void)[] = [];
      const take = (holder: SlotHolder, kind: 'PENDING' | 'SCHEDULED'): void => {
        if (!slots.hasRoom(holder, kind)) return;
        slots.take(holder, kind);
        taken.push(() => slots.give(holder, kind));
      };
      for (const { who, does, kind } of steps) {
        const holder = holders[who] ?? holderOf();
        if (does === 'take') take(holder, kind);
        else if (does === 'give') taken.shift()?.();
        else slots.trust(holder, does === 'trust');
      }
      expect(slots.taken).toBe(taken.length);
      expect(slots.taken).toBeLessThan(20);
      for (const give of taken) give();
      for (const isTrusted of [true, false]) expect(slots.room(a, 'SCHEDULED', isTrusted)).toBe(20);
    }));
  });
});

describe('turns', () => {
  it('those for whom there is no room wait, and do not stand in the way of those for whom there is', () => {
    const slots = new Slots(8, 8);
    const turns = new Turns<SlotHolder>(slots);
    const tenant = newTenant('bad');
    const bad = Array.from({ length: 5 }, () => holderOf(tenant, false));
    for (const holder of bad) turns.add(holder, 'PENDING');
    for (let next = turns.next(); next !== undefined; next = turns.next()) slots.take(next, 'PENDING');
    expect(bad.map(({ held }) => held)).toEqual([1, 1, 1, 1, 0]);
    const good = holderOf();
    turns.add(good, 'PENDING');
    expect(turns.next()).toBe(good);
    expect(turns.next()).toBeUndefined();
    slots.give(bad[0] ?? good, 'PENDING');
    expect(turns.next()).toBe(bad[4]);
    expect(turns.isEmpty).toBe(true);
  });

  it('those who have been found good or bad since they were put there have the turn of what they are now', () => {
    const slots = new Slots(8, 8);
    const turns = new Turns<SlotHolder>(slots);
    const holders = [holderOf(newTenant('a'), false), holderOf(newTenant('b'))];
    for (const holder of holders) turns.add(holder, 'PENDING');
    for (const holder of holders) slots.trust(holder, !holder.isTrusted);
    expect(new Set([turns.next(), turns.next()])).toEqual(new Set(holders));
  });
});

describe('rounds of rounds', () => {
  it('groups take turns whatever they have, and those that may not keep their places', () => {
    const rounds = new GroupedRounds<{ name: string }, string>();
    const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
    for (const item of ['a1', 'a2', 'a3']) rounds.add(a, item);
    rounds.add(b, 'b1');
    rounds.add(c, 'c1');
    const but = (name: string) => (group: { name: string }) => group.name !== name;
    expect([rounds.next(but('b')), rounds.next(but('b')), rounds.next(but('b')), rounds.next(but('b'))]).toEqual(['a1', 'c1', 'a2', 'a3']);
    expect([rounds.next(but('b')), rounds.isEmpty, rounds.next(), rounds.isEmpty]).toEqual([undefined, false, 'b1', true]);
  });
});

describe('reads', () => {
  it('are so many at a time; of those who wait, one of each tenant in turn', async () => {
    const reads = new Reads<object>(1);
    const order: string[] = [];
    const [a, b] = [{}, {}];
    const read = (group: object, name: string): Promise<void> => reads.run(group, () => Promise.resolve(void order.push(name)));
    await Promise.all([...['a1', 'a2', 'a3', 'a4'].map((name) => read(a, name)), read(b, 'b1')]);
    expect(order).toEqual(['a1', 'a2', 'b1', 'a3', 'a4']);
    await expect(reads.run(a, () => Promise.reject(new Error('busy')))).rejects.toThrow('busy');
    await expect(reads.run(a, () => Promise.resolve('done'))).resolves.toBe('done');
  });
});
