import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { transcriptTable } from '#deliveries';
import { comparePositions, type Position, type Projection, type RecordedEvent, recordedatOf, startOfLog } from '#kernel';
import { isSqliteError } from './error-code.ts';
import { makePrivate } from './private-file.ts';
import { projections } from './projections.ts';
import { dropHistory } from './retention.ts';
import { Routes } from './routes.ts';
import { RowCache } from './row-cache.ts';
import { createTable, dropTable, type Row, selectInKeyOrder } from './sql.ts';

export interface Poison {
  readonly position: Position;
  readonly eventId: string;
  readonly error: string;
}

/** Where a projection stands. `outdated`: its tables, if there are any, were made by another version of it; they are read, not written. */
export interface Standing {
  readonly name: string;
  readonly position: Position;
  readonly poison: Poison | null;
  readonly outdated: boolean;
  /** The latest day (`yyyy-mm-dd`) of its events' times. */
  readonly day: string;
}

/** The last event that was folded, or passed over because nothing runs: where it stands in the log, and which it is. */
export interface LastEvent {
  readonly position: Position;
  readonly eventId: string;
}

export interface Digest {
  readonly sha256: string;
  readonly tables: Readonly<Record<string, string>>;
}

export interface OpenOptions {
  readonly historyDays: number;
  /**
   * Of a file that is built beside another: per projection, how far that one had come. History from before would be
   * dropped on the way there, so it is not even stored. In such a file a projection that is missing starts from nothing.
   */
  readonly days?: Readonly<Record<string, string>>;
}

/** Rows held in memory until they are written, about: the later they are, the fewer are written twice. */
const mostHeld = 50_000;
/** Events between two commits at most: bounds what SQLite keeps beside the file. */
const mostUncommitted = 200_000;

/** What makes a projection's rows what they are. */
const definitionOf = ({ version, tables }: Projection): string =>
  createHash('sha256').update(JSON.stringify([version, tables])).digest('hex').slice(0, 16);

/** The version of the whole file: another when any projection is. */
export const schemaVersion: string = createHash('sha256').update(projections.map((one) => one.name + definitionOf(one)).join()).digest('hex').slice(0, 8);

interface Folding {
  readonly projection: Projection;
  readonly definition: string;
  readonly rows: RowCache | null;
  position: Position;
  day: string;
  poison: Poison | null;
}

interface Checkpoint {
  readonly projection: string;
  readonly definition: string;
  readonly position: Position;
  readonly day: string;
}

/** One file of read models: folds batches, and writes what came of several of them with its checkpoints in one transaction. */
export class ModelFile {
  readonly database: Database.Database;
  readonly #historyDays: number;
  readonly #folding: Folding[];
  readonly #saveCheckpoint: Database.Statement<[string, string, string, string]>;
  readonly #saveLastEvent: Database.Statement<[string, string]>;
  readonly #begin: Database.Statement<[]>;
  readonly #commit: Database.Statement<[]>;
  #lastEvent: LastEvent | null;
  /** Events that were folded since the last commit. */
  #uncommitted = 0;
  #isAhead = false;

  /** Opens the file or makes it. Throws `SqliteError` (SQLITE_NOTADB, SQLITE_CORRUPT) when it is no read model. */
  constructor(path: string, { historyDays, days }: OpenOptions) {
    this.database = openDatabase(path);
    this.#historyDays = historyDays;
    const saved = this.database.transaction(() => this.#prepareTables(days !== undefined)).immediate();
    this.#folding = projections.map((projection) => this.#folder(projection, saved.get(projection.name), days?.[projection.name]));
    this.#saveCheckpoint = this.database.prepare('INSERT OR REPLACE INTO checkpoints (projection, definition, position, day) VALUES (?, ?, ?, ?)');
    this.#saveLastEvent = this.database.prepare('INSERT OR REPLACE INTO last_event (one, position, eventId) VALUES (1, ?, ?)');
    this.#begin = this.database.prepare('BEGIN IMMEDIATE');
    this.#commit = this.database.prepare('COMMIT');
    this.#lastEvent = this.database.prepare<[], LastEvent>('SELECT CAST(position AS TEXT) AS position, eventId FROM last_event').get() ?? null;
  }

  #prepareTables(missingMayStart: boolean): Map<string, Checkpoint> {
    this.database.exec('CREATE TABLE IF NOT EXISTS checkpoints (projection TEXT PRIMARY KEY, definition TEXT NOT NULL, position INTEGER NOT NULL, day TEXT NOT NULL) STRICT, WITHOUT ROWID');
    this.database.exec('CREATE TABLE IF NOT EXISTS last_event (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, eventId TEXT NOT NULL) STRICT');
    const checkpoints = this.database.prepare<[], Checkpoint>('SELECT projection, definition, CAST(position AS TEXT) AS position, day FROM checkpoints').all();
    const saved = new Map(checkpoints.map((checkpoint) => [checkpoint.projection, checkpoint]));
    if (saved.size > 0 && !missingMayStart) return saved;
    const insert = this.database.prepare("INSERT INTO checkpoints (projection, definition, position, day) VALUES (?, ?, 0, '')");
    for (const projection of projections) {
      if (saved.has(projection.name)) continue;
      for (const statement of projection.tables.flatMap(createTable)) this.database.exec(statement);
      const checkpoint = { projection: projection.name, definition: definitionOf(projection), position: startOfLog, day: '' };
      insert.run(checkpoint.projection, checkpoint.definition);
      saved.set(projection.name, checkpoint);
    }
    return saved;
  }

