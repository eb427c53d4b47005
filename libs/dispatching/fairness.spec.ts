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
      for (const isTrusted of [true, false]) expect(slots.free - slots.need(a, 'SCHEDULED', isTrusted)).toBe(20);
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

  it.each(['end', 'are found good'])('those for whom there is no room are found again when some of their own %s, while others take what is free', (what) => {
    const slots = new Slots(12, 8);
    const turns = new Turns<SlotHolder>(slots);
    const tenant = newTenant('bad');
    const bad = Array.from({ length: 7 }, () => holderOf(tenant, false));
    for (const holder of bad) turns.add(holder, 'PENDING');
    for (let next = turns.next(); next !== undefined; next = turns.next()) slots.take(next, 'PENDING');
    const others = holderOf();
    const take = (count: number): void => Array.from({ length: count }).forEach(() => slots.take(others, 'PENDING'));
    take(2);
    expect([slots.free, turns.next()]).toEqual([4, undefined]);
    for (const holder of bad.slice(0, 4)) {
      if (what === 'end') slots.give(holder, 'PENDING');
      else slots.trust(holder, true);
    }
    take(what === 'end' ? 4 : 0);
    expect([slots.free, turns.next()]).toEqual([4, bad[6]]);
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

/** Slots that count how often it was asked what somebody needs. */
class CountingSlots extends Slots {
  asked = 0;

  override need(...of: Parameters<Slots['need']>): number {
    this.asked += 1;
    return super.need(...of);
  }
}

describe('many tenants whose endpoints hang', () => {
  const tenants = 500;

  function hung(): { slots: CountingSlots; turns: Turns<SlotHolder>; under: SlotHolder[] } {
    const slots = new CountingSlots(1_000, 10);
    const turns = new Turns<SlotHolder>(slots);
    const under: SlotHolder[] = [];
    for (let n = 0; n < tenants; n += 1) {
      const tenant = newTenant(`t${n}`);
      for (let m = 0; m < 20; m += 1) turns.add(holderOf(tenant, false), 'PENDING');
    }
    for (let next = turns.next(); next !== undefined; next = turns.next()) {
      slots.take(next, 'PENDING');
      under.push(next);
    }
    slots.asked = 0;
    return { slots, turns, under };
  }

  it('cost nothing when others are sent to: those who can’t be are not looked at, whatever more they get', () => {
    const { slots, turns, under } = hung();
    const good = holderOf();
    for (let n = 0; n < 1_000; n += 1) {
      turns.add(good, 'PENDING');
      for (const holder of under.slice(0, 100)) turns.add(holder, 'PENDING');
      expect(turns.next()).toBe(good);
      expect(turns.next()).toBeUndefined();
      slots.take(good, 'PENDING');
      expect(turns.next()).toBeUndefined();
      slots.give(good, 'PENDING');
    }
    expect(slots.asked).toBeLessThan(2_000);
  });

  it('are served one after the other as theirs end, each as often, with few looks', () => {
    const { slots, turns, under } = hung();
    const served = new Map<object, number>();
    for (let n = 0; n < 20 * tenants; n += 1) {
      const ended = under.shift();
      if (ended === undefined) throw new Error('nothing is under way');
      slots.give(ended, 'PENDING');
      turns.add(ended, 'PENDING');
      for (let next = turns.next(); next !== undefined; next = turns.next()) {
        slots.take(next, 'PENDING');
        under.push(next);
        served.set(next.tenant, 1 + (served.get(next.tenant) ?? 0));
      }
    }
    expect(served.size).toBe(tenants);
    expect(Math.max(...served.values()) - Math.min(...served.values())).toBeLessThanOrEqual(2);
    expect(slots.asked).toBeLessThan(4 * 20 * tenants);
  });
});

describe('rounds of rounds', () => {
  it('groups take turns whatever they have', () => {
    const rounds = new GroupedRounds<{ name: string }, string>();
    const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
    for (const item of ['a1', 'a2', 'a3']) rounds.add(a, item);
    rounds.add(b, 'b1');
    rounds.add(c, 'c1');
    expect([1, 2, 3, 4, 5, 6].map(() => rounds.next())).toEqual(['a1', 'b1', 'c1', 'a2', 'a3', undefined]);
    expect(rounds.isEmpty).toBe(true);
  });

  it('those who need more room than there is stand aside, and come first when there is', () => {
    const needs = new Map<object, number>();
    const rounds = new GroupedRounds<object, string>((group) => needs.get(group) ?? 0);
    const [a, b, c] = [{}, {}, {}];
    for (const [group, name, need] of [[a, 'a', 5], [b, 'b', 3], [c, 'c', 0]] as const) {
      needs.set(group, need);
      for (const nth of [1, 2]) rounds.add(group, `${name}${nth}`);
    }
    expect([rounds.next(3), rounds.next(3), rounds.next(3), rounds.isEmpty]).toEqual(['c1', 'c2', undefined, false]);
    rounds.add(c, 'c3');
    expect([rounds.next(4), rounds.next(6), rounds.next(6)]).toEqual(['b1', 'a1', 'c3']);
    needs.set(a, 1);
    rounds.eased(a);
    expect([rounds.next(2), rounds.next(2), rounds.next(4), rounds.isEmpty]).toEqual(['a2', undefined, 'b2', true]);
  });

  it('somebody who may is found whenever there is one, and nobody who may not', () => {
    const step = fc.record({ who: fc.nat(9), does: fc.constantFrom('add', 'need', 'next', 'next'), amount: fc.nat(8) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
        const groups = Array.from({ length: 10 }, () => ({ need: 0, waiting: 0 }));
        const rounds = new GroupedRounds<{ need: number; waiting: number }, object>(({ need }) => need);
        for (const { who, does, amount } of steps) {
          const group = groups[who] ?? { need: 0, waiting: 0 };
          if (does === 'add') {
            group.waiting += 1;
            rounds.add(group, { group });
          } else if (does === 'need') {
            const eased = amount < group.need;
            group.need = amount;
            if (eased) rounds.eased(group);
          } else {
            const may = groups.some(({ need, waiting }) => waiting > 0 && need < amount);
            const next = rounds.next(amount) as { group: { need: number; waiting: number } } | undefined;
            expect(next !== undefined).toBe(may);
            if (next === undefined) continue;
            expect(next.group.need).toBeLessThan(amount);
            next.group.waiting -= 1;
          }
        }
        expect(rounds.isEmpty).toBe(groups.every(({ waiting }) => waiting === 0));
      }),
    );
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
