import { beforeAll, describe, it } from '@jest/globals';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { Secret } from '#kernel';
import { eventStoreContract, type OpenedStore } from '../../../test/support/event-store-contract.ts';
import { startOwnPart } from '../../../test/support/eventstoredb/own-part.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

const url = process.env['ESDB_URL'];

const connect = (connectionString: string): ReturnType<typeof openEventStoreDb> => openEventStoreDb({ connectionString: new Secret(connectionString), clock: testClock() });

/** Others may write to the server meanwhile, as the end-to-end suites do: the contract is about a log of its own. */
const open = (connectionString: string) => async (): Promise<OpenedStore> => {
  const part = await startOwnPart(new Secret(connectionString));
  let store = await connect(part.url);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await connect(part.url);
      return store;
    },
    dispose: async () => {
      await store.close();
      await part.stop();
    },
  };
};

describe('a real EventStoreDB', () => {
  if (url === undefined) {
    it.skip('needs ESDB_URL, the connection string of a server', () => undefined);
    return;
  }
  beforeAll(async () => {
    const store = await connect(url);
    process.stderr.write(`The server says that it is EventStoreDB ${await store.serverVersion()}\n`);
    await store.close();
  });
  eventStoreContract('a real EventStoreDB', open(url));
});
