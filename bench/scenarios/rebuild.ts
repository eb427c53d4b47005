import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventStore } from '#event-store';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type Position, startOfLog } from '#kernel';
import { openReadModels } from '#read-models';
import { systemClock } from '../../test/support/webhook-receivers.ts';
import { copyOf, insertRows } from '../ceilings/insert-rows.ts';
import { besideCeiling } from '../figure.ts';
import { type Run, type Scenario, timesOf } from '../run.ts';
import { newDataDir, startTested } from '../server.ts';
import { alike, deliver, orderTo, subscribe } from '../traffic.ts';

const maxMs = 120_000;
const receivers = 10;

/** All read models from nothing, of a log that a server left; beside the same rows written without a log and a fold. */
export const rebuildOfModels: Scenario = {
  name: 'rebuild',
  about: 'all read models from nothing',
  async figures(run) {
    const dataDir = await leftLog(run, run.isShort ? 100 : 4_000);
    const store = await openSqliteEventStore({ dataDir });
    try {
      const batches = await rebuild(dataDir, store);
      const copy = copyOf(join(dataDir, 'read-models.db'));
      const events = await readLog(store);
      const here = { pid: process.pid };
      const ceiling = join(dataDir, 'ceiling.db');
      return await besideCeiling(
        timesOf(run),
        {
          name: `insert the same rows in ${batches} transactions, per event`,
          of: here,
          do: async () => {
            await removeDatabase(ceiling);
            insertRows(copy, ceiling, batches);
            return events;
          },
        },
        [
          { name: 'read and parse the log, fold nothing', of: here, do: () => readLog(store) },
          { name: 'rebuild all read models', of: here, do: () => rebuild(dataDir, store).then(() => events) },
        ],
      );
    } finally {
      await store.close();
    }
  },
};

/** The folder of a server that has ended, with a log of published and delivered events. */
async function leftLog(run: Run, events: number): Promise<string> {
  const server = await startTested(run, await newDataDir(run, 'rebuild'));
  try {
    const subscribers = alike(receivers, (index) => ({ id: `rebuild-${index}`, eventPattern: 'bench.*', targetUrl: run.receiver.url('ok', 'rebuild') }));
    await subscribe(server, subscribers);
    await deliver(run, server, orderTo(server, { types: ['bench.happened'], events }), subscribers, 'all');
  } finally {
    await server.stop();
  }
  return server.dataDir;
}

async function readLog(store: EventStore): Promise<number> {
  let count = 0;
  for (let after: Position = startOfLog, caughtUp = false; !caughtUp; ) {
    const batch = await store.readAll(after, undefined, 1_000);
    for (const { data } of batch.events) JSON.parse(data);
    count += batch.events.length;
    after = batch.position;
    caughtUp = batch.caughtUp;
  }
  return count;
}

async function removeDatabase(file: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`, { force: true });
}

/** Answers in how many batches, each a transaction, the log was folded. */
async function rebuild(dataDir: string, store: EventStore): Promise<number> {
  await removeDatabase(join(dataDir, 'read-models.db'));
  const alarms: string[] = [];
  const models = await openReadModels({ dataDir, store, clock: systemClock, historyDays: 30, onAlarm: ({ detail }) => alarms.push(detail) });
  let batches = 0;
  models.onCommitted(() => (batches += 1));
  models.start();
  const outcome = await models.waitFor(await store.head(), maxMs, models.status().map(({ name }) => name));
  await models.close();
  if (outcome === 'behind' || alarms.length > 0) throw new Error(`the read models are not there after ${maxMs} ms: ${alarms.join('; ')}`);
  return batches;
}
