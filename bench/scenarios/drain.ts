import { drain, makeBacklog } from '../backlog.ts';
import { startSendingCeiling } from '../ceilings/sending.ts';
import { inTurns, shareOf } from '../figure.ts';
import { type Scenario, timesOf } from '../run.ts';

/** How fast a server that starts on a backlog is through with it, from the first request to the last. */
export const drainOfBacklog: Scenario = {
  name: 'drain',
  about: 'a start on a backlog of 100,000, until all of it is sent',
  async figures(run) {
    const deliveries = run.isShort ? 1_000 : 100_000;
    const ceiling = await startSendingCeiling(run);
    try {
      const { dataDir } = await makeBacklog(run, deliveries);
      const figures = await inTurns(timesOf(run, 3), [ceiling.work]);
      const { figure } = await drain(run, dataDir, { name: `drain a backlog of ${deliveries.toLocaleString('en-US')}, AT_LEAST_ONCE`, behind: 1, count: deliveries - 1 });
      return [...figures, shareOf(figure, figures[0])];
    } finally {
      await ceiling.end();
    }
  },
};
