import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventPublished } from '#publishing';
import { describeWithRedis } from '../support/redis-process.ts';
import { type SoakPlan, subscriptionsOf } from '../support/soak/plan.ts';
import { attemptsIn, deliveriesIn } from '../support/soak/promises.ts';
import { SoakScenario, type Survived } from '../support/soak/scenario.ts';
import { promises, type Verdict, verdictOn } from '../support/soak/verdict.ts';

/** Two or three seconds on a quiet machine. What is not handed over is taken over when it was silent for 15 s. */
const takenOverWithinMs = 12_000;
/** What is published so long after the process was asked to end is the others', and no newcomer takes it from them yet. */
const consideredMs = 5_000;

/** Receivers that answer at once: whatever comes twice does so because of the servers. */
const planOf = (servers: number, redis: boolean): SoakPlan => ({
  seed: randomInt(2 ** 31),
  servers,
  redis,
  subscriptions: subscriptionsOf(20).map((subscription) => ({ ...subscription, temper: 'prompt', toggled: false, deliveryMode: subscription.deliveryMode === 'BEST_EFFORT' ? 'AT_LEAST_ONCE' : subscription.deliveryMode })),
  events: 500,
  loadMs: 12_000,
  faults: [{ atMs: 4_000, fault: { kind: 'stop', server: 0, forMs: 8_000 } }],
  settleWithinMs: 60_000,
});

function handsOver(plan: SoakPlan): void {
  let survived: Survived;
  let verdict: Verdict;

  beforeAll(async () => {
    survived = await new SoakScenario(plan, () => undefined).run();
    verdict = verdictOn(plan, survived);
  }, 240_000);

  it('sends nothing twice, and loses nothing', () => {
    const deliveries = deliveriesIn(survived.events);
    expect(deliveries.length).toBeGreaterThan(plan.events);
    expect(survived.requests).toHaveLength(deliveries.length);
    expect(attemptsIn(survived.events)).toHaveLength(deliveries.length);
    expect(new Set(survived.requests.map(({ deliveryId }) => deliveryId)).size).toBe(deliveries.length);
  });

  it('is taken over within seconds: nothing comes late', () => {
    const stoppedMs = survived.faults[0]?.fromMs ?? 0;
    const published = new Map(survived.events.filter(({ type }) => type === eventPublished).map(({ metadata }) => [metadata['publishedid'], Date.parse(metadata['recordedat'] ?? '')]));
    const delays = survived.requests.flatMap(({ eventId, arrivedAtMs }) => {
      const publishedMs = published.get(eventId) ?? 0;
      return publishedMs > stoppedMs - consideredMs && publishedMs < stoppedMs + consideredMs ? [arrivedAtMs - publishedMs] : [];
    });
    expect(delays.length).toBeGreaterThan(100);
    expect(Math.max(...delays)).toBeLessThan(takenOverWithinMs);
  });

  it.each(promises)('%s', (promise) => {
    expect(verdict.promises.get(promise)).toEqual([]);
  });
}

describe('the one of two servers without Redis that does all the work, when it is asked to end', () => handsOver(planOf(2, false)));
describeWithRedis('one of three servers with Redis, when it is asked to end', () => handsOver(planOf(3, true)));
