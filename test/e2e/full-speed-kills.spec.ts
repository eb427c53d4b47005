import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import { Home } from '../support/e2e/home.ts';
import { FullSpeed, type Outlived, receiversOf, type Sent, subscriptions } from '../support/kill/full-speed.ts';
import { requestsAreAttempts } from '../support/kill/promises.ts';
import { attemptsIn, deliveredOnce, eventsAreThereOnce, scheduledAsExpected } from '../support/soak/promises.ts';

const kills = 10;
const leastPublishedOfLife = 50;
const seed = randomInt(2 ** 31);

const eventOf = ({ body }: Sent): string => (JSON.parse(body) as { readonly id: string }).id;
const pairOf = (sent: Sent): string => `${sent.path.slice(1)} ${eventOf(sent)}`;

describe(`a server that is killed ${kills} times in a row, at full speed (seed ${seed})`, () => {
  const home = new Home();
  let outlived: Outlived;
  let events: readonly RecordedEvent[];

  beforeAll(async () => {
    outlived = await new FullSpeed(home, seed).run(kills);
    events = await home.readLog();
  }, 240_000);
  afterAll(() => home.remove());

  it('was taking events and delivering others each time, and had some to deliver when nobody published any longer', () => {
    const [last, ...before] = outlived.kills.toReversed();
    expect(before).toHaveLength(kills);
    for (const { publishes, owed, received } of before) expect([publishes, owed, received].every((count) => count > 0)).toBe(true);
    expect(last?.publishes).toBe(0);
    expect(last?.owed).toBeGreaterThan(0);
  });

  it('has every acknowledged event once, and none that nobody sent', () => {
    expect(eventsAreThereOnce(events, [...outlived.published.keys()], outlived.offered)).toEqual([]);
  });

  it('delivered every acknowledged event to every subscription that it matches', () => {
    const owed = [...outlived.published].flatMap(([eventId, topic]) => receiversOf(topic).map((id) => `${id} ${eventId}`));
    const reached = new Set(outlived.requests.map(pairOf));
    expect(owed.filter((pair) => !reached.has(pair))).toEqual([]);
    expect(outlived.published.size).toBeGreaterThan(kills * leastPublishedOfLife);
    expect(scheduledAsExpected(events, subscriptions)).toEqual([]);
  });

  it('sent what it sent again under the same webhook-id, with the same body', () => {
    const sent = Map.groupBy(outlived.requests, pairOf);
    expect([...sent].filter(([, all]) => new Set(all.map(({ deliveryId, body }) => `${deliveryId} ${body}`)).size > 1)).toEqual([]);
    expect(new Set(outlived.requests.map(({ deliveryId }) => deliveryId)).size).toBe(sent.size);
  });

  it('recorded each delivery as delivered once', () => {
    expect(deliveredOnce(events)).toEqual([]);
  });

  it('has an attempt in the log for every request, except those under way at a kill', () => {
    expect(requestsAreAttempts(outlived.requests, attemptsIn(events), outlived.lives)).toEqual([]);
  });
});
