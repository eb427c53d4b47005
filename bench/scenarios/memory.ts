import { rm } from 'node:fs/promises';
import { drain, makeBacklog } from '../backlog.ts';
import { type Figure, spreadOf } from '../figure.ts';
import type { Scenario } from '../run.ts';

const full = { backlogs: [20_000, 100_000, 1_000_000], behind: 5_000, count: 15_000 };
const short = { backlogs: [500], behind: 100, count: 400 };

/** What a backlog costs: memory, the wait for the first attempt, and the CPU time of a delivery that is sent while all the others wait. */
export const memory: Scenario = {
  name: 'memory',
  about: 'a start on backlogs of 20,000 to 1,000,000: memory, the first attempt, CPU time over the backlog',
  async figures(run) {
    const { backlogs, behind, count } = run.isShort ? short : full;
    const figures: Figure[] = [];
    for (const backlog of backlogs) {
      const { dataDir, peakMiB } = await makeBacklog(run, backlog);
      const name = `${backlog.toLocaleString('en-US')} deliveries wait`;
      const { figure, firstAttemptMs } = await drain(run, dataDir, { name, behind, count });
      await rm(dataDir, { recursive: true });
      figures.push({ ...figure, beside: `first attempt ${(firstAttemptMs / 1_000).toFixed(1)} s after the start${peakMiB === null ? '' : `; while they were scheduled, ${Math.round(peakMiB)} MiB`}` });
    }
    return [...figures, ...spreadOf(figures)];
  },
};
