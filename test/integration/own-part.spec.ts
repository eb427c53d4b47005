import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type EventStore, StreamTombstoned, WrongExpectedRevision } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { type NewEvent, Secret, startOfLog } from '#kernel';
import { wholeLog } from '../support/e2e/stored-log.ts';
import { startOwnPart } from '../support/eventstoredb/own-part.ts';
import { type EventStoreDb, startEventStoreDb } from '../support/eventstoredb/server.ts';
import { testClock } from '../support/wall-clock.ts';

const event = (data: string): NewEvent => ({ id: randomUUID(), type: 'Happened', data: JSON.stringify(data), metadata: {} });

// What ESDB_URL names is used by many installations at a time, and by other people: the suites that run on it rest on this.
describe('parts of one EventStoreDB', () => {
  let server: EventStoreDb;
  beforeAll(async () => {
    server = await startEventStoreDb();
  });
  afterAll(() => server.stop());

  /** One after the other: a process has one connection. */
  async function inPart<T>({ url }: { readonly url: string }, work: (store: EventStore) => Promise<T>): Promise<T> {
    const store = await openEventStoreDb({ connectionString: new Secret(url), clock: testClock() });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }

  const textsOf = async (store: EventStore): Promise<readonly string[]> => (await wholeLog(store)).map(({ stream, data }) => `${stream} ${data}`);

  it('are logs of their own: each is empty at first, has its own streams, and shows what others write to nobody', async () => {
    const [one, two] = await Promise.all([startOwnPart(new Secret(server.url)), startOwnPart(new Secret(server.url))]);
    await inPart({ url: server.url }, async (store) => {
      await store.append('event-acme.production.1', 'NO_STREAM', [event('of others')]);
      await store.append('event-acme.production.2', 'NO_STREAM', [event('removed by others')]);
      await store.tombstone('event-acme.production.2');
    });
    await inPart(one, async (store) => {
      expect([await store.head(), await textsOf(store)]).toEqual([startOfLog, []]);
      await store.append('event-acme.production.1', 'NO_STREAM', [event('first')]);
    });
    await inPart(two, async (store) => {
      expect([await store.head(), await textsOf(store)]).toEqual([startOfLog, []]);
      const { position } = await store.append('event-acme.production.1', 'NO_STREAM', [event('second')]);
      expect(await store.head()).toBe(position);
      expect((await store.readStream('event-acme.production.1')).map(({ data }) => data)).toEqual(['"second"']);
      expect(await store.readStream('event-acme.production.3')).toEqual([]);
      await expect(store.append('event-acme.production.1', 'NO_STREAM', [event('again')])).rejects.toThrow(WrongExpectedRevision);
      await store.tombstone('event-acme.production.1');
      await expect(store.append('event-acme.production.1', 'NO_STREAM', [event('again')])).rejects.toThrow(StreamTombstoned);
      expect(await textsOf(store)).toEqual([]);
    });
    await inPart(one, async (store) => {
      expect(await textsOf(store)).toEqual(['event-acme.production.1 "first"']);
    });
    await Promise.all([one.stop(), two.stop()]);
  });

  it('are followed as a log is, filtered and not, with what is written meanwhile', async () => {
    const part = await startOwnPart(new Secret(server.url));
    await inPart(part, async (store) => {
      const stop = new AbortController();
      const follow = async (prefixes: readonly string[] | undefined, count: number): Promise<readonly string[]> => {
        const seen: string[] = [];
        for await (const { events } of store.subscribe(startOfLog, prefixes && { prefixes }, stop.signal)) {
          seen.push(...events.map(({ stream }) => stream));
          if (seen.length >= count) break;
        }
        return seen;
      };
      await store.append('event-acme.production.1', 'NO_STREAM', [event('1')]);
      await store.append('command-acme.production.1', 'NO_STREAM', [event('2')]);
      const following = Promise.all([follow(['event-'], 2), follow(undefined, 3)]);
      await store.append('event-acme.production.2', 'NO_STREAM', [event('3')]);
      expect(await following).toEqual([['event-acme.production.1', 'event-acme.production.2'], ['event-acme.production.1', 'command-acme.production.1', 'event-acme.production.2']]);
      stop.abort();
    });
    await part.stop();
  });
});
