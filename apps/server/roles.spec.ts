import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Ending } from '#coordination';
import { createLeaseTable, LeasesUnreachable, type LeaseTable } from '#coordination/leases';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { createLog } from '#telemetry';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import { claimedRole, leasedRole, ownRole, type Role, type Tenure, type Work } from './roles.ts';

/** Work that notes what is done with it, and ends when it is let. */
class Noted implements Work {
  readonly notes: string[] = [];
  tenure: Tenure = { held: () => false, again: () => undefined };
  isOver = Promise.resolve();

  begin(tenure: Tenure): (how: Ending) => Promise<void> {
    this.tenure = tenure;
    this.notes.push('begun');
    return async (how) => {
      this.notes.push(how);
      await this.isOver;
    };
  }

  troubles(): readonly string[] {
    return ['a saga has stopped'];
  }
}

let clock: SimulatedClock;
let log: MemoryLog;
let leases: LeaseTable;
const stopping: Role[] = [];
beforeEach(() => {
  clock = simulatedClock();
  log = new MemoryLog();
  leases = createLeaseTable(clock);
  alarms = [];
});
afterEach(async () => {
  const stopped = Promise.all(stopping.splice(0).map((role) => role.stop()));
  await clock.advance(10_000);
  await stopped;
});

const onFatal = (error: Error): never => {
  throw error;
};
const running = (role: Role): Role => {
  stopping.push(role);
  role.start();
  return role;
};
let alarms: string[];
const everyday = { log: createLog('error', { write: (line: string) => void alarms.push((JSON.parse(line) as { readonly alarm: string }).alarm) }), onFatal, role: 'sagas' };

const claimed = (seed: number, work: Work): Role =>
  running(claimedRole({ ...everyday, clock, store: createMemoryEventStore(log), ids: seededIds(seed), pieces: new Map([['one', work]]) }));

describe('a role', () => {
  it('on a log of its own begins at the start and ends at the stop', async () => {
    const work = new Noted();
    const role = ownRole(new Map([['one', work], ['two', work]]));
    expect(role.troubles()).toEqual(['a saga has stopped']);
    role.start();
    expect([work.tenure.held(), role.report()]).toEqual([true, { state: 'HELD', why: 'a saga has stopped' }]);
    await role.stop();
    expect(work.notes).toEqual(['begun', 'begun', 'released', 'released']);
  });

  it('on a shared log has its own troubles where it is done, and elsewhere the reason why it is not', async () => {
    const [one, two] = [new Noted(), new Noted()];
    const first = claimed(1, one);
    await clock.advance(1_000);
    const second = claimed(2, two);
    await clock.advance(1_000);
    expect([one.notes, two.notes]).toEqual([['begun'], []]);
    expect([first.troubles(), first.report(), one.tenure.held()]).toEqual([['a saga has stopped'], { state: 'HELD', why: 'a saga has stopped' }, true]);
    expect(second.troubles()).toEqual([expect.stringMatching(/^this process does not do the work of the role sagas: another process, .+ \(process \d+\), does it on this log/)]);
    expect(second.report()).toEqual({ state: 'WAITING', why: expect.stringMatching(/^another process, .+ \(process \d+\), does it on this log/) });
  });

  it('whose work has met a second owner is begun anew after a heartbeat, where it is still held', async () => {
    const work = new Noted();
    claimed(1, work);
    await clock.advance(1_000);
    work.tenure.again();
    await clock.advance(1_000);
    expect(work.notes).toEqual(['begun', 'released']);
    await clock.advance(5_000);
    expect(work.notes).toEqual(['begun', 'released', 'begun']);
  });
});

