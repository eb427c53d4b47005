import { openSqliteEventStore } from '#event-store/sqlite';
import { openReadModels } from '#read-models';
import { testClock } from './wall-clock.ts';

/** Folds the log of a data folder, and kills itself some time after a number of commits: in the middle of the next batch. */
const [dataDir = '', commits = '1', afterMs = '1'] = process.argv.slice(2);
const store = await openSqliteEventStore({ dataDir });
const models = await openReadModels({ dataDir, store, clock: testClock(), historyDays: 30, onAlarm: ({ detail }) => process.stderr.write(`${detail}\n`) });
let left = Number(commits);
models.onCommitted(() => {
  left -= 1;
  if (left === 0) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(afterMs));
});
models.start();
