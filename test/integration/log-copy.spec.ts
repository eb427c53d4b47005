import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CopyableEventStore } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type NewEvent, Secret, uuidV5 } from '#kernel';
import { copyLog, type CopyReport } from '#log-copy';
import { type EventStoreDb, startEventStoreDb } from '../support/eventstoredb/server.ts';
import { testClock } from '../support/wall-clock.ts';

const namespace = '6f1b0a3e-8a44-4c55-9c0e-6a3f7c1d2b90';
const event = (name: string, type = 'SomethingHappened', data: unknown = { name }): NewEvent => ({ id: uuidV5(namespace, name), type, data: JSON.stringify(data), metadata: { recordedat: '2026-11-22T00:00:00.000Z' } });

const rounds = 40;

/** What a server writes: published events, deliveries of them with two outcomes, a checkpoint now and then, a dropped day of transcripts. */
async function fill(store: CopyableEventStore): Promise<void> {
  await store.append('masterkey-register', 'NO_STREAM', [event('key', 'MasterKeyRegistered')]);
  await store.append('transcript-20261122.0', 'NO_STREAM', [event('t1'), event('t2')]);
  for (let n = 0; n < rounds; n += 1) {
    const { position } = await store.append(`event-acme.production.e${n}`, 'NO_STREAM', [event(`e${n}`, 'EventPublished', { text: '€ 9007199254740993 \u2028' })]);
    await store.append(`webhookdelivery-acme.production.d${n}`, 'NO_STREAM', [event(`d${n}`, 'WebhookDeliveryScheduled', { eventPosition: position })]);
    await store.append(`webhookdelivery-acme.production.d${n}`, 0, [event(`f${n}`), event(`s${n}`)]);
    if (n % 10 === 9) await store.append('sagacheckpoint-fan-out', n === 9 ? 'NO_STREAM' : (n - 19) / 10, [event(`c${n}`, 'SagaCheckpointed', { position: await store.head(), entries: {} })]);
  }
  await store.tombstone('transcript-20261122.0');
}
const events = 1 + 4 * rounds + 4;

let folder: string;
let source: CopyableEventStore;
let server: EventStoreDb;
let target: CopyableEventStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-log-copy-'));
  [source, server] = await Promise.all([openSqliteEventStore({ dataDir: folder }), startEventStoreDb({ startPosition: 2n ** 60n })]);
  target = await openEventStoreDb({ connectionString: new Secret(server.url), clock: testClock(), timeoutMs: 300 });
  await fill(source);
});
afterEach(async () => {
  await Promise.all([source.close(), target.close()]);
  await server.stop();
  rmSync(folder, { recursive: true });
});

const troubles: string[] = [];
/** What happens after so many events. */
const copied = (after = Infinity, happens: () => void = () => undefined): Promise<CopyReport> => {
  let seen = 0;
  const onProgress = (): void => void ((seen += 1) === after && happens());
  return copyLog({ source, target, clock: testClock(), onProgress, onTrouble: ({ message }) => troubles.push(message) });
};
const written = (): number => server.log.events.filter(({ stream, type }) => !stream.startsWith('$') && type !== '$streamDeleted').length;

describe('a copy from SQLite to a server that speaks the protocol of EventStoreDB', () => {
  it('holds the same, beyond positions of 2^53, and is there already the next time', async () => {
    const first = await copied();
    expect(first).toMatchObject({ events, alreadyThere: 0, removedStreams: 1, equal: true });
    expect(written()).toBe(events);
    expect(await copied()).toEqual({ ...first, alreadyThere: events });
    const [scheduled] = await target.readStream('webhookdelivery-acme.production.d7');
    const [published] = await target.readStream('event-acme.production.e7');
    expect(JSON.parse(scheduled?.data ?? '')).toEqual({ eventPosition: published?.position });
    expect(BigInt(published?.position ?? 0)).toBeGreaterThan(2n ** 60n);
  });

  it.each([
    ['loses replies', () => server.misbehave.writes('reply-lost', 3)],
    ['never answers', () => server.misbehave.writes('ignored', 2)],
    ['breaks off before it writes', () => server.misbehave.writes('dropped-before-writing', 5)],
    ['breaks off after it wrote', () => server.misbehave.writes('dropped-after-writing', 5)],
    ['is restarted', () => void server.restart()],
  ])('comes through while it %s: nothing is missing, doubled or out of order', async (_, happens) => {
    troubles.length = 0;
    expect(await copied(30, happens)).toMatchObject({ events, equal: true });
    expect([written(), troubles.length > 0]).toEqual([events, true]);
  }, 30_000);
});
