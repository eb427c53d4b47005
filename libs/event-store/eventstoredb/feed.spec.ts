import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { expect, it } from '@jest/globals';
import { startOfLog } from '#kernel';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';
import { Growth } from '../follow.ts';
import { Tail } from '../tail.ts';
import { Feed } from './feed.ts';
import { Trail } from './trail.ts';

it('a subscription that broke is gone with all that looked after it: the one that begins again looks once in its time', async () => {
  const clock = simulatedClock();
  const [ends, lookMs] = [new AbortController(), 10_000];
  let [subscriptions, looks] = [0, 0];
  let breakOff: (error: Error) => void = () => undefined;
  async function* follow(_after: string, signal: AbortSignal): AsyncGenerator<ReadResp> {
    subscriptions += 1;
    await new Promise((_, reject) => {
      breakOff = reject;
      signal.addEventListener('abort', () => reject(new Error('left')));
    });
    yield* [];
  }
  const verify = (): Promise<void> => Promise.resolve(void (looks += 1));
  const parts = { clock, lookMs, follow, verify, signal: ends.signal, tail: new Tail(startOfLog, 10), growth: new Growth(), removed: new Set<string>(), trail: new Trail(startOfLog, undefined) };
  const feed = new Feed({ ...parts, end: () => Promise.resolve(startOfLog), onTrouble: () => undefined });
  feed.start();
  for (let time = 0; time < 3; time += 1) {
    await clock.advance(1_000);
    breakOff(new Error('Connection dropped'));
  }
  await clock.advance(1_000);
  expect(subscriptions).toBe(4);
  looks = 0;
  await clock.advance(lookMs);
  expect(looks).toBe(1);
  ends.abort();
  await feed.ended();
});