  #folder(projection: Projection, saved: Checkpoint | undefined, dayBefore: string | undefined): Folding {
    const { position, day, definition } = saved ?? { position: startOfLog, day: '', definition: '' };
    const folding = { projection, definition, rows: null, position, day, poison: null };
    if (definition !== definitionOf(projection)) return folding;
    const skipHistoryBelowMs = isDay(dayBefore) ? this.#horizonMs(dayBefore) : 0;
    return { ...folding, rows: new RowCache(this.database, projection.tables, skipHistoryBelowMs) };
  }

  #horizonMs(day: string): number {
    return Date.parse(day) - this.#historyDays * 86_400_000;
  }

  /** Written together with what was made of it; null while there was none. */
  get lastEvent(): LastEvent | null {
    return this.#lastEvent;
  }

  standings(): readonly Standing[] {
    return this.#folding.map(({ projection, rows, position, day, poison }) => ({ name: projection.name, position, poison, outdated: rows === null, day }));
  }

  /**
   * Folds events in log order into every projection that runs, up to `position`. What a projection has seen it skips. One that can't
   * fold an event stops there, keeps what came before, and the others go on. Most of what comes of it is held in memory until `show` or `write`:
   * a delivery that is scheduled and sent before somebody asks is written once. When this throws, the file is to be opened anew.
   */
  apply(events: readonly RecordedEvent[], position: Position): readonly Standing[] {
    this.begin();
    this.#fold(events, position);
    this.#uncommitted += events.length;
    if (this.#uncommitted > mostUncommitted || this.#held > mostHeld) this.write();
    return this.standings();
  }

  /** Takes the file for writing, unless it is held already. When this throws because somebody else has it, nothing has changed. */
  begin(): void {
    if (this.isAhead) return;
    this.#begin.run();
    this.#isAhead = true;
  }

  /** Whether more was folded than is written. */
  get isAhead(): boolean {
    if (this.#isAhead && !this.database.inTransaction) throw new Error('SQLite took back what was folded and not written');
    return this.#isAhead;
  }

  /** Makes all that was folded visible in `database`, and to nobody else. When this throws, the file is to be opened anew. */
  show(): void {
    if (this.isAhead) for (const { rows } of this.#folding) rows?.flush();
  }

  /** Writes all that was folded, and how far that is, all or nothing. When this throws, the file is to be opened anew. */
  write(): void {
    if (!this.isAhead) return;
    this.show();
    for (const { projection, definition, rows, position, day } of this.#folding) {
      if (rows !== null) this.#saveCheckpoint.run(projection.name, definition, position, day);
    }
    if (this.#lastEvent !== null) this.#saveLastEvent.run(this.#lastEvent.position, this.#lastEvent.eventId);
    this.#commit.run();
    this.#isAhead = false;
    this.#uncommitted = 0;
  }

  get #held(): number {
    return this.#folding.reduce((held, { rows }) => held + (rows?.held ?? 0), 0);
  }

  #keepLast(last: RecordedEvent | undefined): void {
    if (last === undefined || comparePositions(last.position, this.#lastEvent?.position ?? startOfLog) <= 0) return;
    this.#lastEvent = { position: last.position, eventId: last.id };
  }

  #fold(events: readonly RecordedEvent[], position: Position): void {
    const running = this.#folding.filter(({ rows, poison, position: seen }) => rows !== null && poison === null && comparePositions(position, seen) > 0);
    const routes = new Routes(running, events);
    events.forEach((event, index) => {
      for (const { to, seen } of routes.of(event)) {
        if (index < seen || to.poison !== null) continue;
        to.poison = this.#foldOne(to, event);
        // It stands short of the poison.
        if (to.poison !== null && index > seen) to.position = events[index - 1]?.position ?? to.position;
      }
    });
    for (const folding of running) {
      if (folding.poison === null) folding.position = position;
      folding.rows?.spill();
    }
    this.#keepLast(events.at(-1));
  }

  #foldOne(folding: Folding, event: RecordedEvent): Poison | null {
    const { projection, rows } = folding;
    if (rows === null) return null;
    this.#turnDay(folding, rows, event);
    rows.beginEvent();
    try {
      projection.apply(event, rows);
      return null;
    } catch (error) {
      if (isSqliteError(error)) throw error;
      rows.undoEvent();
      return { position: event.position, eventId: event.id, error: reasonOf(error) };
    }
  }

  /** History is dropped when a day begins in the events' own time, so that a rebuild drops the same at the same place of the log. */
  #turnDay(folding: Folding, rows: RowCache, event: RecordedEvent): void {
    const recordedat = recordedatOf(event) ?? '';
    if (folding.day !== '' && recordedat.startsWith(folding.day)) return;
    const day = recordedat.slice(0, 10);
    if (day <= folding.day || !isDay(day)) return;
    folding.day = day;
    rows.flush();
    if (dropHistory(this.database, folding.projection.name, this.#horizonMs(day))) rows.clear();
  }

  digest(transcriptsFromMs?: number): Digest {
    this.write();
    return digestOf(this.database, transcriptsFromMs);
  }

  close(): void {
    this.write();
    this.database.close();
  }
}

/** SHA-256 over the content of every table, in key order; of transcripts only those recorded since. */
export function digestOf(database: Database.Database, transcriptsFromMs = 0): Digest {
  const whole = createHash('sha256');
  const tables: Record<string, string> = {};
  for (const table of projections.flatMap((projection) => projection.tables)) {
    const hash = createHash('sha256');
    const fromMs = table.name === transcriptTable.name ? transcriptsFromMs : 0;
    for (const row of database.prepare<[], Row>(selectInKeyOrder(table)).iterate()) if (fromMs === 0 || Number(row['recordedAtMs']) >= fromMs) hash.update(`${JSON.stringify(row)}\n`);
    const hex = hash.digest('hex');
    tables[table.name] = hex;
    whole.update(`${table.name} ${hex}\n`);
  }
  return { sha256: whole.digest('hex'), tables };
}

const isDay = (text: string | undefined): text is string => text !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(text);

/** A parser's message quotes what it read, which may be anybody's data. */
const reasonOf = (error: unknown): string => (error instanceof SyntaxError ? 'its data is not JSON' : error instanceof Error ? error.message : 'it threw no error');

function openDatabase(path: string): Database.Database {
  makePrivate(path);
  const database = new Database(path);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    database.pragma('cache_size = -12288');
    database.pragma('wal_autocheckpoint = 4000');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Removes a file of read models, with what SQLite keeps beside it. */
export function removeModel(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${suffix}`, { force: true });
}

/**
 * Copies the live file beside it without the tables of the projections that are to be built anew (and of those that do
 * not exist any more). The live file may be in use.
 */
export function copyWithout(livePath: string, path: string, without: readonly string[]): void {
  removeModel(path);
  if (projections.every(({ name }) => without.includes(name))) return;
  const live = new Database(livePath, { readonly: true });
  live.prepare('VACUUM INTO ?').run(path);
  live.close();
  const copy = new Database(path);
  const kept = projections.filter(({ name }) => !without.includes(name));
  const keptTables = kept.flatMap(({ tables }) => tables.map((table) => table.name));
  const tables = copy.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
  for (const table of tables) if (!['checkpoints', 'last_event', ...keptTables].includes(table)) copy.exec(dropTable(table));
  const keptNames = kept.map(({ name }) => name);
  const names = copy.prepare<[], string>('SELECT projection FROM checkpoints').pluck().all();
  for (const name of names) if (!keptNames.includes(name)) copy.prepare('DELETE FROM checkpoints WHERE projection = ?').run(name);
  copy.close();
}
