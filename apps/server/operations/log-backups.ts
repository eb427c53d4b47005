import { createReadStream, openSync, readdirSync, rmSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { StoreUnavailable } from '#event-store';
import type { LogCopy, SqliteEventStore } from '#event-store/sqlite';
import { type Clock, type Ids, newId, type Refusal, refuse } from '#kernel';
import type { Backup, Backups, BackupStep } from '../parts.ts';

/** What a copy must leave free, so that the log can go on beside it. */
const spareBytes = 64 * 1024 * 1024;
const ofCopy = /^bak_[a-z0-9]+\.db(-journal)?$/;

export interface LogBackupsParts {
  readonly dataDir: string;
  readonly store: Pick<SqliteEventStore, 'copyTo'>;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** Copies of the embedded log, made in the data folder and gone with their stream. */
export class LogBackups implements Backups {
  readonly #parts: LogBackupsParts;
  #held: HeldBackup | undefined;

  /** To be made when the log is open, and so nobody else is at work in the folder: what a crash has left there is removed. */
  constructor(parts: LogBackupsParts) {
    this.#parts = parts;
    for (const name of readdirSync(parts.dataDir)) if (ofCopy.test(name)) rmSync(join(parts.dataDir, name), { force: true });
  }

  async begin(): Promise<Backup | Refusal> {
    const { dataDir, clock, ids } = this.#parts;
    if (this.#held !== undefined) return refuse('concurrent-modification', 'Another backup is being made, and there is one at a time. Try again when it is done.');
    const held = new HeldBackup(newId('bak', clock.now(), ids), this.#parts, () => {
      this.#held = undefined;
    });
    this.#held = held;
    const refusal = await noRoom(dataDir).catch((error: unknown) => {
      held.end();
      throw error;
    });
    if (refusal !== undefined) held.end();
    return refusal ?? held;
  }

  content(backupId: string): Promise<{ readonly bytes: number; readonly body: Readable } | undefined> {
    return Promise.resolve(this.#held?.id === backupId ? this.#held.content() : undefined);
  }
}

/** Where the log is not in the data folder. */
export const noBackups: Backups = {
  begin: () => Promise.resolve(refuse('backup-failed', 'The log is on an EventStoreDB, which is backed up with its own means.')),
  content: () => Promise.resolve(undefined),
};

/** Says so before anything is written: a full disk would stop the log too. */
async function noRoom(dataDir: string): Promise<Refusal | undefined> {
  const { bavail, bsize } = await statfs(dataDir);
  const log = join(dataDir, 'events.db');
  const sizes = await Promise.all([stat(log), stat(`${log}-wal`).catch(unlessAbsent)]);
  const needed = sizes.reduce((sum, file) => sum + (file?.size ?? 0), spareBytes);
  if (bavail * bsize >= needed) return undefined;
  return refuse('backup-failed', `The copy is made beside the log and needs ${needed} bytes there, ${spareBytes} of them to spare; ${bavail * bsize} are free.`);
}

/** A log that was just emptied into its file has none. */
function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

class HeldBackup implements Backup {
  readonly id: string;
  readonly #file: string;
  readonly #parts: LogBackupsParts;
  readonly #onEnd: () => void;
  readonly #fetched = new Set<Readable>();
  #copy: LogCopy | undefined;

  constructor(id: string, parts: LogBackupsParts, onEnd: () => void) {
    this.id = id;
    this.#file = join(parts.dataDir, `${id}.db`);
    this.#parts = parts;
    this.#onEnd = onEnd;
  }

  async *steps(signal: AbortSignal): AsyncGenerator<BackupStep> {
    let news = Promise.withResolvers<BackupStep | undefined>();
    const copying = this.#parts.store.copyTo(this.#file, signal, (bytes, totalBytes) => {
      news.resolve({ kind: 'progress', bytes, totalBytes });
      news = Promise.withResolvers();
    });
    const outcome = copying.then(
      (copy) => ({ copy }),
      (error: unknown) => ({ error }),
    );
    void outcome.then(() => news.resolve(undefined));
    try {
      for (let step = await news.promise; step !== undefined; step = await news.promise) yield step;
      yield this.#stepOf(await outcome);
      await until(signal);
    } finally {
      await outcome;
    }
  }

  #stepOf(outcome: { readonly copy: LogCopy } | { readonly error: unknown }): BackupStep {
    if ('copy' in outcome) {
      this.#copy = outcome.copy;
      return { kind: 'result', backupId: this.id, ...outcome.copy };
    }
    if (!(outcome.error instanceof StoreUnavailable)) throw outcome.error;
    return { kind: 'failed', refusal: refuse('backup-failed', `The log could not be copied, and nothing of the copy is left: ${outcome.error.message}.`) };
  }

  content(): { readonly bytes: number; readonly body: Readable } | undefined {
    if (this.#copy === undefined) return undefined;
    // Opened now: when the copy ends before the first byte is read, the file is gone.
    const body = createReadStream(this.#file, { fd: openSync(this.#file, 'r') });
    this.#fetched.add(body);
    body.once('close', () => this.#fetched.delete(body));
    return { bytes: this.#copy.bytes, body };
  }

  end(): void {
    for (const body of this.#fetched) body.destroy();
    rmSync(this.#file, { force: true });
    this.#onEnd();
  }
}

const until = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
