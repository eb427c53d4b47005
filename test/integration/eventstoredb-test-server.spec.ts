import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type AllStreamSubscription,
  ANY,
  type AppendExpectedRevision,
  type AppendResult,
  BACKWARDS,
  binaryEvent,
  END,
  type EventData,
  eventTypeFilter,
  EventStoreDBClient,
  jsonEvent,
  NO_STREAM,
  persistentSubscriptionToAllSettingsFromDefaults,
  type Position,
  type ReadPosition,
  type RecordedEvent,
  START,
  STREAM_EXISTS,
  streamNameFilter,
  type StreamingRead,
} from '@eventstore/db-client';
import { uuidV5 } from '#kernel';
import { maxAppendSize } from '../support/eventstoredb/log.ts';
import type { WriteFate } from '../support/eventstoredb/misbehaviour.ts';
import { type EventStoreDb, type EventStoreDbOptions, startEventStoreDb } from '../support/eventstoredb/server.ts';

const namespace = '2d0f3a34-6c55-4a0e-9f0b-52f4f3f4b9a1';

/** An event whose id is a function of its name, so that a repeat has the same. */
const named = (name: string, body: string = name): EventData => jsonEvent({ id: uuidV5(namespace, name), type: 'SomethingHappened', data: { name: body } });
const numbered = (prefix: string, count: number): EventData[] => Array.from({ length: count }, (_, index) => named(`${prefix}${index}`));
const namesOf = (events: readonly { readonly data: unknown }[]): unknown[] => events.map(({ data }) => (data as { readonly name?: string }).name);

