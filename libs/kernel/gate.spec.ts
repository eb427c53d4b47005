import { describe, expect, it } from '@jest/globals';
import { Gate } from './gate.ts';

describe('the gate', () => {
  it('lets so many in at a time, and the next when one is done or has failed', async () => {
    const gate = new Gate(2);
    let inside = 0;
    let most = 0;
    const work = async (n: number): Promise<number> => {
      inside += 1;
      most = Math.max(most, inside);
      await Promise.resolve();
      inside -= 1;
      if (n === 1) throw new Error('failed');
      return n;
    };
    const results = await Promise.allSettled([0, 1, 2, 3, 4].map((n) => gate.run(() => work(n))));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
    expect(most).toBe(2);
  });
});
