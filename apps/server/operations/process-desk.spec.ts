import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LeasesUnreachable } from '#coordination/leases';
import { createProcessBoard, type ProcessBoard, type ProcessReport } from '#coordination/processes';
import { reportOf } from '../../../test/support/process-board-contract.ts';
import { type SimulatedClock, simulatedClock } from '../../../test/support/simulated-clock.ts';
import { createProcessDesk, type ProcessDesk } from './process-desk.ts';

const second = 1_000;

let clock: SimulatedClock;
let board: ProcessBoard;
/** What the board does when it is asked: answer, refuse, or nothing. */
let mood: 'well' | 'away' | 'hanging';
let open: ProcessDesk[];

beforeEach(() => {
  clock = simulatedClock();
  const own = createProcessBoard(clock);
  mood = 'well';
  open = [];
  const moody = <T>(answer: () => Promise<T>): Promise<T> => {
    if (mood === 'away') return Promise.reject(new LeasesUnreachable('Redis at kf-redis:6379: away'));
    return mood === 'hanging' ? new Promise<T>(() => undefined) : answer();
  };
  board = { exchange: (report) => moody(() => own.exchange(report)), leave: (id) => moody(() => own.leave(id)) };
});
afterEach(async () => {
  const stopped = Promise.all(open.map((desk) => desk.stop()));
  await clock.advance(2 * second);
  await stopped;
});

function desk(id: string, report: () => Promise<ProcessReport> = () => Promise.resolve(reportOf(id))): ProcessDesk {
  const created = createProcessDesk({ board, clock, id, report });
  open.push(created);
  return created;
}

async function started(id: string, report?: () => Promise<ProcessReport>): Promise<ProcessDesk> {
  const created = desk(id, report);
  created.start();
  await clock.advance(0);
  return created;
}

const seenBy = (at: ProcessDesk): readonly string[] => at.others().map(({ id }) => id);

describe('a process among others', () => {
  it('does not know of them before it has asked', () => {
    expect([desk('a').others(), desk('a').unheard()]).toEqual([[], 'they have not been asked yet']);
  });

  it('hears of the others within 3 s, by name and without itself, and how old it is what they said', async () => {
    const first = await started('b');
    await started('c');
    await started('a');
    await clock.advance(3 * second);
    expect([seenBy(first), first.unheard()]).toEqual([['a', 'c'], null]);
    const [said] = first.others();
    expect(said?.ageMs).toBeLessThanOrEqual(3 * second);
    await clock.advance(2 * second);
    expect(first.others()[0]?.ageMs).toBe((said?.ageMs ?? 0) + 2 * second);
  });

  it('says what it does now, at every turn', async () => {
    let position = 42;
    const other = await started('b');
    await started('a', () => Promise.resolve(reportOf('a', { position: String((position += 1)) })));
    for (const expected of ['43', '44', '45']) {
      await clock.advance(3 * second);
      // Who comes first in a turn is not said.
      expect(Number(other.others()[0]?.position)).toBeGreaterThanOrEqual(Number(expected));
    }
  });

  it('goes on when the board is away: says why, leaves out who was not heard of for 15 s, and knows them again when it is back', async () => {
    const one = await started('a');
    await started('b');
    await clock.advance(3 * second);
    mood = 'away';
    await clock.advance(4 * second);
    expect([seenBy(one), one.unheard()]).toEqual([['b'], 'Redis at kf-redis:6379: away']);
    await clock.advance(11 * second);
    expect(seenBy(one)).toEqual([]);
    mood = 'well';
    await clock.advance(second);
    expect(one.unheard()).toBe(null);
    await clock.advance(3 * second);
    expect(seenBy(one)).toEqual(['b']);
  });

  it('takes down what it said when it stops', async () => {
    const one = await started('a');
    const two = await started('b');
    await two.stop();
    await clock.advance(3 * second);
    expect([seenBy(one), one.unheard()]).toEqual([[], null]);
  });

  it('does not put it up again when it stops while it looks at itself', async () => {
    const one = await started('a');
    const looked = Promise.withResolvers<ProcessReport>();
    const two = await started('b', () => looked.promise);
    await two.stop();
    looked.resolve(reportOf('b'));
    await clock.advance(3 * second);
    expect(seenBy(one)).toEqual([]);
  });

  it('stops within a second when the board does not answer, and at once when it is away', async () => {
    const [one, two] = [await started('a'), await started('b')];
    let ended = 0;
    mood = 'away';
    void one.stop().then(() => (ended += 1));
    await clock.advance(0);
    expect(ended).toBe(1);
    mood = 'hanging';
    void two.stop().then(() => (ended += 1));
    await clock.advance(999);
    expect(ended).toBe(1);
    await clock.advance(1);
    expect(ended).toBe(2);
  });
});
