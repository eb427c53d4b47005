import { openSqliteEventStore } from '#event-store/sqlite';
import { openReadModels } from '#read-models';
import { testClock } from './wall-clock.ts';

/** Folds the log of a data folder, which it has written now and then, and kills itself some time after a number of times: in the middle of folding or writing. */
const [dataDir = '', writes = '1', afterMs = '1'] = process.argv.slice(2);
const store = await openSqliteEventStore({ dataDir });
const models = await openReadModels({ dataDir, store, clock: testClock(), historyDays: 30, onAlarm: ({ detail }) => process.stderr.write(`${detail}\n`) });
models.start();
for (let left = Number(writes); left > 0; ) {
  await models.digest();
  if (models.position('deliveries') !== '0') left -= 1;
}
setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(afterMs));
for (;;) await models.digest();
