import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteEventStore } from '#event-store/sqlite';
import { eventStoreContract } from '../../../test/support/event-store-contract.ts';

eventStoreContract('SQLite', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'event-store-'));
  let store = await openSqliteEventStore({ dataDir });
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await openSqliteEventStore({ dataDir });
      return store;
    },
    dispose: async () => {
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
});
