import { writeSync } from 'node:fs';
import { openSqliteEventStore } from '#event-store/sqlite';
import { openReadModels } from '#read-models';
import { testClock } from './wall-clock.ts';

/** Folds the log of a data folder and says so after a number of commits, to be killed in the next one. */
const [dataDir = '', commits = '1'] = process.argv.slice(2);
const store = await openSqliteEventStore({ dataDir });
const models = await openReadModels({ dataDir, store, clock: testClock(), historyDays: 30, onAlarm: ({ detail }) => process.stderr.write(`${detail}\n`) });
let left = Number(commits);
models.onCommitted(() => {
  left -= 1;
  if (left === 0) writeSync(1, 'committed\n');
});
models.start();
