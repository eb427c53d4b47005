import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventStore } from '#event-store';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type Position, startOfLog } from '#kernel';
import { openReadModels } from '#read-models';
import { systemClock } from '../../test/support/webhook-receivers.ts';
import { copyOf, insertRows } from '../ceilings/insert-rows.ts';
import { type Figure, measure } from '../figure.ts';

const maxMs = 120_000;

/** All read models from nothing, of a log that a server left; beside the same rows written without a log and a fold. */
export async function rebuildFigures(dataDir: string): Promise<readonly Figure[]> {
  const store = await openSqliteEventStore({ dataDir });
  try {
    const here = { pid: process.pid };
    const read = await measure('read and parse the log, fold nothing', here, () => readLog(store));
    let batches = 0;
    const rebuilt = await measure('rebuild all read models', here, async () => {
      batches = await rebuild(dataDir, store);
      return read.operations;
    });
    const copy = copyOf(join(dataDir, 'read-models.db'));
    const inserted = await measure(`insert the same rows in ${batches} transactions`, here, () => {
      insertRows(copy, join(dataDir, 'ceiling.db'), batches);
      return Promise.resolve(read.operations);
    });
    return [read, inserted, { ...rebuilt, ceiling: inserted }];
  } finally {
    await store.close();
  }
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

/** Answers in how many batches, each a transaction, the log was folded. */
async function rebuild(dataDir: string, store: EventStore): Promise<number> {
  for (const suffix of ['', '-wal', '-shm']) await rm(join(dataDir, `read-models.db${suffix}`), { force: true });
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