describe('the test server of EventStoreDB, driven by the client of the real one', () => {
  let server: EventStoreDb;
  let client: EventStoreDBClient;

  const start = async (options: EventStoreDbOptions = {}): Promise<void> => {
    server = await startEventStoreDb(options);
    client = EventStoreDBClient.connectionString(server.url);
  };
  const end = async (): Promise<void> => {
    await client.dispose();
    await server.stop();
  };
  const startAgain = async (options: EventStoreDbOptions): Promise<void> => {
    await end();
    await start(options);
  };
  beforeEach(() => start());
  afterEach(end);

  const append = (stream: string, expectedRevision: AppendExpectedRevision, ...events: EventData[]): Promise<AppendResult> => client.appendToStream(stream, events, { expectedRevision });
  const all = async (read: StreamingRead<{ readonly event?: RecordedEvent | undefined }>): Promise<RecordedEvent[]> => {
    const events: RecordedEvent[] = [];
    for await (const { event } of read) if (event !== undefined) events.push(event);
    return events;
  };
  const readAll = (fromPosition: ReadPosition = START): Promise<RecordedEvent[]> => all(client.readAll({ fromPosition }));
  const ours = <E extends { readonly type: string }>(events: readonly E[]): E[] => events.filter(({ type }) => !type.startsWith('$'));
  const at = (commit: bigint): { commit: bigint; prepare: bigint } => ({ commit, prepare: commit });

  /** Everything a subscription says, in order; `until` is asked after each. */
  const follow = (options: Parameters<EventStoreDBClient['subscribeToAll']>[0], prefixes: readonly string[] | undefined, checkpointInterval = 1): Followed => new Followed(client, options, prefixes, checkpointInterval);

  /** Not settled although the server has answered a later call since. */
  const staysOpen = async (promise: Promise<unknown>): Promise<void> => {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    await readAll();
    await readAll();
    expect(settled).toBe(false);
  };
  const written = async (writes: number): Promise<void> => {
    while (server.misbehave.writesTaken < writes) await readAll();
  };

  describe('append at an expected revision', () => {
    const expectations: readonly AppendExpectedRevision[] = [NO_STREAM, 0n, 1n, 2n, 3n];
    for (const length of [0, 1, 3]) {
      for (const expected of expectations) {
        const current = BigInt(length) - 1n;
        const matches = (expected === NO_STREAM ? -1n : expected) === current;
        it(`${matches ? 'is written' : 'is a conflict'}: expected ${expected}, stream of ${length}`, async () => {
          if (length > 0) await append('orders-a', NO_STREAM, ...numbered('old', length));
          const appended = append('orders-a', expected, named('new'));
          if (matches) expect(await appended).toEqual({ success: true, nextExpectedRevision: BigInt(length), position: at(server.log.head) });
          else await expect(appended).rejects.toMatchObject({ type: 'wrong-expected-version', message: '', streamName: 'orders-a', expectedVersion: expected, actualVersion: length === 0 ? 'no_stream' : current });
          expect(ours(await readAll())).toHaveLength(length + (matches ? 1 : 0));
        });
      }
    }

    it('any is written, stream_exists only where there is one', async () => {
      await expect(append('orders-a', STREAM_EXISTS, named('a'))).rejects.toMatchObject({ type: 'wrong-expected-version', actualVersion: 'no_stream' });
      await expect(append('orders-a', ANY, named('a'))).resolves.toMatchObject({ nextExpectedRevision: 0n });
      await expect(append('orders-a', STREAM_EXISTS, named('b'))).resolves.toMatchObject({ nextExpectedRevision: 1n });
    });

    it('goes over one call each where it carries credentials, by the same rules', async () => {
      const credentials = { username: 'ops', password: 'changeit' };
      const options = { expectedRevision: NO_STREAM, credentials } as const;
      expect(await client.appendToStream('orders-a', numbered('e', 2), options)).toEqual({ success: true, nextExpectedRevision: 1n, position: at(server.log.head) });
      await expect(client.appendToStream('orders-a', numbered('e', 2), options)).resolves.toMatchObject({ nextExpectedRevision: 1n, position: undefined });
      await expect(client.appendToStream('orders-a', [named('other')], options)).rejects.toMatchObject({ type: 'wrong-expected-version', expectedVersion: 'no_stream', actualVersion: 1n });
      await expect(client.appendToStream('orders-a', [jsonEvent({ type: 'Big', data: 'x'.repeat(maxAppendSize) })], { expectedRevision: 1n, credentials })).rejects.toMatchObject({ type: 'maximum-append-size-exceeded', maxAppendSize });
      await client.tombstoneStream('orders-a');
      await expect(client.appendToStream('orders-a', [named('late')], options)).rejects.toMatchObject({ type: 'stream-deleted', streamName: 'orders-a' });
    });
  });

  describe('append again', () => {
    it('is success without a position while the same ids stand there in that order, also when the stream has grown', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 3));
      await append('orders-a', 2n, named('later'));
      for (const [expected, events, revision] of [
        [NO_STREAM, numbered('e', 3), 2n],
        [NO_STREAM, numbered('e', 2), 1n],
        [0n, numbered('e', 3).slice(1), 2n],
        [2n, [named('later')], 3n],
      ] as const) {
        await expect(append('orders-a', expected, ...events)).resolves.toEqual({ success: true, nextExpectedRevision: revision, position: undefined });
      }
      expect(ours(await readAll())).toHaveLength(4);
    });

    it('compares no bodies: the first one stands', async () => {
      await append('orders-a', NO_STREAM, named('e', 'first'));
      await append('orders-a', NO_STREAM, named('e', 'other'));
      expect(namesOf(await all(client.readStream('orders-a')))).toEqual(['first']);
    });

    it('is a conflict with other ids, another order, or more than stands there', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 2));
      const [first, second] = numbered('e', 2) as [EventData, EventData];
      for (const events of [[second, first], [first, named('other')], [first, second, named('more')], [second]]) {
        await expect(append('orders-a', NO_STREAM, ...events)).rejects.toMatchObject({ type: 'wrong-expected-version', actualVersion: 1n });
      }
    });

    it('writes a known id once more when the expected revision is the current one', async () => {
      await append('orders-a', NO_STREAM, named('e'));
      expect(await append('orders-a', 0n, named('e'))).toEqual({ success: true, nextExpectedRevision: 1n, position: at(server.log.head) });
      expect(namesOf(await all(client.readStream('orders-a')))).toEqual(['e', 'e']);
    });

    it('knows ids without an expected revision', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 3));
      await expect(append('orders-a', ANY, ...numbered('e', 3).slice(1))).resolves.toMatchObject({ nextExpectedRevision: 2n, position: undefined });
      await expect(append('orders-a', ANY, named('e1'), named('other'))).rejects.toMatchObject({ type: 'wrong-expected-version' });
    });
  });

  describe('an append', () => {
    it('of 1 MiB is written, of a byte more refused: data, metadata and twice the type', async () => {
      const metadata = { who: 'Sam' };
      const sized = (bytes: number): EventData[] => [
        binaryEvent({ type: 'Most', data: Buffer.alloc(bytes - 2 * 'Most'.length - JSON.stringify(metadata).length - 2 * 'Rest'.length - 100), metadata }),
        binaryEvent({ type: 'Rest', data: Buffer.alloc(100) }),
      ];
      await expect(append('orders-a', NO_STREAM, ...sized(maxAppendSize + 1))).rejects.toMatchObject({ type: 'maximum-append-size-exceeded', message: '', maxAppendSize });
      await expect(append('orders-a', NO_STREAM, ...sized(maxAppendSize))).resolves.toMatchObject({ nextExpectedRevision: 1n });
    });

    it('may come in several parts', async () => {
      await client.appendToStream('orders-a', numbered('e', 50), { expectedRevision: NO_STREAM, batchAppendSize: 200 });
      expect(namesOf(await all(client.readStream('orders-a')))).toEqual(namesOf(numbered('e', 50)));
    });

    it('keeps every byte, of data and metadata', async () => {
      const data = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      await append('orders-a', NO_STREAM, binaryEvent({ type: 'Bytes', data, metadata: { who: 'Ünïcode ✓' } }));
      const [event] = await all(client.readStream('orders-a'));
      expect(Buffer.from(event?.data as Uint8Array).equals(data)).toBe(true);
      expect(event?.metadata).toEqual({ who: 'Ünïcode ✓' });
    });

    it('is too late for a server whose clock is ahead by more than the deadline', async () => {
      await startAgain({ nowMs: () => Date.now() + 60_000 });
      await expect(append('orders-a', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'deadline-exceeded' });
      expect(ours(await readAll())).toEqual([]);
    });

    it('is one of many at once: one wins, the others learn where the stream is', async () => {
      const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => append('orders-a', NO_STREAM, named(`rival${index}`))));
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ actualVersion: 0n });
    });
  });

  describe('read', () => {
    it('of a stream gives it forwards or backwards, from a revision, that one included', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 5));
      const read = async (options: Parameters<EventStoreDBClient['readStream']>[1]): Promise<unknown[]> => namesOf(await all(client.readStream('orders-a', options)));
      expect(await read({ fromRevision: START })).toEqual(['e0', 'e1', 'e2', 'e3', 'e4']);
      expect(await read({ fromRevision: 2n, maxCount: 2 })).toEqual(['e2', 'e3']);
      expect(await read({ fromRevision: 9n })).toEqual([]);
      expect(await read({ fromRevision: END })).toEqual([]);
      expect(await read({ fromRevision: END, direction: BACKWARDS, maxCount: 2 })).toEqual(['e4', 'e3']);
      expect(await read({ fromRevision: 1n, direction: BACKWARDS })).toEqual(['e1', 'e0']);
      expect(await read({ fromRevision: 9n, direction: BACKWARDS, maxCount: 1 })).toEqual(['e4']);
    });

    it('of a stream that is not there says so', async () => {
      await expect(all(client.readStream('orders-none'))).rejects.toMatchObject({ type: 'stream-not-found', streamName: 'orders-none' });
    });

    it('of all gives the log from a position, that one included, with what the server notes itself', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 3));
      const events = await readAll();
      expect(events.map(({ type }) => type)).toEqual(['$UserCreated', '$epoch-information', 'SomethingHappened', 'SomethingHappened', 'SomethingHappened']);
      const second = events[3]?.position ?? START;
      expect(namesOf(await readAll(second))).toEqual(['e1', 'e2']);
      expect(namesOf(await all(client.readAll({ fromPosition: END, direction: BACKWARDS, maxCount: 2 })))).toEqual(['e2', 'e1']);
      expect(namesOf(await all(client.readAll({ fromPosition: second, direction: BACKWARDS, maxCount: 1 })))).toEqual(['e0']);
      expect(await all(client.readAll({ fromPosition: START, direction: BACKWARDS }))).toEqual([]);
    });

    it('of all is refused at a position where no event begins, and empty beyond the head', async () => {
      const { position } = (await append('orders-a', NO_STREAM, ...numbered('e', 2))) as { position: { commit: bigint } };
      await expect(readAll(at(position.commit - 1n))).rejects.toMatchObject({ code: 2 });
      expect(await readAll(at(position.commit + 1n))).toEqual([]);
    });

    it('of ten thousand events ends, in order', async () => {
      for (let from = 0; from < 10_000; from += 1_000) await append('orders-a', from === 0 ? NO_STREAM : BigInt(from - 1), ...numbered(`${from}.`, 1_000));
      const events = await all(client.readStream('orders-a', { maxCount: 20_000 }));
      expect(events.map(({ revision }) => revision)).toEqual(Array.from({ length: 10_000 }, (_, revision) => BigInt(revision)));
    }, 60_000);
  });

  it('positions increase, are not consecutive, and may be beyond what a number holds', async () => {
    const startPosition = 2n ** 60n;
    await startAgain({ startPosition });
    for (const stream of ['a', 'b', 'c']) await append(`orders-${stream}`, NO_STREAM, named(stream));
    const positions = ours(await readAll()).map(({ position }) => position?.commit ?? 0n);
    const [first = 0n, second = 0n, third = 0n] = positions;
    expect(first).toBeGreaterThan(startPosition);
    expect(second).toBeGreaterThan(first + 1n);
    expect(third).toBeGreaterThan(second + 1n);
    expect(namesOf(await readAll(at(second)))).toEqual(['b', 'c']);
  });

  it('created is what the clock of the leader says, also when it goes back', async () => {
    let nowMs = 1_700_000_000_000;
    await startAgain({ nowMs: () => nowMs });
    await append('orders-a', NO_STREAM, named('a'));
    nowMs -= 5_000;
    await append('orders-a', 0n, named('b'));
    expect((await all(client.readStream('orders-a'))).map(({ created }) => created.getTime())).toEqual([1_700_000_000_000, 1_699_999_995_000]);
  });

  it('the server writes statistics of its own between the events', async () => {
    for (let index = 0; index < 10; index += 1) await append(`orders-${index}`, NO_STREAM, named(`e${index}`));
    expect((await readAll()).at(-1)?.type).toBe('$statsCollected');
  });

  describe('a deleted stream', () => {
    it('softly reads as missing, can be begun with no_stream or where it was, and goes on behind', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 2));
      await client.deleteStream('orders-a');
      await expect(all(client.readStream('orders-a'))).rejects.toMatchObject({ type: 'stream-not-found' });
      await expect(append('orders-a', NO_STREAM, named('new'))).resolves.toMatchObject({ nextExpectedRevision: 2n });
      const events = await all(client.readStream('orders-a'));
      expect(events.map(({ revision }) => revision)).toEqual([2n]);
      await client.deleteStream('orders-a', { expectedRevision: 2n });
      await expect(append('orders-a', STREAM_EXISTS, named('newer'))).rejects.toMatchObject({ type: 'stream-deleted' });
      await expect(append('orders-a', 2n, named('newer'))).resolves.toMatchObject({ nextExpectedRevision: 3n });
      await expect(client.deleteStream('orders-a', { expectedRevision: 1n })).rejects.toMatchObject({ type: 'wrong-expected-version', expectedVersion: 1n, actualVersion: 3n });
    });

    it('by tombstone refuses reads, writes and another tombstone, for ever', async () => {
      await append('orders-a', NO_STREAM, named('e'));
      const { position } = await client.tombstoneStream('orders-a');
      expect(position).toEqual(at(server.log.head));
      const gone = { type: 'stream-deleted', streamName: 'orders-a' };
      for (const expected of [NO_STREAM, ANY, STREAM_EXISTS, 0n] as const) await expect(append('orders-a', expected, named('e'))).rejects.toMatchObject(gone);
      await expect(all(client.readStream('orders-a'))).rejects.toMatchObject({ ...gone, code: 9 });
      await expect(client.tombstoneStream('orders-a')).rejects.toMatchObject({ ...gone, code: 9 });
      await expect(client.deleteStream('orders-a')).rejects.toMatchObject(gone);
    });

    it('that never was is barred all the same', async () => {
      await client.tombstoneStream('orders-never');
      await expect(append('orders-never', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'stream-deleted' });
    });

    it('stays in $all until somebody scavenges, which nobody does here, with its tombstone', async () => {
      await append('orders-a', NO_STREAM, named('e'));
      await client.tombstoneStream('orders-a');
      const events = (await readAll()).slice(2);
      expect(events.map(({ streamId, type, revision }) => ({ streamId, type, revision }))).toEqual([
        { streamId: 'orders-a', type: 'SomethingHappened', revision: 0n },
        { streamId: 'orders-a', type: '$streamDeleted', revision: 9_223_372_036_854_775_807n },
      ]);
    });
  });

  describe('a subscription to $all', () => {
    it('says confirmation, events, checkpoint, caught up, then what is written', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 2));
      await append('invoices-a', NO_STREAM, named('invoice'));
      const last = server.log.events.findLast(({ stream }) => stream === 'orders-a')?.position;
      const followed = follow({ fromPosition: START }, ['orders-']);
      await followed.said('caughtUp');
      await append('orders-a', 1n, named('live'));
      await followed.said('live');
      expect(followed.all).toEqual(['confirmation', 'e0', 'e1', last, 'caughtUp', 'live']);
      await followed.end();
    });

    it('has a checkpoint behind the last record, at a commit where the next event begins, when its last page was empty', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 32 - server.log.events.length));
      const followed = follow({ fromPosition: START }, ['orders-']);
      await followed.said('caughtUp');
      const checkpoint = followed.checkpoints.at(-1) ?? START;
      expect(checkpoint).toEqual({ commit: server.log.end, prepare: 0n });
      await append('orders-a', 29n, named('next'));
      const [whole, halved] = [follow({ fromPosition: checkpoint }, ['orders-']), follow({ fromPosition: at(server.log.head) }, ['orders-'])];
      await Promise.all([whole.said('caughtUp'), halved.said('caughtUp')]);
      expect([whole.names(), halved.names()]).toEqual([['next'], []]);
      await Promise.all([followed.end(), whole.end(), halved.end()]);
    });

    it('has no checkpoint where there was nothing to catch up with', async () => {
      await append('orders-a', NO_STREAM, named('e'));
      const followed = follow({ fromPosition: at(server.log.head) }, ['orders-']);
      await followed.said('caughtUp');
      const empty = follow({ fromPosition: START }, ['invoices-']);
      await empty.said('caughtUp');
      expect([followed.all, empty.all]).toEqual([['confirmation', 'caughtUp'], ['confirmation', 'caughtUp']]);
      await Promise.all([followed.end(), empty.end()]);
    });

    it('sends no more than the client takes', async () => {
      const body = 'x'.repeat(50_000);
      for (let index = 0; index < 100; index += 1) await append(`orders-${index}`, NO_STREAM, jsonEvent({ type: 'Big', data: { name: String(index), body } }));
      const subscription = client.subscribeToAll({ fromPosition: START, filter: streamNameFilter({ prefixes: ['orders-'] }) });
      await once(subscription, 'confirmation');
      await readAll(at(server.log.head));
      server.log.loseLast(20);
      await append('orders-last', NO_STREAM, named('last'));
      const names: unknown[] = [];
      for await (const { event } of subscription) {
        names.push((event?.data as { name: string }).name);
        if (names.at(-1) === 'last') break;
      }
      expect(names).not.toContain('99');
      await subscription.unsubscribe();
    });

    it('begins behind the position it names, or at the end', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 3));
      const middle = ours(await readAll())[1]?.position ?? START;
      const behind = follow({ fromPosition: middle }, undefined);
      const ended = follow({ fromPosition: END }, undefined);
      await Promise.all([behind.said('caughtUp'), ended.said('caughtUp')]);
      await append('orders-b', NO_STREAM, named('live'));
      await Promise.all([behind.said('live'), ended.said('live')]);
      expect(behind.all).toEqual(['confirmation', 'e2', 'caughtUp', 'live']);
      expect(ended.all).toEqual(['confirmation', 'caughtUp', 'live']);
      await Promise.all([behind.end(), ended.end()]);
    });

    it('sends a checkpoint after every so many events that it looked at, and none before', async () => {
      const followed = follow({ fromPosition: START }, ['orders-'], 2);
      await followed.said('caughtUp');
      followed.all.length = 0;
      await append('invoices-a', NO_STREAM, ...numbered('i', 63));
      await append('orders-a', NO_STREAM, named('first'));
      await append('orders-b', NO_STREAM, named('second'));
      await followed.said('second');
      const first = server.log.events.find(({ stream }) => stream === 'orders-a')?.position;
      expect(followed.all).toEqual(['first', first, 'second']);
      await followed.end();
    });

    it('filters by type, too, and by a regular expression', async () => {
      await append('orders-a', NO_STREAM, named('e'), jsonEvent({ type: 'Other', data: { name: 'other' } }));
      const followed = new Followed(client, { fromPosition: START, filter: eventTypeFilter({ regex: '^O' }) }, undefined, 1);
      await followed.said('caughtUp');
      expect(followed.all).toEqual(['confirmation', 'other', 'caughtUp']);
      await followed.end();
    });

    it('gives everything to a client that takes it slowly, once and in order', async () => {
      const body = 'x'.repeat(50_000);
      for (let index = 0; index < 100; index += 1) await append(`orders-${index}`, NO_STREAM, jsonEvent({ type: 'Big', data: { name: String(index), body } }));
      const names: unknown[] = [];
      const subscription = client.subscribeToAll({ fromPosition: START, filter: streamNameFilter({ prefixes: ['orders-'] }) });
      for await (const { event } of subscription) {
        names.push((event?.data as { name: string }).name);
        if (names.length % 10 === 0) await readAll(at(server.log.head));
        if (names.length === 50) await append('orders-last', NO_STREAM, named('last'));
        if (names.length === 101) break;
      }
      expect(names).toEqual([...Array.from({ length: 100 }, (_, index) => String(index)), 'last']);
      await subscription.unsubscribe();
    });
  });

  it('is found by gossip, where the connection string names several nodes', async () => {
    const cluster = EventStoreDBClient.connectionString(`esdb://127.0.0.1:1,127.0.0.1:${server.port}?tls=false&nodePreference=leader`);
    await expect(cluster.appendToStream('orders-a', [named('e')], { expectedRevision: NO_STREAM })).resolves.toMatchObject({ nextExpectedRevision: 0n });
    await cluster.dispose();
  });

  it('advertises what it has, and nothing else', async () => {
    await expect(client.createPersistentSubscriptionToAll('group', persistentSubscriptionToAllSettingsFromDefaults())).rejects.toMatchObject({ type: 'unsupported' });
    await expect(client.createProjection('counts', 'fromAll()')).rejects.toMatchObject({ code: 12 });
  });

  describe('misbehaves on request:', () => {
    const silent: readonly (readonly [WriteFate, number])[] = [['ignored', 0], ['reply-lost', 1]];
    for (const [fate, events] of silent) {
      it(`${fate}: the append never settles, and ${events === 0 ? 'nothing' : 'it'} is written`, async () => {
        server.misbehave.writes(fate, 1);
        const lost = append('orders-a', NO_STREAM, named('e'));
        await written(1);
        await staysOpen(lost);
        expect(ours(await readAll())).toHaveLength(events);
        await expect(append('orders-a', NO_STREAM, named('e'))).resolves.toMatchObject({ nextExpectedRevision: 0n });
        expect(ours(await readAll())).toHaveLength(1);
        server.misbehave.dropAppends();
        await expect(lost).rejects.toMatchObject({ type: 'unavailable' });
      });
    }

    const dropped: readonly (readonly [WriteFate, number])[] = [['dropped-before-writing', 0], ['dropped-after-writing', 1]];
    for (const [fate, events] of dropped) {
      it(`${fate}: every append under way fails, and the next is answered`, async () => {
        await append('orders-b', NO_STREAM, named('b'));
        server.misbehave.writes('ignored', 1);
        const other = append('orders-c', NO_STREAM, named('c'));
        await written(2);
        server.misbehave.writes(fate, 1);
        const outcomes = await Promise.allSettled([other, append('orders-a', NO_STREAM, named('e'))]);
        expect(outcomes).toEqual([expect.objectContaining({ reason: expect.objectContaining({ type: 'unavailable' }) }), expect.objectContaining({ reason: expect.objectContaining({ type: 'unavailable' }) })]);
        expect(ours(await readAll())).toHaveLength(1 + events);
        await expect(append('orders-a', NO_STREAM, named('e'))).resolves.toMatchObject({ nextExpectedRevision: 0n });
      });
    }

    it('loses the reply of a tombstone', async () => {
      server.misbehave.writes('dropped-after-writing', 1);
      await expect(client.tombstoneStream('orders-a')).rejects.toMatchObject({ type: 'unavailable' });
      await expect(client.tombstoneStream('orders-a')).rejects.toMatchObject({ type: 'stream-deleted' });
    });

    it('not ready or busy: appends fail as unknown, other calls as unavailable', async () => {
      for (const [refusal, message] of [['not-ready', 'Server Is Not Ready'], ['busy', 'Busy']] as const) {
        server.misbehave.refuse(refusal);
        await expect(append('orders-a', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'unknown', message: expect.stringContaining(message) });
        await expect(readAll()).rejects.toMatchObject({ type: 'unavailable', code: 14, message: expect.stringContaining(message) });
        await expect(client.tombstoneStream('orders-a')).rejects.toMatchObject({ type: 'unavailable' });
      }
      server.misbehave.behave();
      await expect(append('orders-a', NO_STREAM, named('e'))).resolves.toMatchObject({ nextExpectedRevision: 0n });
    });

    it('access denied and timeouts', async () => {
      server.misbehave.refuse('access-denied');
      await expect(append('orders-a', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'access-denied' });
      await expect(readAll()).rejects.toMatchObject({ type: 'access-denied', code: 7 });
      server.misbehave.refuse('timeout');
      await expect(append('orders-a', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'deadline-exceeded' });
      await expect(readAll()).rejects.toMatchObject({ code: 10 });
    });

    it('shutting down: calls are cancelled', async () => {
      server.misbehave.refuse('shutdown');
      await expect(append('orders-a', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'cancelled' });
      await expect(readAll()).rejects.toMatchObject({ type: 'cancelled' });
    });

    it('not the leader: writes are refused with who is, and the client goes there', async () => {
      const leader = await startEventStoreDb();
      server.misbehave.refuse({ leader: { host: '127.0.0.1', port: leader.port } }, 'writes');
      await expect(readAll()).resolves.toHaveLength(2);
      await expect(append('orders-a', NO_STREAM, named('e'))).rejects.toMatchObject({ type: 'not-leader', leader: { address: '127.0.0.1', port: leader.port } });
      await expect(append('orders-a', NO_STREAM, named('e'))).resolves.toMatchObject({ nextExpectedRevision: 0n });
      expect(leader.log.events.at(-1)?.stream).toBe('orders-a');
      await client.dispose();
      await leader.stop();
    });

    it('not the leader: reads are refused where they ask for the leader', async () => {
      server.misbehave.refuse({ leader: { host: '127.0.0.1', port: server.port } }, 'writes');
      await expect(all(client.readAll({ requiresLeader: true }))).rejects.toMatchObject({ type: 'not-leader' });
    });

    it('drops subscriptions: one error, and nothing more', async () => {
      const followed = follow({ fromPosition: START }, undefined);
      await followed.said('caughtUp');
      server.misbehave.dropSubscriptions();
      expect(await followed.failed).toMatchObject({ type: 'unavailable' });
      const said = followed.all.length;
      await append('orders-a', NO_STREAM, named('e'));
      expect(followed.all).toHaveLength(said);
    });

    it('gives again, to a subscription that resumes, what came before the position', async () => {
      await append('orders-a', NO_STREAM, ...numbered('e', 3));
      server.misbehave.deliveredAgain = 2;
      const followed = follow({ fromPosition: at(server.log.head) }, ['orders-']);
      await followed.said('caughtUp');
      expect(followed.names()).toEqual(['e1', 'e2']);
      await followed.end();
    });

    it('stalls subscriptions silently while the head moves', async () => {
      const followed = follow({ fromPosition: START }, ['orders-']);
      await followed.said('caughtUp');
      server.misbehave.stallSubscriptions();
      const said = followed.all.length;
      const head = server.log.head;
      await append('orders-a', NO_STREAM, named('e'));
      await readAll();
      expect(server.log.head).toBeGreaterThan(head);
      expect(followed.all).toHaveLength(said);
      server.misbehave.resumeSubscriptions();
      await followed.said('e');
      await followed.end();
    });

    it('answers late', async () => {
      await readAll();
      server.misbehave.answerDelayMs = 60;
      const before = performance.now();
      await append('orders-a', NO_STREAM, named('e'));
      expect(performance.now() - before).toBeGreaterThan(50);
      const read = performance.now();
      await all(client.readStream('orders-a'));
      expect(performance.now() - read).toBeGreaterThan(50);
    });

    it('goes down and comes back on the same port with the same log, and another epoch', async () => {
      await append('orders-a', NO_STREAM, named('before'));
      const followed = follow({ fromPosition: START }, undefined);
      await followed.said('caughtUp');
      server.misbehave.writes('ignored', 1);
      const under = append('orders-b', NO_STREAM, named('under way'));
      under.catch(() => undefined);
      await written(2);
      await server.down();
      await expect(under).rejects.toMatchObject({ code: expect.any(Number) });
      expect(await followed.failed).toBeInstanceOf(Error);
      await expect(append('orders-a', 0n, named('down'))).rejects.toMatchObject({ code: 14 });
      await server.up();
      await expect(append('orders-a', 0n, named('after'))).resolves.toMatchObject({ nextExpectedRevision: 1n });
      expect((await readAll()).map(({ type }) => type)).toEqual(['$UserCreated', '$epoch-information', 'SomethingHappened', '$epoch-information', 'SomethingHappened']);
    });

    it('loses acknowledged events in a failover, and gives their places to others', async () => {
      const lost = await append('orders-a', NO_STREAM, named('stays'), named('lost'));
      const followed = follow({ fromPosition: START }, undefined);
      await followed.said('caughtUp');
      server.misbehave.writes('ignored', 1);
      const under = append('orders-b', NO_STREAM, named('under way'));
      await written(2);
      server.misbehave.failOver(1);
      await expect(under).rejects.toMatchObject({ type: 'unavailable' });
      expect(await followed.failed).toMatchObject({ type: 'unavailable' });
      expect(namesOf(ours(await readAll()))).toEqual(['stays']);
      await expect(append('orders-a', 0n, named('other'))).resolves.toMatchObject({ nextExpectedRevision: lost.nextExpectedRevision });
      expect((await readAll(lost.position)).length).toBeGreaterThan(0);
    });

    it('restarts: whoever follows is cut off', async () => {
      const followed = follow({ fromPosition: START }, undefined);
      await followed.said('caughtUp');
      await server.restart();
      expect(await followed.failed).toBeInstanceOf(Error);
      expect((await readAll()).at(-1)?.type).toBe('$epoch-information');
    });
  });
});

