import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { createLog } from '#telemetry';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import { claimedRole, ownRole, type Role, type Work } from './roles.ts';

/** Work that notes what is done with it. */
class Noted implements Work {
  readonly notes: string[] = [];
  again = (): void => undefined;

  begin(again: () => void): () => Promise<void> {
    this.again = again;
    this.notes.push('begun');
    return () => {
      this.notes.push('ended');
      return Promise.resolve();
    };
  }

  troubles(): readonly string[] {
    return ['a saga has stopped'];
  }
}

let clock: SimulatedClock;
let log: MemoryLog;
const stopping: Role[] = [];
beforeEach(() => {
  clock = simulatedClock();
  log = new MemoryLog();
});
afterEach(async () => {
  const stopped = Promise.all(stopping.splice(0).map((role) => role.stop()));
  await clock.advance(1_000);
  await stopped;
});

const started = (seed: number, work: Work): Role => {
  const onFatal = (error: Error): never => {
    throw error;
  };
  const role = claimedRole({ store: createMemoryEventStore(log), clock, ids: seededIds(seed), log: createLog('fatal'), onFatal }, 'sagas', work);
  stopping.push(role);
  role.start();
  return role;
};

describe('a role', () => {
  it('on a log of its own begins at the start and ends at the stop', async () => {
    const work = new Noted();
    const role = ownRole(work);
    expect(role.troubles()).toEqual(['a saga has stopped']);
    expect(role.report()).toEqual({ state: 'HELD', why: 'a saga has stopped' });
    role.start();
    await role.stop();
    expect(work.notes).toEqual(['begun', 'ended']);
  });

  it('on a shared log has its own troubles where it is done, and elsewhere the reason why it is not', async () => {
    const [one, two] = [new Noted(), new Noted()];
    const first = started(1, one);
    await clock.advance(1_000);
    const second = started(2, two);
    await clock.advance(1_000);
    expect([one.notes, two.notes]).toEqual([['begun'], []]);
    expect(first.troubles()).toEqual(['a saga has stopped']);
    expect(first.report()).toEqual({ state: 'HELD', why: 'a saga has stopped' });
    expect(second.report()).toEqual({ state: 'WAITING', why: expect.stringMatching(/^another process, .+ \(process \d+\), does it on this log/) });
    expect(second.troubles()).toEqual([expect.stringMatching(/^this process does not do the work of the role sagas: another process, .+ \(process \d+\), does it on this log/)]);
  });

  it('whose work has met a second owner is begun anew after a heartbeat, where it is still held', async () => {
    const work = new Noted();
    started(1, work);
    await clock.advance(1_000);
    work.again();
    await clock.advance(1_000);
    expect(work.notes).toEqual(['begun', 'ended']);
    await clock.advance(5_000);
    expect(work.notes).toEqual(['begun', 'ended', 'begun']);
  });
});
