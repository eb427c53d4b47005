import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { EventStore, StreamFilter } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { type Position, type RecordedEvent, Secret, startOfLog } from '#kernel';
import { eventually } from '../../../test/support/e2e/eventually.ts';
import { eventNamed } from '../../../test/support/event-store-contract.ts';
import { startEventStoreDb } from '../../../test/support/eventstoredb/server.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

describe('a failover that loses events', () => {
  let server: Awaited<ReturnType<typeof startEventStoreDb>>;
  let store: EventStore;
  let fatal: Error[];
  let troubles: string[];

  const connect = (lookMs = 100): Promise<EventStore> =>
    openEventStoreDb({ connectionString: new Secret(server.url), clock: testClock(), timeoutMs: 1_000, lookMs, onTrouble: ({ message }) => troubles.push(message), onFatal: (error) => fatal.push(error) });

  beforeEach(async () => {
    [fatal, troubles] = [[], []];
    server = await startEventStoreDb();
    store = await connect();
    await subscribed();
  });
  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  const subscribed = (): Promise<true> => eventually('the subscription', () => (server.misbehave.subscriptions.size === 1 ? true : undefined), 5_000);
  const reconnect = async (lookMs?: number): Promise<void> => {
    await store.close();
    store = await connect(lookMs);
    await subscribed();
  };
  /** By another process. */
  const others = (stream: string, ...names: string[]): void =>
    void server.log.append(stream, 'no_stream', names.map((name) => ({ ...eventNamed(name), contentType: 'application/json', data: Buffer.from('{}'), metadata: Buffer.from('{}') })));
  const shown = async (after: Position, count: number, filter?: StreamFilter): Promise<RecordedEvent[]> => {
    const [seen, enough] = [[] as RecordedEvent[], new AbortController()];
    for await (const { events } of store.subscribe(after, filter, enough.signal)) if (seen.push(...events) >= count) enough.abort();
    return seen;
  };
  const known = (): Promise<Error> => eventually('that it is known', () => fatal[0], 5_000);
  const goesOn = async (): Promise<void> => {
    await eventually('another subscription', () => (troubles.length > 0 && server.misbehave.subscriptions.size === 1 ? true : undefined), 5_000);
    await store.append('orders-on', 'NO_STREAM', [eventNamed('on')]);
    await shown(startOfLog, 1);
    expect(fatal).toEqual([]);
  };

  it('of what was shown ends the process: the error says what happened and what comes of it', async () => {
    others('orders-a', 'a0', 'a1');
    const [, last] = await shown(startOfLog, 2);
    server.misbehave.failOver(1);
    others('orders-b', 'b0');
    expect((await known()).message).toBe(
      `events that were acknowledged are gone: EventStoreDB has lost event ${eventNamed('a1').id} of orders-a at position ${last?.position}, and perhaps more, as after a failover; the process ends, and what it made of them is made anew at the next start`,
    );
    expect(fatal).toHaveLength(1);
  });

  it('refuses from then on, to who appends, reads or follows', async () => {
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    const following = shown(startOfLog, 2);
    following.catch(() => undefined);
    server.misbehave.failOver(1);
    const lost = await known();
    await expect(following).rejects.toBe(lost);
    await expect(store.append('orders-b', 'NO_STREAM', [eventNamed('b')])).rejects.toBe(lost);
    await expect(store.readStream('orders-a')).rejects.toBe(lost);
    await expect(shown(startOfLog, 1)).rejects.toBe(lost);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['appended', () => store.append('orders-b', 'NO_STREAM', [eventNamed('b0')])],
    ['removed', () => store.tombstone('orders-b')],
    ['read of its stream', () => Promise.resolve(others('orders-b', 'b0')).then(() => store.readStream('orders-b'))],
    ['read of the log', () => Promise.resolve(others('orders-b', 'b0')).then(() => store.readAll(startOfLog, undefined, 10))],
  ])('is found although the subscription had not shown it, what was %s here', async (_, know) => {
    server.misbehave.stallSubscriptions();
    await know();
    server.misbehave.failOver(1);
    await expect(known()).resolves.toMatchObject({ name: 'StoreUnavailable', message: expect.stringContaining('orders-b') });
  });

  it('is found although the subscription had not shown it, what was followed from far behind', async () => {
    others('invoices-a', 'before');
    await reconnect(60_000);
    server.misbehave.dropSubscriptions();
    others('orders-b', 'b0');
    await shown(startOfLog, 1, { prefixes: ['orders-'] });
    server.misbehave.failOver(1);
    await expect(known()).resolves.toMatchObject({ message: expect.stringContaining('orders-b') });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a write', () => store.append('orders-c', 'NO_STREAM', [eventNamed('c0')])],
    ['a removal', () => store.tombstone('orders-b')],
    ['a read of a stream', () => store.readStream('orders-b')],
    ['a read of the log', () => store.readAll(startOfLog, undefined, 10)],
    ['who begins to follow', () => shown(startOfLog, 1)],
    ['who begins to follow from far behind', () => shown(startOfLog, 1, { prefixes: ['orders-'] })],
  ])('is found before the next answer: %s has none of the log that took the place of the other', async (_, ask) => {
    others('invoices-a', 'before');
    await reconnect(60_000);
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    server.misbehave.failOver(1);
    others('orders-b', 'b0');
    await eventually('the end of the subscription', () => troubles[0]);
    const answer = await ask().catch((error: unknown) => error);
    expect(answer).toBe(await known());
    expect(server.log.stream('orders-c')).toBe('not-found');
    expect(server.log.stream('orders-b')).not.toBe('deleted');
  });

  it('is found by who is sent to another leader, although the subscription is still there', async () => {
    await reconnect(60_000);
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    const leader = await startEventStoreDb();
    server.misbehave.refuse({ leader: { host: '127.0.0.1', port: leader.port } });
    await expect(store.readAll(startOfLog, undefined, 10)).rejects.toMatchObject({ message: expect.stringContaining('are gone') });
    expect(fatal).toHaveLength(1);
    await store.close();
    await leader.stop();
  });

  it('is found before anything is shown that stands in the place of what was acknowledged', async () => {
    await reconnect(60_000);
    const following = shown(await store.head(), 1);
    following.catch(() => undefined);
    server.misbehave.stallSubscriptions();
    await store.append('orders-a', 'NO_STREAM', [eventNamed('a0')]);
    server.log.loseLast(1);
    others('orders-b', 'b0');
    server.misbehave.behave();
    await expect(following).rejects.toBe(await known());
  });

  it('is found too when the same event was written again elsewhere: it is not where it stood', async () => {
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    server.misbehave.failOver(1);
    others('orders-longer-name', 'other');
    others('orders-a', 'a0');
    await known();
  });

  it('is found at the next look when no connection broke', async () => {
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    server.log.loseLast(1);
    others('orders-b', 'b0');
    await known();
    expect(troubles).not.toContain('the subscription ended');
  });

  it('is found too when it happens just before the subscription begins again, at a place that is used again', async () => {
    await reconnect(60_000);
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    const answer = server.misbehave.answer.bind(server.misbehave);
    const answered = jest.spyOn(server.misbehave, 'answer').mockImplementation((give) => {
      // What was shown, then the end of the log, then the subscription.
      if (answered.mock.calls.length === 3) {
        server.log.loseLast(1);
        others('orders-b', ...Array.from({ length: 20 }, (_, index) => `b${index}`));
      }
      answer(give);
    });
    server.misbehave.dropSubscriptions();
    expect((await known()).message).toContain('of orders-a at position');
    expect(answered.mock.calls).toHaveLength(4);
  });

  it('of what was there before this process is found: it may have been read', async () => {
    others('orders-a', 'a0');
    await reconnect();
    server.misbehave.failOver(1);
    others('orders-b', 'b0');
    await known();
  });

  it('of a removal is found: who was told that it is gone must not keep it', async () => {
    await store.append('secrets-a', 'NO_STREAM', [eventNamed('secret')]);
    await store.tombstone('secrets-a');
    await shown(startOfLog, 0);
    server.misbehave.failOver(1);
    expect((await known()).message).toContain('EventStoreDB has lost the removal of secrets-a at position ');
  });

  it('of what nobody here was shown concerns nobody here', async () => {
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    server.misbehave.stallSubscriptions();
    others('orders-b', 'b0');
    server.misbehave.failOver(1);
    server.misbehave.behave();
    await goesOn();
  });

  it('is not suspected where a stream was removed, also by another process while nothing was heard', async () => {
    others('orders-a', 'a0');
    others('secrets-a', 's0');
    await shown(startOfLog, 2);
    server.misbehave.stallSubscriptions();
    server.log.tombstone('secrets-a', 'any');
    server.misbehave.dropSubscriptions();
    server.misbehave.behave();
    await goesOn();
  });

  it('is not suspected while the store can not be asked', async () => {
    others('orders-a', 'a0');
    await shown(startOfLog, 1);
    server.misbehave.refuse('not-ready');
    server.misbehave.dropSubscriptions();
    await eventually('a few refusals', () => (troubles.length > 2 ? true : undefined), 5_000);
    server.misbehave.behave();
    await goesOn();
  });
});