describe('the test server of EventStoreDB, by hand', () => {
  const byHand = (...args: string[]): ChildProcessByStdio<null, Readable, Readable> =>
    spawn(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', fileURLToPath(new URL('../support/eventstoredb/main.ts', import.meta.url)), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

  it('says that it is for tests and keeps nothing, serves, and ends with the signal', async () => {
    const child = byHand('--port', '0');
    let said = '';
    for await (const line of createInterface(child.stdout)) {
      said += `${line}\n`;
      if (line.startsWith('Connection string:')) break;
    }
    expect(said).toMatch(/test server.*keeps everything in memory and nothing\nafter it ends.*Not for real data/s);
    const client = EventStoreDBClient.connectionString(/esdb:\S+/.exec(said)?.[0] ?? '');
    await expect(client.appendToStream('orders-a', [named('e')], { expectedRevision: NO_STREAM })).resolves.toMatchObject({ nextExpectedRevision: 0n });
    await client.dispose();
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  }, 30_000);

  it.each([['--port', 'x'], ['--port', '65536'], ['--host', '0.0.0.0']])('refuses %s %s and says what would be right', async (...args) => {
    const child = byHand(...args);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    expect(await once(child, 'close')).toEqual([2, null]);
    expect(said).toContain(args[0]);
    expect(said).toContain('usage: npm run dev:eventstoredb -- [--port <0 to 65535');
  }, 30_000);
});

/** A subscription with all it says: `confirmation`, names of events, positions of checkpoints, `caughtUp`. */
class Followed {
  readonly all: unknown[] = [];
  readonly checkpoints: Position[] = [];
  readonly failed: Promise<Error>;
  readonly #subscription: AllStreamSubscription;

  constructor(client: EventStoreDBClient, options: Parameters<EventStoreDBClient['subscribeToAll']>[0], prefixes: readonly string[] | undefined, checkpointInterval: number) {
    const checkpointReached = (_subscription: unknown, position: Position): Promise<void> => {
      this.checkpoints.push(position);
      return Promise.resolve(this.#say(position.commit));
    };
    const filter = prefixes === undefined ? options?.filter : streamNameFilter({ prefixes: [...prefixes], checkpointInterval, checkpointReached });
    this.#subscription = client.subscribeToAll({ ...options, ...(filter === undefined ? {} : { filter }) });
    this.failed = once(this.#subscription, 'error').then(([error]) => error as Error, (error: Error) => error);
    this.#subscription.on('confirmation', () => this.#say('confirmation'));
    this.#subscription.on('caughtUp', () => this.#say('caughtUp'));
    this.#subscription.on('data', ({ event }) => this.#say((event?.data as { readonly name?: string } | undefined)?.name ?? event?.type));
  }

  #say(what: unknown): void {
    this.all.push(what);
    this.#subscription.emit('said');
  }

  names(): unknown[] {
    return this.all.filter((said) => said !== 'confirmation' && said !== 'caughtUp' && typeof said !== 'bigint');
  }

  async said(what: unknown): Promise<void> {
    while (!this.all.includes(what)) await once(this.#subscription, 'said');
  }

  async end(): Promise<void> {
    await this.#subscription.unsubscribe();
  }
}
