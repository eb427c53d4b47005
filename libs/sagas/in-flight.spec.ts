import { describe, expect, it } from '@jest/globals';
import { inFlight } from './in-flight.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('in flight', () => {
  it('is never more than the limit, and items are taken only as there is room', async () => {
    let taken = 0;
    function* items(): Generator<number> {
      for (taken = 1; taken <= 20; taken += 1) yield taken;
    }
    const finish: (() => void)[] = [];
    const seen: number[] = [];
    const done = inFlight(items(), 3, async (item) => {
      await new Promise<void>((resolve) => finish.push(resolve));
      seen.push(item);
    });
    for (let round = 0; seen.length < 20; round += 1) {
      expect(finish.length).toBeLessThanOrEqual(3);
      expect(taken).toBeLessThanOrEqual(seen.length + 4);
      finish.shift()?.();
      await turn();
    }
    await done;
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  it('after a failure takes no more, waits for what is under way, and rejects with it', async () => {
    const ended: number[] = [];
    const action = async (item: number): Promise<void> => {
      await turn();
      if (item === 2) throw new Error('two');
      await turn();
      ended.push(item);
    };
    await expect(inFlight([1, 2, 3, 4, 5], 3, action)).rejects.toThrow('two');
    expect(ended).toEqual([1, 3]);
  });

  it('rejects when the items themselves can not be taken', async () => {
    function* broken(): Generator<number> {
      yield 1;
      throw new Error('no more');
    }
    await expect(inFlight(broken(), 3, turn)).rejects.toThrow('no more');
  });
});
