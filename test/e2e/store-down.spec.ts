import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type SoakPlan, subscriptionsOf } from '../support/soak/plan.ts';
import { SoakScenario, type Survived } from '../support/soak/scenario.ts';
import { promises, type Verdict, verdictOn } from '../support/soak/verdict.ts';

const seed = randomInt(2 ** 31);
/** Longer than a role is kept without a heartbeat, and than an outcome may wait before nothing more is sent. */
const forMs = 13_000;
const plan: SoakPlan = { seed, servers: 2, redis: false, subscriptions: subscriptionsOf(20), events: 400, loadMs: 22_000, faults: [{ atMs: 4_000, fault: { kind: 'store', fault: 'down', forMs } }], settleWithinMs: 60_000 };

describe(`two servers whose event store is down for ${forMs / 1_000} s while they are busy (seed ${seed})`, () => {
  let survived: Survived;
  let verdict: Verdict;

  beforeAll(async () => {
    survived = await new SoakScenario(plan, () => undefined).run();
    verdict = verdictOn(plan, survived);
  }, 240_000);

  it('were busy, refused commands meanwhile, and were never restarted', () => {
    expect(survived.requests.length).toBeGreaterThan(plan.events);
    expect(survived.repeated.get('503 store-unavailable')).toBeGreaterThan(0);
    expect(survived.senders).toHaveLength(plan.servers);
  });

  it('took commands again by themselves as soon as it was back', () => {
    const [outage] = survived.faults;
    expect(survived.acknowledged.some(({ answeredAtMs }) => answeredAtMs > (outage?.toMs ?? Infinity) && answeredAtMs < (outage?.toMs ?? 0) + 10_000)).toBe(true);
  });

  it.each(promises)('%s', (promise) => {
    expect(verdict.promises.get(promise)).toEqual([]);
  });
});
