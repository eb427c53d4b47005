import { randomInt } from 'node:crypto';
import { beforeAll, expect, it } from '@jest/globals';
import { randomOf } from '../simulation/random.ts';
import { describeWithRedis } from '../support/redis-process.ts';
import { eachFaultOnce, type SoakPlan, subscriptionsOf } from '../support/soak/plan.ts';
import { SoakScenario, type Survived } from '../support/soak/scenario.ts';
import { promises, type Verdict, verdictOn } from '../support/soak/verdict.ts';

const seed = randomInt(2 ** 31);
const servers = 3;
const plan: SoakPlan = { seed, servers, redis: true, subscriptions: subscriptionsOf(30), events: 900, loadMs: 34_000, faults: eachFaultOnce(randomOf(seed), servers), settleWithinMs: 90_000 };

// What `npm run soak` does for longer.
describeWithRedis(`three servers with a Redis and an event store that fail while they are busy, and that are killed (seed ${seed})`, () => {
  let survived: Survived;
  let verdict: Verdict;

  beforeAll(async () => {
    survived = await new SoakScenario(plan, () => undefined).run();
    verdict = verdictOn(plan, survived);
  }, 300_000);

  it('had every fault, and several processes sending', () => {
    const kinds = new Set(survived.faults.map(({ fault }) => (fault.kind === 'store' ? fault.fault : fault.kind)));
    expect(kinds).toEqual(new Set(plan.faults.map(({ fault }) => (fault.kind === 'store' ? fault.fault : fault.kind))));
    expect(new Set(survived.requests.map(({ sender }) => sender?.server)).size).toBe(servers);
    expect(survived.published.length).toBeGreaterThan(plan.events);
    expect(survived.acknowledged.length).toBeGreaterThan(100);
  });

  it.each(promises)('%s', (promise) => {
    expect(verdict.promises.get(promise)).toEqual([]);
  });
});
