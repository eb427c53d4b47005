import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, totalmem, type } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const tmpfs = 0x01021994;

/** What the figures were measured on, one line each. `folder` is where the logs are written. */
export function machineFacts(folder: string): readonly string[] {
  const [cpu] = cpus();
  return [
    `${cpu?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()}${load()}`,
    `Node ${process.version}, SQLite ${sqliteVersion()}: events.db WAL, synchronous=FULL (one fsync per commit); read-models.db WAL, synchronous=NORMAL`,
    `one fdatasync of 4 KiB in ${folder}: ${medianSyncMicros(folder)} µs (median of 200)${inMemory(folder) ? '; THE FOLDER IS IN MEMORY: fsync costs nothing here' : ''}`,
  ];
}

const load = (): string => (process.platform === 'linux' ? `, load before the run ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]}` : '');

function sqliteVersion(): string {
  const database = new Database(':memory:');
  const version = String(database.prepare('SELECT sqlite_version()').pluck().get());
  database.close();
  return version;
}

const inMemory = (folder: string): boolean => process.platform === 'linux' && statfsSync(folder).type === tmpfs;

function medianSyncMicros(folder: string): number {
  const path = join(folder, 'sync');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4_096, 1);
  const times = Array.from({ length: 200 }, () => {
    const startMs = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - startMs;
  });
  closeSync(file);
  rmSync(path);
  return Math.round((times.sort((a, b) => a - b)[100] ?? 0) * 1_000);
}
