import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';
import { appendBehind, type EventStore, type SingleAppend, StoreUnavailable } from '#event-store';
import { type CommitMeasure, NewerLog, openSqliteEventStore } from '#event-store/sqlite';
import { eventNamed } from '../../../test/support/event-store-contract.ts';
import { openLog } from './schema.ts';
import { SqliteLog } from './sqlite-log.ts';

describe('the embedded event store', () => {
  let folder: string;
  let dataDir: string;
  let store: EventStore | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'event-store-'));
    dataDir = join(folder, 'made', 'data');
  });
  afterEach(async () => {
    await store?.close();
    store = undefined;
    await rm(folder, { recursive: true });
  });

  const bytesOfAllFiles = async (): Promise<Buffer> => {
    const names = await readdir(dataDir);
    return Buffer.concat(await Promise.all(names.map((name) => readFile(join(dataDir, name)))));
  };

  it('makes its folder and files for its own user alone', async () => {
    store = await openSqliteEventStore({ dataDir });
    await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    const names = await readdir(dataDir);
    expect(names).toContain('events.db');
    for (const name of names) expect((await stat(join(dataDir, name))).mode & 0o777).toBe(0o600);
  });

  it('commits appends that arrive together together, and says how many', async () => {
    const commits: CommitMeasure[] = [];
    store = await openSqliteEventStore({ dataDir, onCommit: (commit) => commits.push(commit) });
    const open = store;
    await open.append('orders-first', 'NO_STREAM', [eventNamed('first')]);
    const answers = await Promise.allSettled([
      ...Array.from({ length: 500 }, (_, index) => open.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`${index}a`), eventNamed(`${index}b`)])),
      open.append('orders-first', 'NO_STREAM', [eventNamed('conflict')]),
      open.append('orders-first', 'NO_STREAM', [eventNamed('first')]),
    ]);
    expect(answers.filter((answer) => answer.status === 'rejected')).toHaveLength(1);
    expect(commits.length).toBeLessThan(10);
    expect(commits.reduce((sum, commit) => sum + commit.appends, 0)).toBe(501);
    expect(commits.reduce((sum, commit) => sum + commit.events, 0)).toBe(1001);
    expect(commits.every((commit) => commit.durationMs > 0)).toBe(true);
  });

  it('commits what stands behind an append together with it', async () => {
    const commits: CommitMeasure[] = [];
    store = await openSqliteEventStore({ dataDir, onCommit: (commit) => commits.push(commit) });
    const [first, ...others] = ['notes-a', 'orders-a', 'orders-b'].map((stream): SingleAppend => ({ stream, expected: 'NO_STREAM', event: eventNamed(stream) }));
    if (first !== undefined) await appendBehind(store, first, others);
    expect(commits).toMatchObject([{ appends: 3, events: 3 }]);
  });

  it('answers who reads on behind what it has read from memory, with what was appended since and nothing that was removed', async () => {
    store = await openSqliteEventStore({ dataDir });
    const open = store;
    await open.append('orders-a', 'NO_STREAM', [eventNamed('a'), eventNamed('b')]);
    /** How many events a read gives, and whether it waited for another thread. */
    const reads = async (from: number, limit?: number): Promise<readonly [number, 'memory' | 'disk']> => {
      let where: 'memory' | 'disk' = 'memory';
      const turn = setImmediate(() => (where = 'disk'));
      const { length } = await open.readStream('orders-a', from, limit);
      clearImmediate(turn);
      return [length, where];
    };
    expect(await reads(0, 1)).toEqual([1, 'disk']);
    expect(await reads(1)).toEqual([1, 'disk']);
    expect(await reads(2)).toEqual([0, 'memory']);
    await open.append('orders-a', 1, [eventNamed('c')]);
    expect(await reads(2)).toEqual([1, 'memory']);
    expect(await reads(1)).toEqual([2, 'disk']);
    await open.tombstone('orders-a');
    expect(await reads(2)).toEqual([0, 'disk']);
  });

  it('leaves no byte of a removed stream in any file of its folder, small or large, alone or between others', async () => {
    const small = 'canary-small-5f2c9a';
    const large = 'canary-large-8d41be';
    store = await openSqliteEventStore({ dataDir });
    for (let index = 0; index < 40; index += 1) {
      await store.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`o${index}`, JSON.stringify({ filling: 'y'.repeat(index * 37) }))]);
      const secrets = [eventNamed(`s${index}`, JSON.stringify({ small }), { sealed: small }), eventNamed(`l${index}`, JSON.stringify({ large: large.repeat(600) }))];
      await store.append('signingsecret-a', index === 0 ? 'NO_STREAM' : 2 * index - 1, secrets);
    }
    await store.close();
    store = await openSqliteEventStore({ dataDir });
    await store.append('signingsecret-a', 79, [eventNamed('newest', JSON.stringify({ small }))]);
    const before = await bytesOfAllFiles();
    expect([before.includes(small), before.includes(large)]).toEqual([true, true]);
    await store.tombstone('signingsecret-a');
    const after = await bytesOfAllFiles();
    expect([after.includes('canary-small'), after.includes('canary-large')]).toEqual([false, false]);
    expect((await store.readAll('0', undefined, 1000)).events).toHaveLength(40);
  });

  it('finishes a removal that a crash cut short, and hides the stream until then', async () => {
    await mkdir(dataDir, { recursive: true });
    const opened = openLog(join(dataDir, 'events.db'));
    if ('refused' in opened) throw new Error(opened.refused);
    const log = new SqliteLog(opened.database);
    const events = Array.from({ length: 1200 }, (_, index) => eventNamed(`e${index}`)).flatMap((event) => [event.id, event.type, event.data, '{}']);
    log.commit([{ op: 'append', seq: 1, stream: 'secrets-a', expected: -1, events }]);
    log.refuse('secrets-a');
    expect(log.removeSome('secrets-a')).toBe(true);
    log.close();
    store = await openSqliteEventStore({ dataDir });
    expect(await store.readStream('secrets-a')).toEqual([]);
    let left = 1200;
    for (let turn = 0; left > 0 && turn < 1000; turn += 1) {
      left = (await store.readAll('0', undefined, 1000)).events.length;
      await nextTurn();
    }
    expect(left).toBe(0);
  });

  it('refuses a log of a later form, and leaves it as it is', async () => {
    await (await openSqliteEventStore({ dataDir })).close();
    const file = join(dataDir, 'events.db');
    const database = new Database(file);
    database.pragma('user_version = 7');
    database.close();
    const before = await readFile(file);
    const refusal = openSqliteEventStore({ dataDir });
    await expect(refusal).rejects.toThrow(NewerLog);
    await expect(refusal).rejects.toMatchObject({ version: 7 });
    await expect(refusal).rejects.toThrow(dataDir);
    expect((await readFile(file)).equals(before)).toBe(true);
  });

  it.each([
    ['is no database', (file: string) => writeFile(file, 'not a database, but long enough to be looked at as one'.repeat(40))],
    ['is another database', (file: string) => Promise.resolve(new Database(file).exec('CREATE TABLE other (a)').close())],
  ])('refuses a file that %s', async (_, make) => {
    await mkdir(dataDir, { recursive: true });
    await make(join(dataDir, 'events.db'));
    await expect(openSqliteEventStore({ dataDir })).rejects.toThrow(StoreUnavailable);
  });

  it('bounds a batch by the size of its events', async () => {
    store = await openSqliteEventStore({ dataDir, recentEvents: 0 });
    for (let index = 0; index < 16; index += 1) await store.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`e${index}`, JSON.stringify({ filling: 'x'.repeat(250_000) }))]);
    const batch = await store.readAll('0', { prefixes: ['orders-'] }, 1000);
    expect(batch.events.length).toBeLessThan(16);
    expect(batch).toMatchObject({ caughtUp: false, position: batch.events.at(-1)?.position });
    const rest = await store.readAll(batch.position, { prefixes: ['orders-'] }, 1000);
    expect(batch.events.length + rest.events.length).toBe(16);
  });

  it('moves through a long stretch without a match in bounded steps', async () => {
    store = await openSqliteEventStore({ dataDir, recentEvents: 0 });
    for (let index = 0; index < 101; index += 1) {
      await store.append(`orders-acme.${index}`, 'NO_STREAM', Array.from({ length: 1000 }, (_, place) => ({ ...eventNamed('same'), data: String(place) })));
    }
    await store.append('orders-beta.a', 'NO_STREAM', [eventNamed('found')]);
    const first = await store.readAll('0', { prefixes: ['orders-beta.'] }, 10);
    expect(first).toEqual({ events: [], position: '100000', caughtUp: false });
    const second = await store.readAll(first.position, { prefixes: ['orders-beta.'] }, 10);
    expect(second).toMatchObject({ events: [{ stream: 'orders-beta.a' }], caughtUp: true, position: await store.head() });
  });
});
