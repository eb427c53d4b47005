import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { besideCeiling, type Figure, inTurns, once, spreadOf, type Work } from '../../bench/figure.ts';
import { type Order, startGenerator } from '../../bench/generator.ts';
import { latencyOf } from '../../bench/latencies.ts';
import { startReceiver, type ReceivedRequest } from '../support/webhook-receivers.ts';

const of = { pid: process.pid };
/** So many operations in a second, in each turn. */
const rates = (name: string, perSecond: readonly number[]): Work => ({ name, of, do: (time) => Promise.resolve({ operations: perSecond[time] ?? NaN, seconds: 1 }) });

describe('figures of the benchmarks', () => {
  it('are taken by turns, and are medians of the turns that count', async () => {
    const order: string[] = [];
    const noted = (name: string, values: readonly number[]): Work => ({ ...rates(name, values), do: (time) => (order.push(`${name}${time}`), rates(name, values).do(time)) });
    const figures = await inTurns({ warm: 1, counted: 3 }, [noted('a', [1, 10, 30, 20]), noted('b', [1_000, 7, 8, 9])]);
    expect(order).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2', 'a3', 'b3']);
    expect(figures).toMatchObject([{ name: 'a', runs: 3, perSecond: 20 }, { name: 'b', runs: 3, perSecond: 8 }]);
  });

  it('are beside what their ceiling was in the same turn', async () => {
    // A machine that is ten times slower in the second turn.
    const figures = await besideCeiling({ warm: 0, counted: 3 }, rates('ceiling', [1_000, 100, 1_000]), [rates('work', [500, 40, 300])]);
    expect(figures.map(({ beside }) => beside)).toEqual([null, '40 % of ceiling']);
  });

  it('say by how much the CPU time differs over a curve, and nothing where it can not be told', async () => {
    const figure = await once(rates('point', [1]));
    const points = (...cpu: readonly (number | null)[]): readonly Figure[] => cpu.map((cpuMicros) => ({ ...figure, cpuMicros }));
    expect(spreadOf(points(100, 125, 110)).map(({ beside }) => beside)).toEqual(['1.25']);
    expect(spreadOf(points(null, null))).toEqual([]);
  });

  it('of latency are times that were really seen', () => {
    const times = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(latencyOf(times)).toEqual({ p50Ms: 100, p99Ms: 198 });
  });
});

describe('who publishes for the benchmarks', () => {
  const stalledMs = 1_500;
  const order = { path: '/', key: null, types: ['a.b'], events: 60, batch: 1, connections: 1 } as const;

  /** The median of how long requests took to a receiver that answers nothing for a while, and then everything. */
  async function medianMs(more: Pick<Order, 'eventsPerSecond' | 'connections'>): Promise<number> {
    let calm: Promise<void> | undefined;
    const receiver = await startReceiver((response) => void (calm ??= delay(stalledMs)).then(() => response.end('"ACCEPTED"')));
    const generator = await startGenerator();
    try {
      return (await generator.post({ ...order, ...more, url: new URL(receiver.url).origin })).p50Ms;
    } finally {
      await generator.end();
      await receiver.close();
    }
  }

  it('counts what had to wait behind a stall from the time when it was to be sent', async () => {
    // All sixty were to be sent during the stall, half of them a second before its end.
    expect(await medianMs({ eventsPerSecond: 60, connections: 60 })).toBeGreaterThan(stalledMs / 3);
  });

  it('publishes as fast as it is answered when it is told no rate', async () => {
    expect(await medianMs({ eventsPerSecond: null, connections: 1 })).toBeLessThan(stalledMs / 3);
  });

  it('fails when an event is not accepted', async () => {
    const bodies: ReceivedRequest[] = [];
    const receiver = await startReceiver((response, request) => (bodies.push(request), response.end(bodies.length === 3 ? '"REFUSED"' : '"ACCEPTED"')));
    const generator = await startGenerator();
    try {
      await expect(generator.post({ ...order, eventsPerSecond: null, url: new URL(receiver.url).origin })).rejects.toThrow('0 of 1 events accepted: "REFUSED"');
      expect(JSON.parse(bodies[0]?.body ?? '')).toMatchObject({ type: 'a.b', data: { sentAtMs: expect.any(Number) as unknown } });
    } finally {
      await generator.end();
      await receiver.close();
    }
  });
});
