import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteEventStore } from '#event-store/sqlite';
import { eventStoreContract, type OpenedStore } from '../../../test/support/event-store-contract.ts';

const open = (recentEvents: number) => async (): Promise<OpenedStore> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'event-store-'));
  let store = await openSqliteEventStore({ dataDir, recentEvents });
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await openSqliteEventStore({ dataDir, recentEvents });
      return store;
    },
    dispose: async () => {
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
};

eventStoreContract('SQLite, the newest events in memory', open(8192));
eventStoreContract('SQLite, every read from disk', open(0));
