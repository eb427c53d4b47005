import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { EventBatch, EventStore, StreamFilter } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { type NewEvent, type Position, type RecordedEvent, Secret, startOfLog } from '#kernel';
import { eventually } from '../../../test/support/e2e/eventually.ts';
import { eventNamed } from '../../../test/support/event-store-contract.ts';
import { startEventStoreDb } from '../../../test/support/eventstoredb/server.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

jest.setTimeout(30_000);
const timeoutMs = 1_000;
const lookMs = 100;

// What the client and the server are known for, and where its test is (each was seen to fail without its protection):
// appends without an answer, or with a deadline by the client's clock, and all that fail with one of them: "an append without an answer";
// one client per process, gossip, errors beside every call, a connection that dispose() leaves: "one connection", connection.spec.ts;
// answers in place of conflicts, credentials and options that are dropped, times in seconds, passwords: connection.spec.ts, tls.spec.ts;
// errors of many shapes: failure.spec.ts; subscriptions that break, fall silent or are left: "following", feed.spec.ts;
// checkpoints ahead of the reader: catch-up.spec.ts and "from far behind"; inclusive and exclusive positions, 64 bits, size,
// tombstones and expected revisions: contract.spec.ts; what a failover loses: lost-history.spec.ts, trail.spec.ts.
describe('event store on EventStoreDB', () => {
  let server: Awaited<ReturnType<typeof startEventStoreDb>>;
  let store: EventStore;
  let troubles: string[];

  const connect = (connectionString = server.url, recentEvents = 8192, everyMs = lookMs): Promise<EventStore> =>
    openEventStoreDb({ connectionString: new Secret(connectionString), clock: testClock(), timeoutMs, lookMs: everyMs, recentEvents, onTrouble: ({ message }) => troubles.push(message) });

  beforeEach(async () => {
    troubles = [];
    server = await startEventStoreDb();
    store = await connect();
  });
  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  const numbered = (prefix: string, count: number): NewEvent[] => Array.from({ length: count }, (_, index) => eventNamed(`${prefix}${index}`));
  const namesOf = (events: readonly RecordedEvent[]): string[] => events.map((event) => (JSON.parse(event.data) as { name: string }).name);
  const ours = (): string[] => server.log.events.filter(({ stream }) => !stream.startsWith('$')).map(({ stream }) => stream);
  /** Follows in the background; `seen` grows. */
  const follow = (after: Position, filter?: StreamFilter): { seen: RecordedEvent[]; batches: EventBatch[]; stop: () => Promise<void> } => {
    const abort = new AbortController();
    const [seen, batches]: [RecordedEvent[], EventBatch[]] = [[], []];
    const running = (async () => {
      for await (const batch of store.subscribe(after, filter, abort.signal)) {
        batches.push(batch);
        seen.push(...batch.events);
      }
    })();
    return {
      seen,
      batches,
      stop: async () => {
        abort.abort();
        await running;
      },
    };
  };
  const when = (awaited: string, holds: () => boolean): Promise<true> => eventually(awaited, () => (holds() ? true : undefined), 5_000);

  describe('an append without an answer', () => {
    it.each(['ignored', 'reply-lost', 'dropped-before-writing', 'dropped-after-writing'] as const)('is unknown in time, and the identical append settles it: %s', async (fate) => {
      server.misbehave.writes(fate, 1);
      const startedMs = performance.now();
      await expect(store.append('orders-a', 'NO_STREAM', numbered('e', 2))).rejects.toMatchObject({ name: 'OutcomeUnknown' });
      expect(performance.now() - startedMs).toBeLessThan(5 * timeoutMs);
      const settled = await store.append('orders-a', 'NO_STREAM', numbered('e', 2));
      expect(settled).toEqual({ revision: 1, position: await store.head() });
      expect(ours()).toEqual(['orders-a', 'orders-a']);
    });

    it('fails nobody else: those under way beside it are answered', async () => {
      server.misbehave.writes('dropped-after-writing', 1);
      const answers = await Promise.allSettled([0, 1, 2, 3].map((index) => store.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`e${index}`)])));
      expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    });

    it('does not depend on how this clock stands to that of the server', async () => {
      await store.close();
      await server.stop();
      server = await startEventStoreDb({ nowMs: () => Date.now() + 3_600_000 });
      store = await connect();
      await expect(store.append('orders-a', 'NO_STREAM', [eventNamed('e')])).resolves.toMatchObject({ revision: 0 });
    });

    it('is unknown for a removal too, and doing it again is success', async () => {
      server.misbehave.writes('reply-lost', 1);
      await expect(store.tombstone('secrets-a')).rejects.toMatchObject({ name: 'OutcomeUnknown' });
      await store.tombstone('secrets-a');
      expect(ours()).toEqual(['secrets-a']);
    });
  });

  describe('a server that takes nothing', () => {
    it.each(['not-ready', 'busy', 'access-denied'] as const)('is unavailable, and taken up again without a restart: %s', async (refusal) => {
      server.misbehave.refuse(refusal);
      await expect(store.append('orders-a', 'NO_STREAM', [eventNamed('e')])).rejects.toMatchObject({ name: 'StoreUnavailable' });
      await expect(store.head()).rejects.toMatchObject({ name: 'StoreUnavailable' });
      await expect(store.readStream('orders-a')).rejects.toMatchObject({ name: 'StoreUnavailable' });
      server.misbehave.behave();
      await expect(store.append('orders-a', 'NO_STREAM', [eventNamed('e')])).resolves.toMatchObject({ revision: 0 });
    });

    it('leads elsewhere: the append goes to the leader that it names', async () => {
      const leader = await startEventStoreDb();
      server.misbehave.refuse({ leader: { host: '127.0.0.1', port: leader.port } });
      await expect(store.append('orders-a', 'NO_STREAM', [eventNamed('e')])).resolves.toMatchObject({ revision: 0 });
      expect(namesOf(await store.readStream('orders-a'))).toEqual(['e']);
      expect(ours()).toEqual([]);
      await store.close();
      await leader.stop();
    });

    it('is asked as the leader, to read too: another node may be behind what was acknowledged', async () => {
      await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
      server.misbehave.refuse('not-ready', 'writes');
      await expect(store.readStream('orders-a')).rejects.toMatchObject({ name: 'StoreUnavailable' });
      server.misbehave.behave();
      expect(namesOf(await store.readStream('orders-a'))).toEqual(['e']);
    });

    it('answers reads no more: they end in time', async () => {
      server.misbehave.answerDelayMs = 60_000;
      const startedMs = performance.now();
      await expect(store.readAll(startOfLog, undefined, 10)).rejects.toMatchObject({ name: 'StoreUnavailable' });
      expect(performance.now() - startedMs).toBeLessThan(5 * timeoutMs);
      server.misbehave.behave();
    });

    it('is down: refused in time, and when it is up again appends, reads and followers go on', async () => {
      await store.append('orders-a', 'NO_STREAM', [eventNamed('before')]);
      const follower = follow(startOfLog);
      await when('the first event', () => follower.seen.length === 1);
      await server.down();
      const append = store.append('orders-a', 0, [eventNamed('after')]);
      await expect(append).rejects.toThrow(/EventStoreDB/);
      await expect(store.readStream('orders-a')).rejects.toMatchObject({ name: 'StoreUnavailable' });
      const beginner = follow(startOfLog);
      await when('the beginner in trouble', () => troubles.length > 2);
      await server.up();
      await eventually('an append', () => store.append('orders-a', 0, [eventNamed('after')]).catch(() => undefined));
      await when('what was appended after', () => follower.seen.length === 2);
      await when('what it missed', () => beginner.seen.length === 2);
      for (const { seen, stop } of [follower, beginner]) {
        expect(namesOf(seen)).toEqual(['before', 'after']);
        await stop();
      }
    });

    it('is down from the start: opening says so, and can be tried again', async () => {
      await store.close();
      await server.down();
      await expect(connect()).rejects.toMatchObject({ name: 'StoreUnavailable' });
      await server.up();
      store = await connect();
      expect(await store.head()).toBe(startOfLog);
    });
  });

  describe('one connection', () => {
    it('is all that a process has, until it is closed', async () => {
      await expect(connect()).rejects.toThrow(/one process has one/);
      await store.close();
      store = await connect();
    });

    it('is cut when it is closed: the client would hold it, and the process with it', async () => {
      await store.close();
      const sockets = new Set<Socket>();
      const way = createServer((socket) => {
        sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => undefined));
        pipeline(socket, createConnection(server.port, '127.0.0.1'), socket, () => undefined);
      }).listen(0, '127.0.0.1');
      await once(way, 'listening');
      store = await connect(`esdb://127.0.0.1:${(way.address() as AddressInfo).port}?tls=false`);
      await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
      expect(sockets.size).toBe(1);
      await store.close();
      await when('no connection', () => sockets.size === 0);
      way.close();
    });

    it.each([
      ['a cluster', (port: number) => `esdb://127.0.0.1:1,127.0.0.1:${port}?tls=false`],
      ['a name that is discovered', (port: number) => `esdb+discover://127.0.0.1:${port}?tls=false`],
    ])('goes to the node that leads, as %s says by gossip', async (_, url) => {
      await store.close();
      const follower = await startEventStoreDb({ leaderPort: server.port });
      store = await connect(url(follower.port));
      await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
      expect(ours()).toEqual(['orders-a']);
      await follower.stop();
    });

    it('to a cluster survives that all nodes are away', async () => {
      await store.close();
      const cluster = `esdb://127.0.0.1:${server.port},127.0.0.1:1?tls=false&maxDiscoverAttempts=2&discoveryInterval=10`;
      store = await connect(cluster);
      await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
      await server.down();
      const answers = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => store.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`e${index}`)])));
      expect(answers.every(({ status }) => status === 'rejected')).toBe(true);
      await server.up();
      await eventually('an append', () => store.append('orders-b', 'NO_STREAM', [eventNamed('b')]).catch(() => undefined));
    });

    it('says nothing of its password, also to the console', async () => {
      await store.close();
      const written: string[] = [];
      const console = jest.spyOn(process.stderr, 'write').mockImplementation((chunk) => written.push(String(chunk)) > 0);
      try {
        const failed = await connect('esdb://ops:hunter2@127.0.0.1:1?tls=true&maxDiscoverAttempts=1').then(() => new Error('connected'), (error: Error) => error);
        expect(`${failed.message} ${failed.stack} ${JSON.stringify(failed)} ${troubles.join(' ')} ${written.join(' ')}`).not.toMatch(/hunter2/);
      } finally {
        console.mockRestore();
      }
    });
  });

  describe('what is written', () => {
    it('has the bytes of the text on the wire, as JSON for other tools', async () => {
      const text = ' {"n":9007199254740993, "d":1.0,"a":1,"a":2}';
      await store.append('orders-a', 'NO_STREAM', [eventNamed('e', text, { actorid: 'Zoë' })]);
      const written = server.log.events.find(({ stream }) => stream === 'orders-a');
      expect(written).toMatchObject({ contentType: 'application/json', data: new Uint8Array(Buffer.from(text)), metadata: new Uint8Array(Buffer.from('{"actorid":"Zoë"}')) });
      expect((await store.readAll(startOfLog, undefined, 10)).events[0]?.data).toBe(text);
    });

    it('is told from what others wrote into the log: the server itself, and tools with metadata of their own', async () => {
      const foreign = { id: eventNamed('foreign').id, type: 'Note', contentType: 'application/octet-stream', data: Buffer.from('not JSON'), metadata: Buffer.from('{"n":1,"s":"text"}') };
      server.log.append('orders-a', 'no_stream', [foreign, { ...foreign, metadata: Buffer.from('?') }]);
      server.log.append('$settings', 'no_stream', [foreign]);
      expect((await store.readAll(startOfLog, undefined, 10)).events).toMatchObject([{ stream: 'orders-a', data: 'not JSON', metadata: { s: 'text' } }, { metadata: {} }]);
      expect((await store.readAll(startOfLog, undefined, 10)).position).toBe(await store.head());
    });
  });

  describe('a read of the log', () => {
    it('is bounded in what it looks at, and moves on past what does not pass', async () => {
      server.log.append('invoices-a', 'no_stream', numbered('i', 5000).map((event) => ({ ...event, contentType: 'application/json', data: Buffer.from(event.data), metadata: Buffer.from('{}') })));
      await store.append('orders-a', 'NO_STREAM', [eventNamed('order')]);
      const first = await store.readAll(startOfLog, { prefixes: ['orders-'] }, 10);
      expect(first).toMatchObject({ events: [], caughtUp: false });
      expect(namesOf((await store.readAll(first.position, { prefixes: ['orders-'] }, 10)).events)).toEqual(['order']);
    });

    it('is bounded in bytes', async () => {
      for (let index = 0; index < 8; index += 1) await store.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`e${index}`, `"${'x'.repeat(800_000)}"`)]);
      const { events, caughtUp } = await store.readAll(startOfLog, undefined, 1000);
      expect([events.length, caughtUp]).toEqual([6, false]);
    });

    it('goes on from between two records, where the server refuses to begin', async () => {
      await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
      const [, second] = await store.readStream('orders-a');
      expect(namesOf((await store.readAll(String(BigInt(second?.position ?? 0) + 1n), undefined, 10)).events)).toEqual(['e2']);
      expect(namesOf((await store.readAll(String(BigInt(second?.position ?? 0) - 1n), undefined, 10)).events)).toEqual(['e1', 'e2']);
    });

    it('hides what was removed, by this process and by others, although the server shows it', async () => {
      await store.append('secrets-a', 'NO_STREAM', numbered('a', 2));
      await store.append('secrets-b', 'NO_STREAM', numbered('b', 2));
      await store.append('orders-a', 'NO_STREAM', [eventNamed('order')]);
      await store.tombstone('secrets-a');
      const follower = follow(startOfLog);
      server.log.tombstone('secrets-b', 'any');
      await when('the removal by another process', () => follower.batches.length > 1);
      await follower.stop();
      expect(namesOf((await store.readAll(startOfLog, undefined, 10)).events)).toEqual(['order']);
      await store.close();
      store = await connect();
      expect(namesOf((await store.readAll(startOfLog, undefined, 10)).events)).toEqual(['order']);
    });
  });

  describe('following', () => {
    it('goes on by itself where it broke off, each event once, with one subscription', async () => {
      const follower = follow(startOfLog);
      for (let round = 0; round < 4; round += 1) {
        await store.append(`orders-${round}`, 'NO_STREAM', numbered(`${round}.`, 2));
        await when(`round ${round}`, () => follower.seen.length === 2 * (round + 1));
        server.misbehave.deliveredAgain = round;
        server.misbehave.dropSubscriptions();
      }
      await when('one subscription', () => server.misbehave.subscriptions.size === 1);
      const once = [0, 1, 2, 3].flatMap((round) => [`${round}.0`, `${round}.1`]);
      expect(namesOf(follower.seen)).toEqual(once);
      // Who comes later is given what is kept in memory.
      const late = follow(startOfLog);
      await when('the head', () => late.batches.some(({ caughtUp }) => caughtUp));
      expect(namesOf(late.seen)).toEqual(once);
      await late.stop();
      expect(troubles.length).toBeGreaterThan(0);
      await follower.stop();
    });

    it('begins again when it is silent although the log moves', async () => {
      const follower = follow(startOfLog);
      await when('the head', () => follower.batches.length === 1);
      server.misbehave.stallSubscriptions();
      server.log.append('orders-a', 'no_stream', [{ ...eventNamed('e'), contentType: 'application/json', data: Buffer.from('{"name":"e"}'), metadata: Buffer.from('{}') }]);
      await when('the silence', () => troubles.some((trouble) => trouble.includes('silent')));
      server.misbehave.behave();
      await when('the event', () => follower.seen.length === 1);
      await follower.stop();
    });

    it('shows soon what was written here, although the subscription is silent', async () => {
      const follower = follow(startOfLog);
      await when('the head', () => follower.batches.length === 1);
      server.misbehave.stallSubscriptions();
      await store.append('orders-a', 'NO_STREAM', [eventNamed('e1')]);
      await when('the first', () => follower.seen.length === 1);
      await store.append('orders-a', 0, [eventNamed('e2')]);
      await store.tombstone('orders-b');
      await when('what followed', () => follower.seen.length === 2 && follower.batches.at(-1)?.position === String(server.log.events.findLast(({ stream }) => !stream.startsWith('$'))?.position));
      server.misbehave.behave();
      await follower.stop();
    });

    it('asks the server for what a subscription that began again has yet to show', async () => {
      await store.close();
      store = await connect(undefined, undefined, 60_000);
      const { position } = await store.append('orders-a', 'NO_STREAM', [eventNamed('before')]);
      const follower = follow(startOfLog);
      await when('what is shown', () => follower.seen.length === 1);
      await follower.stop();
      server.misbehave.stallSubscriptions();
      server.misbehave.dropSubscriptions();
      server.log.append('orders-b', 'no_stream', [{ ...eventNamed('e'), contentType: 'application/json', data: Buffer.from('{"name":"e"}'), metadata: Buffer.from('{}') }]);
      await when('another subscription', () => troubles.length > 0 && server.misbehave.subscriptions.size === 1);
      const late = follow(position);
      await when('a batch', () => late.batches.length === 1);
      expect(late.batches[0]).toMatchObject({ events: [{ stream: 'orders-b' }], caughtUp: true });
      server.misbehave.behave();
      await late.stop();
    });

    it('says nothing of a head that is behind what was acknowledged', async () => {
      const { position: before } = await store.append('orders-a', 'NO_STREAM', [eventNamed('before')]);
      const live = follow(before);
      await store.append('orders-a', 0, [eventNamed('live')]);
      await when('what comes live', () => live.seen.length === 1);
      await live.stop();
      server.misbehave.stallSubscriptions();
      const { position } = await store.append('orders-b', 'NO_STREAM', [eventNamed('e')]);
      const follower = follow(before);
      await when('a batch', () => follower.batches.length === 1);
      expect(follower.batches[0]).toMatchObject({ position, caughtUp: true, events: [{ stream: 'orders-a' }, { stream: 'orders-b' }] });
      server.misbehave.behave();
      await follower.stop();
    });

    it('has no end of its own: the client would break it off every 10 s', async () => {
      await when('the subscription', () => server.misbehave.subscriptions.size === 1);
      expect([...server.misbehave.subscriptions].map(({ deadline }) => deadline)).toEqual([Infinity]);
    });

    it('leaves nothing at the server when it is left early, or closed', async () => {
      await store.append('orders-a', 'NO_STREAM', numbered('e', 500));
      await store.append('invoices-a', 'NO_STREAM', numbered('i', 500));
      await store.close();
      store = await connect(undefined, 0);
      for (let index = 0; index < 5; index += 1) {
        for await (const batch of store.subscribe(startOfLog, { prefixes: ['orders-'] }, new AbortController().signal)) {
          expect(batch.events.length).toBeGreaterThan(0);
          break;
        }
      }
      await when('only the subscription of the process', () => server.misbehave.subscriptions.size === 1);
      await store.close();
      await when('none', () => server.misbehave.subscriptions.size === 0);
    });

    it('from far behind has the server filter, and no position is ahead of what was handed over', async () => {
      for (let index = 0; index < 30; index += 1) {
        await store.append(`invoices-${index}`, 'NO_STREAM', numbered(`i${index}.`, 100));
        await store.append(`orders-${index}`, 'NO_STREAM', numbered(`${index}.`, 10));
      }
      await store.close();
      store = await connect(undefined, 0);
      const expected = (await store.readAll(startOfLog, { prefixes: ['orders-'] }, 1000)).events;
      const seen: RecordedEvent[] = [];
      let position = startOfLog;
      // Whoever dies after any batch goes on from its position, and misses nothing.
      for (let restarts = 0; restarts < 50 && seen.length < 300; restarts += 1) {
        let taken = 0;
        for await (const batch of store.subscribe(position, { prefixes: ['orders-'] }, new AbortController().signal)) {
          seen.push(...batch.events);
          position = batch.position;
          taken += 1;
          if (taken === 1 + (restarts % 2) || batch.caughtUp) break;
        }
      }
      expect(expected).toHaveLength(300);
      expect(namesOf(seen)).toEqual(namesOf(expected));
    });
  });
});
