import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataDirInUse, openSqliteEventStore } from '#event-store/sqlite';

const program = fileURLToPath(new URL('../../../test/support/event-store-process.ts', import.meta.url));
const nodeArguments = ['--conditions=source', '--disable-warning=ExperimentalWarning', program];

describe('the embedded log and real processes', () => {
  let dataDir: string;
  let child: ChildProcess | undefined;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'event-store-'));
  });
  afterEach(async () => {
    child?.kill('SIGKILL');
    await rm(dataDir, { recursive: true });
  });

  const start = (command: string, args: readonly string[]): { ended: Promise<unknown[]>; lines: AsyncIterator<string>; errors: () => string } => {
    child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
    return { ended: once(child, 'close'), lines, errors: () => errors };
  };

  const acknowledgedOf = async (lines: AsyncIterator<string>, count: number, acknowledged = new Map<string, number>()): Promise<Map<string, number>> => {
    for (let read = 0; read < count; read += 1) {
      const line = await lines.next();
      if (line.done === true) break;
      const [stream = '', revision = ''] = line.value.split(' ');
      acknowledged.set(stream, Number(revision));
    }
    return acknowledged;
  };

  const expectAllThere = async (acknowledged: ReadonlyMap<string, number>): Promise<void> => {
    const store = await openSqliteEventStore({ dataDir });
    for (const [stream, revision] of acknowledged) {
      const events = await store.readStream(stream);
      expect(events.length).toBeGreaterThan(revision);
      expect(events.map((event) => JSON.parse(event.data) as unknown)).toMatchObject(events.map((_, index) => ({ stream, revision: index })));
    }
    await store.close();
  };

  it('every acknowledged append is there after kill -9 in the middle of writing, and the folder can be opened at once', async () => {
    const { lines, ended } = start(process.execPath, [...nodeArguments, dataDir, 'write']);
    expect((await lines.next()).value).toBe('open');
    const acknowledged = await acknowledgedOf(lines, 400);
    child?.kill('SIGKILL');
    await ended;
    await acknowledgedOf(lines, Infinity, acknowledged);
    expect(acknowledged.size).toBe(8);
    await expectAllThere(acknowledged);
  });

  it('one process at a time holds a data folder; the other is told which folder', async () => {
    const { lines } = start(process.execPath, [...nodeArguments, dataDir, 'hold']);
    expect((await lines.next()).value).toBe('open');
    const refusal = openSqliteEventStore({ dataDir });
    await expect(refusal).rejects.toThrow(DataDirInUse);
    await expect(refusal).rejects.toMatchObject({ dataDir });
    await expect(refusal).rejects.toThrow(dataDir);
  });

  it('a store keeps its folder against another process, also after a second store in its own process was refused', async () => {
    const store = await openSqliteEventStore({ dataDir });
    await expect(openSqliteEventStore({ dataDir })).rejects.toThrow(DataDirInUse);
    const { ended, errors } = start(process.execPath, [...nodeArguments, dataDir, 'hold']);
    expect((await ended)[0]).toBe(1);
    expect(errors()).toContain(`DataDirInUse: the data folder ${dataDir} is in use`);
    await store.close();
    await (await openSqliteEventStore({ dataDir })).close();
  });

  it('a process whose commit fails on disk ends at once and says why; what it had acknowledged is there', async () => {
    // A file size limit makes the write-ahead log fail in the middle of a commit, as a broken disk does.
    const limited = `trap '' XFSZ; ulimit -f 1024; exec "$0" "$@"`;
    const { lines, ended, errors } = start('/bin/sh', ['-c', limited, process.execPath, ...nodeArguments, dataDir, 'write']);
    expect((await lines.next()).value).toBe('open');
    const acknowledged = await acknowledgedOf(lines, Infinity);
    expect((await ended)[0]).toBe(1);
    expect(errors()).toMatch(/the event log in .* can't be written any more: .*I\/O/);
    expect(acknowledged.size).toBeGreaterThan(0);
    await expectAllThere(acknowledged);
  });
});