describe('a role that is divided', () => {
  const names = ['a', 'b', 'c', 'd'];
  let way: LeaseTable['step'];
  beforeEach(() => {
    way = (step) => leases.step(step);
  });

  /** A process with its pieces. The way to the table is as `way` is at the time. */
  function divided(holder: string, unfit: () => string | null = () => null): { readonly role: Role; readonly works: Readonly<Record<string, Noted>>; notes(): Readonly<Record<string, string>>; held(): string } {
    const works = Object.fromEntries(names.map((name) => [name, new Noted()]));
    const role = running(leasedRole({ ...everyday, clock, pieces: new Map(Object.entries(works)), leases: { step: (step) => way(step) }, holder, unfit }));
    const notes = (): Record<string, string> => Object.fromEntries(names.map((name) => [name, works[name]?.notes.join(' ') ?? '']));
    return { role, works, notes, held: () => names.filter((name) => works[name]?.tenure.held()).join('') };
  }

  it('is begun piece by piece where the leases are held, and handed over when another process joins and when one stops', async () => {
    const one = divided('one');
    await clock.advance(20_000);
    expect(one.held()).toBe('abcd');
    const two = divided('two');
    await clock.advance(10_000);
    expect([one.held(), two.held()].sort()).toEqual(['ab', 'cd']);
    expect(one.notes()).toEqual({ a: 'begun', b: 'begun', c: 'begun released', d: 'begun released' });
    const stopped = one.role.stop();
    await clock.advance(5_000);
    await stopped;
    expect([one.held(), two.held()]).toEqual(['', 'abcd']);
    expect(one.notes()['a']).toBe('begun released');
  });

  it('gives a piece away only when its work is over', async () => {
    const one = divided('one');
    await clock.advance(20_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const work of Object.values(one.works)) work.isOver = promise;
    const two = divided('two');
    await clock.advance(20_000);
    expect([one.held(), two.held()]).toEqual(['ab', '']);
    expect(two.role.report()).toEqual({ state: 'WAITING', why: 'other processes hold all of it, or it is being divided anew' });
    resolve();
    await clock.advance(5_000);
    expect(two.held()).toBe('cd');
  });

  it('is lost when nothing could be renewed for ten seconds, not kept from this process for ever, and begun again only when it is over', async () => {
    const one = divided('one');
    await clock.advance(20_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const work of Object.values(one.works)) work.isOver = promise;
    way = () => Promise.reject(new LeasesUnreachable('gone'));
    await clock.advance(6_900);
    expect(one.held()).toBe('abcd');
    await clock.advance(5_000);
    expect([one.held(), one.notes()['a']]).toEqual(['', 'begun lost']);
    expect([one.role.report(), one.role.troubles()]).toEqual([{ state: 'SUSPENDED', why: 'gone' }, []]);
    way = (step) => leases.step(step);
    await clock.advance(30_000);
    expect(one.notes()['a']).toBe('begun lost');
    resolve();
    await clock.advance(1_000);
    expect([one.held(), one.notes()['a']]).toEqual(['abcd', 'begun lost begun']);
  });

  it('is left to others while this process is not fit for it, and taken when it is', async () => {
    const one = divided('one');
    await clock.advance(20_000);
    let unfit: string | null = 'the read models are being built';
    const two = divided('two', () => unfit);
    await clock.advance(20_000);
    expect([one.held(), two.held(), two.role.report()]).toEqual(['abcd', '', { state: 'WAITING', why: 'the read models are being built' }]);
    unfit = null;
    await clock.advance(10_000);
    expect([one.held(), two.held()].sort()).toEqual(['ab', 'cd']);
    unfit = 'the read model deliveries has stopped';
    await clock.advance(10_000);
    expect([one.held(), two.held()]).toEqual(['abcd', '']);
    expect(two.notes()['c']).toBe('begun released');
  });

  it('says that the leases can’t be asked, whatever the reason, until they can', async () => {
    way = () => Promise.reject(new LeasesUnreachable('OOM command not allowed'));
    const one = divided('one');
    await clock.advance(20_000);
    expect(one.role.report()).toEqual({ state: 'SUSPENDED', why: 'OOM command not allowed' });
    way = () => new Promise(() => undefined);
    await clock.advance(20_000);
    expect(one.role.report()).toEqual({ state: 'SUSPENDED', why: 'no answer within 5000 ms' });
    way = (step) => leases.step(step);
    await clock.advance(10_000);
    expect(one.role.report()).toEqual({ state: 'WAITING', why: 'other processes hold all of it, or it is being divided anew' });
  });

  it('is lost also while it is being handed over', async () => {
    const one = divided('one');
    await clock.advance(20_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const work of Object.values(one.works)) work.isOver = promise;
    divided('two');
    await clock.advance(5_000);
    expect(one.notes()['d']).toBe('begun released');
    way = () => Promise.reject(new LeasesUnreachable('gone'));
    await clock.advance(11_000);
    expect([one.notes()['a'], one.notes()['d']]).toEqual(['begun lost', 'begun released lost']);
    resolve();
  });

  it('raises an alarm when Redis can not be asked for two seconds, every half a minute; not when a connection takes a moment', async () => {
    way = () => Promise.reject(new LeasesUnreachable('not connected yet'));
    divided('one');
    await clock.advance(1_500);
    way = (step) => leases.step(step);
    await clock.advance(20_000);
    expect(alarms).toEqual([]);
    way = () => Promise.reject(new LeasesUnreachable('gone'));
    await clock.advance(6_000);
    expect(alarms).toEqual(['leases-unreachable']);
    await clock.advance(60_000);
    expect(alarms).toEqual(['leases-unreachable', 'leases-unreachable', 'leases-unreachable']);
  });

  it('begins a piece anew that has met a second owner, after a while, where it is still held', async () => {
    const one = divided('one');
    await clock.advance(20_000);
    one.works['b']?.tenure.again();
    await clock.advance(4_000);
    expect(one.notes()).toEqual({ a: 'begun', b: 'begun released', c: 'begun', d: 'begun' });
    await clock.advance(2_000);
    expect(one.notes()['b']).toBe('begun released begun');
    one.works['b']?.tenure.again();
    const stopped = one.role.stop();
    await clock.advance(10_000);
    await stopped;
    expect(one.notes()['b']).toBe('begun released begun released');
  });
});
