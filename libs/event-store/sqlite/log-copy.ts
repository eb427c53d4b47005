import { closeSync, fsync, openSync, rmSync } from 'node:fs';
import type Database from 'better-sqlite3';

/** Pages of one step: bounds how long appends wait behind it. */
const pagesPerStep = 64;
/** Pages that may be copied and not yet synced: bounds how long the sync at the end, which appends wait for, takes. */
const mostUnsyncedPages = 8_192;
const pauseMs = 1;

/** The copy was to stop, and has. */
export class CopyStopped extends Error {
  override readonly name = 'CopyStopped';
}

export interface CopyOptions {
  readonly signal: AbortSignal;
  readonly onStep: (bytes: number, totalBytes: number) => void;
}

/**
 * Copies the whole database into a new file (mode 0600), step by step, so that whoever else uses the connection gets
 * turns in between; what is written meanwhile through the same connection is in the copy too. When it resolves the copy
 * is what the database is at that moment, and is synced. Resolves with its size in bytes. Rejects with `CopyStopped`, with what SQLite says
 * or with a system error (the file is there already), and leaves nothing behind.
 * https://sqlite.org/backup.html; why not `VACUUM INTO`: docs/decisions/0016.
 */
export async function copyDatabase(database: Database.Database, file: string, { signal, onStep }: CopyOptions): Promise<number> {
  const handle = openSync(file, 'wx', 0o600);
  const pageBytes = Number(database.pragma('page_size', { simple: true }));
  const syncing = new Syncing(handle);
  try {
    const { totalPages } = await database.backup(file, {
      progress: ({ totalPages, remainingPages }) => {
        if (signal.aborted) throw new CopyStopped('the copy was stopped');
        const done = totalPages - remainingPages;
        onStep(done * pageBytes, totalPages * pageBytes);
        return syncing.mayGoOn(done) ? pagesPerStep : 0;
      },
    });
    return totalPages * pageBytes;
  } catch (error) {
    await syncing.ended();
    for (const left of [file, `${file}-journal`]) rmSync(left, { force: true });
    throw signal.aborted ? new CopyStopped('the copy was stopped', { cause: error }) : error;
  } finally {
    await syncing.ended();
    closeSync(handle);
  }
}

/** Keeps what is copied close to what is on disk, without waiting for the disk. */
class Syncing {
  readonly #handle: number;
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  #underWay: Promise<void> | undefined;
  #synced = 0;

  constructor(handle: number) {
    this.#handle = handle;
  }

  /** Whether another step may be copied. When the disk does not keep up it sleeps a moment: the next question comes at once. */
  mayGoOn(copied: number): boolean {
    const unsynced = copied - this.#synced;
    if (this.#underWay === undefined && unsynced >= mostUnsyncedPages / 2) this.#underWay = this.#sync(copied);
    if (unsynced < mostUnsyncedPages) return true;
    Atomics.wait(this.#pause, 0, 0, pauseMs);
    return false;
  }

  /** A failed sync shows again when the copy is completed, which syncs the whole file. */
  #sync(copied: number): Promise<void> {
    return new Promise((resolve) => {
      fsync(this.#handle, () => {
        this.#synced = copied;
        this.#underWay = undefined;
        resolve();
      });
    });
  }

  async ended(): Promise<void> {
    await this.#underWay;
  }
}
