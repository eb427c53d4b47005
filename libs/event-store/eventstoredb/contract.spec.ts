import { openEventStoreDb } from '#event-store/eventstoredb';
import { Secret } from '#kernel';
import { eventStoreContract, type OpenedStore } from '../../../test/support/event-store-contract.ts';
import { startEventStoreDb } from '../../../test/support/eventstoredb/server.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

/** The contract is about what comes, not when. */
const patienceMs = 20_000;

const open = (startPosition: bigint, recentEvents: number) => async (): Promise<OpenedStore> => {
  const server = await startEventStoreDb({ startPosition });
  const connect = (): ReturnType<typeof openEventStoreDb> => openEventStoreDb({ connectionString: new Secret(server.url), clock: testClock(), recentEvents, timeoutMs: patienceMs });
  let store = await connect();
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await connect();
      return store;
    },
    dispose: async () => {
      await store.close();
      await server.stop();
    },
  };
};

eventStoreContract('EventStoreDB, the newest events in memory', open(0n, 8192));
eventStoreContract('EventStoreDB, every read from the server, positions beyond 2^53', open(2n ** 53n, 0));
