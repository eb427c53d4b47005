import { randomBytes } from 'node:crypto';
import { beforeAll, describe, it } from '@jest/globals';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { Secret } from '#kernel';
import { eventStoreContract, type OpenedStore } from '../../../test/support/event-store-contract.ts';
import { ownPartOf } from '../../../test/support/own-part-of-log.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

const url = process.env['ESDB_URL'];

const connect = (connectionString: string): ReturnType<typeof openEventStoreDb> => openEventStoreDb({ connectionString: new Secret(connectionString), clock: testClock() });

const open = (connectionString: string) => async (): Promise<OpenedStore> => {
  const run = `run${randomBytes(6).toString('hex')}`;
  let store = await connect(connectionString);
  const start = await store.head();
  return {
    store: ownPartOf(store, run, start),
    reopen: async () => {
      await store.close();
      store = await connect(connectionString);
      return ownPartOf(store, run, start);
    },
    dispose: () => store.close(),
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
