import { beforeEach, describe, expect, it } from '@jest/globals';
import { StoreUnavailable } from '#event-store';
import { ReadModelsUnavailable } from '#read-models';
import { createLog } from '#telemetry';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import { DispatchWork } from './dispatch-work.ts';
import type { Tenure } from './roles.ts';

let clock: SimulatedClock;
let done: string[];
let head: () => Promise<string>;
/** What waits for a read model, by its name. */
let waiting: Map<string, () => void>;
let fatal: Error[];
let failing: Error | undefined;
let work: DispatchWork;
const held: Tenure = { held: () => true, again: () => undefined };
const note = (what: string) => (partitions: readonly number[]) => {
  done.push(`${what} ${partitions.join(',')}`);
  return Promise.resolve();
};

beforeEach(() => {
  clock = simulatedClock();
  done = [];
  waiting = new Map();
  fatal = [];
  failing = undefined;
  head = () => Promise.resolve('7');
  work = new DispatchWork({
    dispatcher: { take: (partitions) => (failing === undefined ? note('take')(partitions) : Promise.reject(failing)), release: note('release'), lose: note('lose'), stop: () => note('stop')([]), onRead: () => undefined, onCommitted: () => undefined },
    store: { head: () => head() },
    readModels: {
      reached: (name, position) => new Promise((resolve) => void waiting.set(`${name} at ${position}`, resolve)),
      onRead: () => () => void done.push('forget'),
      onCommitted: () => () => void done.push('forget'),
    },
    clock,
    log: createLog('fatal'),
    onFatal: (error) => fatal.push(error),
  });
});

const begin = (...partitions: number[]): ReturnType<NonNullable<ReturnType<DispatchWork['pieces']['get']>>['begin']>[] =>
  partitions.map((partition) => {
    const piece = work.pieces.get(String(partition));
    if (piece === undefined) throw new Error(`there is no partition ${partition}`);
    return piece.begin(held);
  });

async function caughtUp(): Promise<void> {
  await clock.advance(0);
  for (const resolve of waiting.values()) resolve();
  await clock.advance(0);
}

describe('the work of dispatching', () => {
  it('has a piece for each of 64 partitions', () => {
    expect([...work.pieces.keys()]).toEqual(Array.from({ length: 64 }, (_, partition) => String(partition)));
  });

  it('begins when the read models know what the last owner has recorded; what comes in one moment at once', async () => {
    begin(3, 1);
    await clock.advance(60_000);
    expect([done, work.taken(), [...waiting.keys()]]).toEqual([[], [], ['deliveries at 7', 'subscriptions at 7']]);
    expect(work.pieces.get('3')?.troubles()).toEqual(['the dispatcher waits until the read models know everything that was sent before']);
    await caughtUp();
    expect([done, work.taken(), work.pieces.get('3')?.troubles()]).toEqual([['take 3,1'], [1, 3], []]);
  });

  it('waits for a store that is away', async () => {
    head = () => Promise.reject(new StoreUnavailable('away'));
    begin(1);
    await clock.advance(60_000);
    head = () => Promise.resolve('9');
    await clock.advance(60_000);
    await caughtUp();
    expect([done, fatal]).toEqual([['take 1'], []]);
  });

  it('waits for read models that can’t say what is due, and ends the process at an error that nobody knows', async () => {
    failing = new ReadModelsUnavailable('no disk');
    const [end] = begin(1, 2);
    await caughtUp();
    await clock.advance(5_000);
    expect([work.taken(), fatal]).toEqual([[], []]);
    await end?.('released');
    failing = undefined;
    await clock.advance(1_000);
    expect([work.taken(), done.at(-1)]).toEqual([[2], 'take 2']);
    failing = new TypeError('a fault');
    begin(3);
    await caughtUp();
    expect(fatal).toEqual([failing]);
  });

  it('does not begin what has ended while it waited', async () => {
    const [end] = begin(1, 2);
    await clock.advance(0);
    await end?.('released');
    await caughtUp();
    expect([done, work.taken()]).toEqual([['release 1', 'take 2'], [2]]);
  });

  it('may begin a request where the partition is held, and not after it has ended', async () => {
    expect(work.held(1)).toBe(false);
    const [end] = begin(1);
    expect([work.held(1), work.held(2)]).toEqual([true, false]);
    await end?.('lost');
    expect(work.held(1)).toBe(false);
  });

  it('ends as it is told: handed over, or lost', async () => {
    const [one, two] = begin(1, 2);
    await caughtUp();
    await one?.('released');
    await two?.('lost');
    expect(done).toEqual(['take 1,2', 'release 1', 'lose 2']);
    expect(work.taken()).toEqual([]);
  });

  it('stops with what is under way, also while it waits for the read models', async () => {
    begin(1);
    await clock.advance(0);
    await work.stop();
    await caughtUp();
    expect([work.taken(), fatal]).toEqual([[], []]);
    expect(done.slice(0, 2)).toEqual(['stop ', 'forget']);
  });
});
