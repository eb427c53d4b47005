import { describe, expect, it } from '@jest/globals';
import { simulateHere, simulateMutant } from './mutation.ts';
import { mutants } from './mutants.ts';

const minute = 60_000;

describe('simulation of pipeline, gate, revoke and vault', () => {
  it(
    'keeps every promise over 10,000 schedules with lost replies, late appends, crashes at every await and a second process',
    async () => {
      const run = await simulateHere(['--schedules', '10000', '--seed', '1']);
      expect(run.output).toContain('10000 schedules from seed 1');
      expect(run).toMatchObject({ exitCode: 0 });
    },
    10 * minute,
  );

  it.each(mutants)(
    'goes red when $name',
    async (mutant) => {
      const run = await simulateMutant(mutant, ['--schedules', '10000', '--seed', '1']);
      expect(run.output).toMatch(/^seed \d+: /m);
      expect(run.exitCode).toBe(1);
    },
    10 * minute,
  );

  it('repeats a schedule exactly from its seed', async () => {
    const [once, again] = await Promise.all([simulateHere(['--seed', '4711']), simulateHere(['--seed', '4711'])]);
    expect(once).toEqual(again);
  });
});
