import Database from 'better-sqlite3';
import { isSqliteError } from './sqlite-error.ts';

export const logVersion = 1;

/**
 * One row per event, in log order. The stream's name stands in the row and, with the revision, in the one index that
 * appends need; ids are in no index, because random keys cost (docs: events). The category is computed, not stored,
 * and its index is in log order within a category: a reader of a rare category does not scan the log.
 */
const schema = `
  CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    stream TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    metadata TEXT NOT NULL,
    category TEXT GENERATED ALWAYS AS (substr(stream, 1, instr(stream, '-') - 1)) VIRTUAL
  ) STRICT;
  CREATE UNIQUE INDEX events_by_stream ON events (stream, revision);
  CREATE INDEX events_by_category ON events (category);
  CREATE TABLE tombstones (
    stream TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    cleared INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${logVersion};
`;

export type Opened =
  | { readonly database: Database.Database }
  | { readonly refused: 'in-use' }
  | { readonly refused: 'newer'; readonly version: number };

/**
 * Opens the log's file, or makes it, and holds it: in SQLite's exclusive locking mode the connection keeps the
 * operating system's lock on the file for its life, so nobody else reads or writes it, and a killed process leaves
 * nothing behind. Every commit is synced (`synchronous = FULL`); what is deleted is overwritten (`secure_delete`).
 */
export function openLog(file: string): Opened {
  const database = new Database(file, { timeout: 0 });
  try {
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
    database.exec('BEGIN IMMEDIATE');
    const version = versionOf(database);
    if (version > logVersion) return closed(database, { refused: 'newer', version });
    if (version === 0) database.exec(schema);
    database.exec('COMMIT');
    tune(database);
    return { database };
  } catch (error) {
    if (isSqliteError(error) && error.code.startsWith('SQLITE_BUSY')) return closed(database, { refused: 'in-use' });
    database.close();
    throw error;
  }
}

function versionOf(database: Database.Database): number {
  const version = Number(database.pragma('user_version', { simple: true }));
  const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get());
  if (version === 0 && tables > 0) throw new Error('the file is a database, but not an event log');
  return version;
}

function tune(database: Database.Database): void {
  database.pragma('synchronous = FULL');
  database.pragma('secure_delete = ON');
  database.pragma('wal_autocheckpoint = 4000');
  database.pragma('cache_size = -4096');
}

function closed<Refusal>(database: Database.Database, refusal: Refusal): Refusal {
  database.close();
  return refusal;
}
