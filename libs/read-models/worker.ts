import { renameSync, rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import Database from 'better-sqlite3';
import type { Position } from '#kernel';
import { codeOf } from './error-code.ts';
import { type FlatEvents, unflattened } from './flat-events.ts';
import { copyWithout, type Digest, digestOf, type LastEvent, ModelFile, type OpenOptions, removeModel, type Standing } from './model-file.ts';
import { type Queries, queries } from './queries/all.ts';

/** What the thread can be asked to do. Questions are answered one after the other, in the order they were asked. */
export interface Operations {
  /** Opens the file, or makes it. One that can't be read is made anew, and that is answered. */
  open(of: OpenOptions & { readonly path: string }): { readonly standings: readonly Standing[]; readonly lastEvent: LastEvent | null; readonly unreadable: string | null };
  /** Removes the file and opens a new one. */
  reset(of: OpenOptions & { readonly path: string }): { readonly standings: readonly Standing[] };
  /** Makes a copy of the live file without some projections and opens it. */
  openBeside(of: OpenOptions & { readonly livePath: string; readonly path: string; readonly without: readonly string[] }): { readonly standings: readonly Standing[] };
  /** Folds. Whoever asks sees it at once. When it can't be written the thread ends. */
  apply(of: { readonly events: FlatEvents; readonly position: Position; readonly write: When }): readonly Standing[];
  /** Writes what was folded. */
  write(of: null): null;
  query(of: { readonly name: keyof Queries; readonly args: unknown }): unknown;
  digest(of: null): Digest;
  /** Holds on to the live file as it is now, beside the file that is open. */
  snapshot(of: { readonly livePath: string }): null;
  /** The digests of the file that is open and, if wanted, of the snapshot, each without the transcripts from before. */
  compare(of: { readonly transcriptsFromMs: number; readonly withSnapshot: boolean }): { readonly own: Digest; readonly live: Digest | null };
  /** Closes the file; with `takeOver` it is then put in the place of that one. */
  close(of: { readonly takeOver?: { readonly path: string; readonly livePath: string } }): null;
}

/** When what was folded is written: with what comes after it, within a moment, or before it is answered. */
export type When = 'later' | 'soon' | 'now';

export interface Question {
  readonly seq: number;
  readonly operation: keyof Operations;
  readonly argument: unknown;
}

export type Answer = { readonly seq: number; readonly value: unknown } | { readonly seq: number; readonly error: string };

/** How long what was folded waits to be written, while the log is followed at its head: a delivery's outcome mostly comes within that. */
const writeAfterMs = 200;

let file: ModelFile | undefined;
let writing: NodeJS.Timeout | undefined;
let snapshot: Database.Database | undefined;

const open = (): ModelFile => {
  if (file === undefined) throw new Error('no read models are open');
  return file;
};

/** What was told as folded and can't be written is lost: only who opens the file anew knows what is in it. */
class NotWritten extends Error {
  override readonly name = 'NotWritten';
}

function orEnd<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new NotWritten(messageOf(error), { cause: error });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'it threw no error');

/** The file with all that was folded, written. */
function written(): ModelFile {
  const model = open();
  orEnd(() => model.write());
  return model;
}

/** The database with all that was folded, written or not. */
function current(): Database.Database {
  const model = open();
  orEnd(() => model.show());
  return model.database;
}

function apply({ events, position, write }: Parameters<Operations['apply']>[0]): readonly Standing[] {
  const model = open();
  if (!orEnd(() => model.isAhead)) model.begin();
  const standings = orEnd(() => model.apply(unflattened(events), position));
  if (write === 'now') written();
  if (write === 'soon') {
    writing ??= setTimeout(() => {
      writing = undefined;
      file?.write();
    }, writeAfterMs);
  }
  return standings;
}

/** What a file says that is no database, is damaged, or has other tables than it should. A full disk or a lock is not among it. */
const isUnreadable = (error: unknown): boolean => ['SQLITE_NOTADB', 'SQLITE_CORRUPT', 'SQLITE_ERROR'].some((code) => codeOf(error)?.startsWith(code));

const operations: { readonly [Name in keyof Operations]: (of: never) => ReturnType<Operations[Name]> } = {
  open({ path, ...options }: Parameters<Operations['open']>[0]) {
    try {
      file = new ModelFile(path, options);
      return { standings: file.standings(), lastEvent: file.lastEvent, unreadable: null };
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      removeModel(path);
      file = new ModelFile(path, options);
      return { standings: file.standings(), lastEvent: file.lastEvent, unreadable: codeOf(error) ?? '' };
    }
  },
  reset({ path, ...options }: Parameters<Operations['reset']>[0]) {
    orEnd(() => file?.close());
    removeModel(path);
    file = new ModelFile(path, options);
    return { standings: file.standings() };
  },
  openBeside({ livePath, path, without, ...options }: Parameters<Operations['openBeside']>[0]) {
    copyWithout(livePath, path, without);
    file = new ModelFile(path, options);
    return { standings: file.standings() };
  },
  apply,
  write() {
    written();
    return null;
  },
  query({ name, args }: Parameters<Operations['query']>[0]) {
    // The caller's types join name and arguments; messages lose them.
    const query = queries[name] as (database: Database.Database, args: unknown) => unknown;
    return query(current(), args);
  },
  digest: () => written().digest(),
  snapshot({ livePath }: Parameters<Operations['snapshot']>[0]) {
    snapshot = new Database(livePath, { readonly: true });
    // A transaction sees the file as it was at its first read.
    snapshot.exec('BEGIN; SELECT count(*) FROM checkpoints');
    return null;
  },
  compare: ({ transcriptsFromMs, withSnapshot }: Parameters<Operations['compare']>[0]) => ({
    own: written().digest(transcriptsFromMs),
    live: withSnapshot && snapshot !== undefined ? digestOf(snapshot, transcriptsFromMs) : null,
  }),
  close({ takeOver }: Parameters<Operations['close']>[0]) {
    orEnd(() => file?.close());
    file = undefined;
    if (takeOver === undefined) return null;
    // A log of the old file's pages beside the new file would be taken for its own.
    for (const suffix of ['-wal', '-shm']) rmSync(`${takeOver.livePath}${suffix}`, { force: true });
    renameSync(takeOver.path, takeOver.livePath);
    return null;
  },
};

parentPort?.on('message', ({ seq, operation, argument }: Question) => {
  try {
    const value = (operations[operation] as (of: unknown) => unknown)(argument);
    parentPort?.postMessage({ seq, value } satisfies Answer);
  } catch (error) {
    if (error instanceof NotWritten) throw error;
    parentPort?.postMessage({ seq, error: messageOf(error) } satisfies Answer);
  }
});
