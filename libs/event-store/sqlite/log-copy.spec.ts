import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';
import { StoreUnavailable } from '#event-store';
import { type LogCopy, openSqliteEventStore, type SqliteEventStore } from '#event-store/sqlite';
import { eventNamed } from '../../../test/support/event-store-contract.ts';

const program = fileURLToPath(new URL('../../../test/support/event-store-process.ts', import.meta.url));
const filling = 'x'.repeat(4_000);

describe('a copy of the log that is being written', () => {
  let dataDir: string;
  let file: string;
  let store: SqliteEventStore;
  let written: number;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'log-copy-'));
    file = join(dataDir, 'copy.db');
    written = 0;
    store = await openSqliteEventStore({ dataDir });
    await Promise.all(Array.from({ length: 4_000 }, () => append()));
  });
  afterEach(async () => {
    await store.close();
    await rm(dataDir, { recursive: true });
  });

  const append = async (): Promise<string> => {
    written += 1;
    return (await store.append(`orders-${written}`, 'NO_STREAM', [eventNamed(`e${written}`, JSON.stringify({ filling }))])).position;
  };
  const copy = (signal: AbortSignal = new AbortController().signal, onProgress: (bytes: number, totalBytes: number) => void = () => undefined): Promise<LogCopy> => store.copyTo(file, signal, onProgress);
  const filesOfCopy = async (): Promise<readonly string[]> => (await readdir(dataDir)).filter((name) => name.startsWith('copy'));

  /** Appends, one after the other, until the copy is there. Answers the positions that were acknowledged before that. */
  async function appendUntil(copied: Promise<LogCopy>): Promise<readonly string[]> {
    let over = false;
    const acknowledged: string[] = [];
    void copied.finally(() => (over = true)).catch(() => undefined);
    while (!over) acknowledged.push(await append());
    return acknowledged;
  }

  it('has every append that was acknowledged up to its position and none beyond; those that come meanwhile do not wait for it', async () => {
    const copying = copy();
    const acknowledged = await appendUntil(copying);
    const { position, bytes } = await copying;
    expect(acknowledged.length).toBeGreaterThan(1);
    // One may have been acknowledged between the copy's end and its answer.
    expect(Number(position)).toBeGreaterThanOrEqual(Number(acknowledged.at(-2)));
    const copied = new Database(file, { readonly: true });
    expect(copied.prepare('SELECT count(*), min(position), max(position) FROM events').raw().get()).toEqual([Number(position), 1, Number(position)]);
    expect(copied.pragma('integrity_check', { simple: true })).toBe('ok');
    copied.close();
    expect((await stat(file)).size).toBe(bytes);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('is a log that can be opened', async () => {
    await store.tombstone('orders-17');
    const { position } = await copy();
    const folder = join(dataDir, 'restored');
    await mkdir(folder);
    await copyFile(file, join(folder, 'events.db'));
    const again = await openSqliteEventStore({ dataDir: folder });
    expect([await again.head(), await again.readStream('orders-17'), (await again.readStream('orders-18')).length]).toEqual([position, [], 1]);
    await again.close();
  });

  it('leaves nothing when it is stopped, and the log goes on', async () => {
    const stop = new AbortController();
    const stopped = copy(stop.signal, () => stop.abort());
    await expect(stopped).rejects.toThrow(StoreUnavailable);
    expect(await filesOfCopy()).toEqual([]);
    await append();
    await expect(copy()).resolves.toMatchObject({ position: String(written) });
  });

  it('leaves nothing when the store is closed in the middle', async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const copying = copy(undefined, () => resolve());
    const refused = expect(copying).rejects.toThrow(StoreUnavailable);
    await begun;
    await store.close();
    await refused;
    expect(await filesOfCopy()).toEqual([]);
  });

  it('never replaces a file', async () => {
    await writeFile(file, 'mine');
    await expect(copy()).rejects.toThrow(/EEXIST/);
    expect((await stat(file)).size).toBe(4);
  });

  it('is made one at a time', async () => {
    const first = copy();
    await expect(store.copyTo(join(dataDir, 'copy2.db'), new AbortController().signal, () => undefined)).rejects.toThrow('another copy');
    await first;
  });

  it('leaves nothing when there is no room for it, says why, and the log goes on', async () => {
    await store.close();
    // Files of at most 4 MiB (POSIX `ulimit -f`: blocks of 512 bytes in sh, of 1,024 in bash).
    const { stdout } = spawnSync('bash', ['-c', `trap '' XFSZ; ulimit -f 4096; exec "$0" "$@"`, process.execPath, '--conditions=source', '--disable-warning=ExperimentalWarning', program, dataDir, 'copy'], { encoding: 'utf8' });
    store = await openSqliteEventStore({ dataDir });
    expect(stdout).toMatch(/^open\nrefused: .*(disk|EFBIG).*\nappended\n$/);
    expect(await filesOfCopy()).toEqual([]);
  });
});
