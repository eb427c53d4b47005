import type Database from 'better-sqlite3';
import { type AnyTable, type Cell, type ColumnType, isPosition, type Rows, type Table } from '#kernel';
import { type Row, selectByKey, update, upsert } from './sql.ts';

/** `stored`: what the file holds (null: no row; undefined: not known). To be written when it is another than `row`. */
interface Entry {
  readonly row: Row | null;
  readonly stored: Row | null | undefined;
}

/** How many rows of a table stay in memory between batches. */
const maxKept = 20_000;

/**
 * The rows of one projection: read through and written behind, so that a row that changes ten times in a batch is
 * written once, with only its changed columns. What one event did can be taken back until the next begins.
 */
export class RowCache implements Rows {
  readonly #tables = new Map<string, CachedTable>();
  /** What the current event replaced, latest last. */
  #undo: { readonly entries: Map<string, Entry>; readonly name: string; readonly before: Entry | undefined }[] = [];
  /** Rows of history older than this are not stored. */
  readonly #skipHistoryBelowMs: number;

  constructor(database: Database.Database, tables: readonly AnyTable[], skipHistoryBelowMs: number) {
    for (const table of tables) this.#tables.set(table.name, new CachedTable(database, table));
    this.#skipHistoryBelowMs = skipHistoryBelowMs;
  }

  get<R extends object>(table: Table<R>, key: readonly Cell[]): R | undefined {
    return (this.#of(table).get(key) ?? undefined) as R | undefined;
  }

  put<R extends object>(table: Table<R>, row: R): void {
    const cached = this.#of(table);
    const cells = cached.checked(row);
    if (table.historyBy !== undefined && Number(cells[table.historyBy]) < this.#skipHistoryBelowMs) return;
    const name = cached.nameOf(cells);
    const before = cached.entries.get(name);
    this.#undo.push({ entries: cached.entries, name, before });
    cached.entries.set(name, { row: cells, stored: before?.stored });
  }

  list<R extends object>(table: Table<R>, keyStart: readonly Cell[]): readonly R[] {
    return this.#of(table).list(keyStart) as R[];
  }

  /** What follows belongs to one event. */
  beginEvent(): void {
    this.#undo = [];
  }

  /** Takes back what the current event did. */
  undoEvent(): void {
    for (const { entries, name, before } of this.#undo.reverse()) {
      if (before === undefined) entries.delete(name);
      else entries.set(name, before);
    }
    this.#undo = [];
  }

  /** Writes what changed, within the transaction that is open. */
  flush(): void {
    this.#undo = [];
    for (const table of this.#tables.values()) table.flush();
  }

  /** Forgets everything: after a rollback, or when the file was changed past this. */
  clear(): void {
    this.#undo = [];
    for (const { entries } of this.#tables.values()) entries.clear();
  }

  #of(table: AnyTable): CachedTable {
    const known = this.#tables.get(table.name);
    if (known === undefined) throw new TypeError(`${table.name} is no table of this projection`);
    return known;
  }
}

class CachedTable {
  readonly entries = new Map<string, Entry>();
  readonly #database: Database.Database;
  readonly #table: AnyTable;
  readonly #columns: readonly (readonly [name: string, fits: (cell: unknown) => boolean, isKey: boolean])[];
  readonly #select: Database.Statement<Cell[], Row>;
  readonly #upsert: Database.Statement<Cell[]>;
  readonly #updates = new Map<string, Database.Statement<Cell[]>>();

  constructor(database: Database.Database, table: AnyTable) {
    this.#database = database;
    this.#table = table;
    this.#columns = Object.entries(table.columns).map(([name, type]) => [name, fits[type], table.key.includes(name)]);
    this.#select = database.prepare<Cell[], Row>(selectByKey(table));
    this.#upsert = database.prepare<Cell[]>(upsert(table));
  }

  get(key: readonly Cell[]): Row | null {
    const name = keyName(key);
    const known = this.entries.get(name);
    if (known !== undefined) return known.row;
    const row = this.#select.get(...key) ?? null;
    this.entries.set(name, { row, stored: row });
    return row;
  }

  list(keyStart: readonly Cell[]): readonly Row[] {
    const found = new Map<string, Row>();
    const stored = this.#database.prepare<Cell[], Row>(selectByKey(this.#table, keyStart.length)).all(...keyStart);
    for (const row of stored) found.set(this.nameOf(row), row);
    for (const [name, { row }] of this.entries) if (row !== null && name.startsWith(keyName(keyStart))) found.set(name, row);
    return [...found.values()];
  }

  nameOf(row: Row): string {
    return keyName(this.#table.key.map((column) => row[column] ?? null));
  }

  /** The row, once it is certain that it can be stored: so the event is poison, and not the batch. */
  checked(row: object): Row {
    const cells = row as Row;
    for (const [name, fit, isKey] of this.#columns) {
      const cell = cells[name];
      if (cell === null ? isKey : !fit(cell)) throw new TypeError(`${this.#table.name}.${name} can't hold ${cell === null ? 'null' : typeof cell}`);
    }
    return cells;
  }

  flush(): void {
    for (const [name, { row, stored }] of this.entries) {
      if (row === stored || row === null) continue;
      this.#write(row, stored);
      this.entries.set(name, { row, stored: row });
    }
    if (this.entries.size > maxKept) this.entries.clear();
  }

  #write(row: Row, stored: Row | null | undefined): void {
    if (stored === undefined || stored === null) {
      this.#upsert.run(...this.#columns.map(([name]) => row[name] ?? null));
      return;
    }
    const changed = this.#columns.flatMap(([name]) => (row[name] === stored[name] ? [] : [name]));
    if (changed.length === 0) return;
    this.#update(changed).run(...[...changed, ...this.#table.key].map((name) => row[name] ?? null));
  }

  #update(changed: readonly string[]): Database.Statement<Cell[]> {
    const name = changed.join();
    const known = this.#updates.get(name);
    if (known !== undefined) return known;
    const statement = this.#database.prepare<Cell[]>(update(this.#table, changed));
    this.#updates.set(name, statement);
    return statement;
  }
}

/** One name per key: cells of keys hold no NUL, and the start of a key is the start of its name. */
const keyName = (key: readonly Cell[]): string => `${key.join('\0')}\0`;

const fits: Record<ColumnType, (cell: unknown) => boolean> = {
  text: (cell) => typeof cell === 'string',
  integer: (cell) => Number.isSafeInteger(cell),
  position: (cell) => typeof cell === 'string' && isPosition(cell),
};
