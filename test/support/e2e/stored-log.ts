import type { EventStore } from '#event-store';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type RecordedEvent, startOfLog } from '#kernel';

/** All that is in a log. */
export async function wholeLog(store: Pick<EventStore, 'readAll'>): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for (let after = startOfLog, caughtUp = false; !caughtUp; ) {
    const batch = await store.readAll(after, undefined, 1_000);
    events.push(...batch.events);
    ({ position: after, caughtUp } = batch);
  }
  return events;
}

/** The whole log of a data folder on which no server runs. */
export async function readStoredLog(dataDir: string): Promise<readonly RecordedEvent[]> {
  const store = await openSqliteEventStore({ dataDir });
  try {
    return await wholeLog(store);
  } finally {
    await store.close();
  }
}
