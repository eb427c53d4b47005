import { beforeEach, describe, expect, it } from '@jest/globals';
import { StoreUnavailable } from '#event-store';
import type { ProjectionStatus } from '#read-models';
import { createLog } from '#telemetry';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import { createFitness, feedReached, type Fitness } from './fitness.ts';

const notYet = 'the read models do not know yet what the log was at the start';
const standing = (name: string, poison: ProjectionStatus['poison'] = null): ProjectionStatus => ({ name, state: poison === null ? 'RUNNING' : 'STOPPED', position: '7', behindMs: 0, poison });
const poison = { position: '8', eventId: 'one', error: 'it can’t be read' };

let clock: SimulatedClock;
let waiting: Map<string, () => void>;
let standings: ProjectionStatus[];
let head: () => Promise<string>;
let fitness: Fitness;
beforeEach(() => {
  clock = simulatedClock();
  waiting = new Map();
  standings = [standing('deliveries'), standing('subscriptions'), standing('events')];
  head = () => Promise.resolve('7');
  fitness = createFitness({
    store: { head: () => head() },
    readModels: {
      reached: (name, position, signal) =>
        new Promise((resolve, reject) => {
          waiting.set(`${name} at ${position}`, resolve);
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      status: () => standings,
    },
    clock,
    log: createLog('fatal'),
    onFatal: (error) => {
      throw error;
    },
  });
});

async function caughtUp(): Promise<void> {
  await clock.advance(0);
  for (const resolve of waiting.values()) resolve();
  await clock.advance(0);
}

describe('a process leaves its work to others', () => {
  it('until its read models have reached what the log was at the start', async () => {
    fitness.start();
    await clock.advance(3_600_000);
    expect([fitness.unfit(), [...waiting.keys()]]).toEqual([notYet, ['deliveries at 7', 'subscriptions at 7']]);
    await caughtUp();
    expect(fitness.unfit()).toBeNull();
  });

  it('while a read model that its work needs has stopped, and while no other has', async () => {
    fitness.start();
    await caughtUp();
    standings = [standing('deliveries', poison), standing('subscriptions')];
    expect(fitness.unfit()).toBe('the read model deliveries has stopped');
    standings = [standing('deliveries'), standing('subscriptions'), standing('events', poison)];
    expect(fitness.unfit()).toBeNull();
  });

  it('while the store has not answered yet, and for good when it is stopped', async () => {
    head = () => Promise.reject(new StoreUnavailable('away'));
    fitness.start();
    await clock.advance(10_000);
    head = () => Promise.resolve('9');
    await clock.advance(10_000);
    expect([fitness.unfit(), [...waiting.keys()]]).toEqual([notYet, ['deliveries at 9', 'subscriptions at 9']]);
    fitness.stop();
    await caughtUp();
    expect(fitness.unfit()).toBe(notYet);
  });
});

describe('whoever waits for what feeds its work', () => {
  it('goes on when it is there, and is refused when it never will be', async () => {
    const answers: ('reached' | 'behind')[] = ['behind', 'behind', 'reached'];
    const readModels = { waitFor: () => Promise.resolve(answers.shift() ?? 'behind'), status: () => standings };
    await feedReached(readModels, '9');
    expect(answers).toEqual([]);
    standings = [standing('deliveries'), standing('subscriptions', poison)];
    await expect(feedReached(readModels, '9')).rejects.toThrow('the read model subscriptions has stopped');
  });
});
