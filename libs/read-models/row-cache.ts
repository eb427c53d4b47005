import type Database from 'better-sqlite3';
import { type AnyTable, type Cell, type ColumnType, isPosition, type Rows, type Table } from '#kernel';
import { type Row, selectByKey, update, upsert } from './sql.ts';

/** How many rows of a table stay in memory between batches. */
const maxKept = 20_000;
/** How much text the rows of a projection may have that were read or put since all were let go: one row may have 900 KB of it. */
const maxChars = 32 * 1024 * 1024;

/** How much text has come in. */
interface Text {
  chars: number;
}

interface TableRows {
  /** Takes a row that is known to fit; answers how to take that back. */
  put(row: Row): Undo;
  undo(what: Undo): void;
  /** How many rows are held that are still to be written, and may change until then. */
  readonly held: number;
  /** Writes what no fold reads again, within the transaction that is open. */
  spill(): void;
  /** Writes what changed, within the transaction that is open. */
  flush(): void;
  /** Forgets everything. */
  clear(): void;
}

/** What a put replaced. */
interface Undo {
  readonly table: TableRows;
  readonly name: string;
  readonly before: Row | undefined;
}

/**
 * The rows of one projection: read through and written behind, so that a row that changes ten times in a batch is
 * written once, with only its changed columns. What one event did can be taken back until the next begins.
 */
export class RowCache implements Rows {
  readonly #tables = new Map<string, CachedTable | HistoryTable>();
  /** What the current event replaced, latest last. */
  readonly #undo: Undo[] = [];
  readonly #text: Text = { chars: 0 };
  /** Rows of history older than this are not stored. */
  readonly #skipHistoryBelowMs: number;

  constructor(database: Database.Database, tables: readonly AnyTable[], skipHistoryBelowMs: number) {
    for (const table of tables) this.#tables.set(table.name, table.historyBy === undefined ? new CachedTable(database, table, this.#text) : new HistoryTable(database, table));
    this.#skipHistoryBelowMs = skipHistoryBelowMs;
  }

  get<R extends object>(table: Table<R>, key: readonly Cell[]): R | undefined {
    return this.#read(table).get(key) as R | undefined;
  }

  put<R extends object>(table: Table<R>, row: R): void {
    const rows = this.#of(table);
    this.#text.chars += rows.shape.check(row as Row);
    if (table.historyBy !== undefined && Number(row[table.historyBy]) < this.#skipHistoryBelowMs) return;
    this.#undo.push(rows.put(row as Row));
  }

  list<R extends object>(table: Table<R>, keyStart: readonly Cell[]): readonly R[] {
    return this.#read(table).list(keyStart) as R[];
  }

  /** What follows belongs to one event. What came before is written and let go where it has become much, within the transaction that is open. */
  beginEvent(): void {
    this.#undo.length = 0;
    if (this.#text.chars <= maxChars) return;
    this.flush();
    this.clear();
  }

  /** Takes back what the current event did. */
  undoEvent(): void {
    for (let one = this.#undo.pop(); one !== undefined; one = this.#undo.pop()) one.table.undo(one);
  }

  /** How many rows are held that are still to be written, and may change until then. */
  get held(): number {
    let held = 0;
    for (const table of this.#tables.values()) held += table.held;
    return held;
  }

  /** Writes what no fold reads again, within the transaction that is open. */
  spill(): void {
    this.#undo.length = 0;
    for (const table of this.#tables.values()) table.spill();
  }

  /** Writes what changed, within the transaction that is open. */
  flush(): void {
    this.#undo.length = 0;
    for (const table of this.#tables.values()) table.flush();
  }

  /** Forgets everything: when the file was changed past this, or it has become too much. */
  clear(): void {
    this.#undo.length = 0;
    this.#text.chars = 0;
    for (const table of this.#tables.values()) table.clear();
  }

  #of(table: AnyTable): CachedTable | HistoryTable {
    const known = this.#tables.get(table.name);
    if (known === undefined) throw new TypeError(`${table.name} is no table of this projection`);
    return known;
  }

  #read(table: AnyTable): CachedTable {
    const known = this.#of(table);
    if (known instanceof HistoryTable) throw new TypeError(`${table.name} is history, which a fold can't read`);
    return known;
  }
}

/** The columns of a table. */
class Shape {
  readonly names: readonly string[];
  readonly #table: AnyTable;
  readonly #types: readonly ColumnType[];
  readonly #keyPlaces: readonly number[];

  constructor(table: AnyTable) {
    this.#table = table;
    this.names = Object.keys(table.columns);
    this.#types = Object.values(table.columns);
    this.#keyPlaces = table.key.map((column) => this.names.indexOf(column));
  }

  /** Throws when the row can't be stored: so the event is poison, and not the batch. Answers how much text it has. */
  check(row: Row): number {
    let chars = 0;
    for (let place = 0; place < this.names.length; place += 1) {
      const cell = row[this.names[place] as string];
      if (cell === null ? this.#keyPlaces.includes(place) : !fits(this.#types[place], cell)) throw new TypeError(`${this.#table.name}.${this.names[place]} can't hold ${cell === null ? 'null' : typeof cell}`);
      if (typeof cell === 'string') chars += cell.length;
    }
    return chars;
  }

  cellsOf(row: Row): readonly Cell[] {
    return this.names.map((name) => row[name] as Cell);
  }

  /** As `keyName` of its key. */
  nameOf(row: Row): string {
    const { key } = this.#table;
    const [only = ''] = key;
    return key.length === 1 ? String(row[only]) : keyName(key.map((column) => row[column] as Cell));
  }
}

/** Rows of history: written, and never read by a fold, because when they are dropped is the store's affair. */
class HistoryTable implements TableRows {
  readonly shape: Shape;
  readonly #upsert: Database.Statement<Cell[]>;
  #changed: Row[] = [];
  readonly #undo: Undo = { table: this, name: '', before: undefined };

  constructor(database: Database.Database, table: AnyTable) {
    this.shape = new Shape(table);
    this.#upsert = database.prepare<Cell[]>(upsert(table));
  }

  put(row: Row): Undo {
    this.#changed.push(row);
    return this.#undo;
  }

  undo(): void {
    this.#changed.pop();
  }

  get held(): number {
    return this.#changed.length;
  }

  spill(): void {
    this.flush();
  }

  flush(): void {
    for (const row of this.#changed) this.#upsert.run(...this.shape.cellsOf(row));
    this.#changed = [];
  }

  clear(): void {
    this.#changed = [];
  }
}

class CachedTable implements TableRows {
  readonly shape: Shape;
  readonly #database: Database.Database;
  readonly #table: AnyTable;
  readonly #text: Text;
  readonly #select: Database.Statement<Cell[], Row>;
  readonly #upsert: Database.Statement<Cell[]>;
  /** By how many cells of the key are given. */
  readonly #selects = new Map<number, Database.Statement<Cell[], Row>>();
  readonly #updates = new Map<string, Database.Statement<Cell[]>>();
  /** What the file holds; null: no such row. */
  readonly #stored = new Map<string, Row | null>();
  /** What is to be written. */
  readonly #changed = new Map<string, Row>();
  /** Rows that no fold looks up are not kept once they are written. */
  #isRead = false;
  /** A list looks through all that is held. */
  #isListed = false;

  constructor(database: Database.Database, table: AnyTable, text: Text) {
    this.#database = database;
    this.#table = table;
    this.#text = text;
    this.shape = new Shape(table);
    this.#select = database.prepare<Cell[], Row>(selectByKey(table));
    this.#upsert = database.prepare<Cell[]>(upsert(table));
  }

  get(key: readonly Cell[]): Row | undefined {
    this.#isRead = true;
    const name = keyName(key);
    const changed = this.#changed.get(name);
    if (changed !== undefined) return changed;
    const stored = this.#stored.get(name);
    if (stored !== undefined) return stored ?? undefined;
    const row = this.#select.get(...key);
    this.#stored.set(name, row ?? null);
    if (row !== undefined) this.#text.chars += this.shape.check(row);
    return row;
  }

  list(keyStart: readonly Cell[]): readonly Row[] {
    this.#isListed = true;
    const found = new Map<string, Row>();
    for (const row of this.#selectBy(keyStart.length).all(...keyStart)) found.set(this.shape.nameOf(row), row);
    const start = `${keyName(keyStart)}\0`;
    for (const [name, row] of this.#changed) if (`${name}\0`.startsWith(start)) found.set(name, row);
    return [...found.values()];
  }

  #selectBy(cells: number): Database.Statement<Cell[], Row> {
    let select = this.#selects.get(cells);
    if (select === undefined) this.#selects.set(cells, (select = this.#database.prepare<Cell[], Row>(selectByKey(this.#table, cells))));
    return select;
  }

  put(row: Row): Undo {
    const name = this.shape.nameOf(row);
    const before = this.#changed.get(name);
    this.#changed.set(name, row);
    return { table: this, name, before };
  }

  undo({ name, before }: Undo): void {
    if (before === undefined) this.#changed.delete(name);
    else this.#changed.set(name, before);
  }

  get held(): number {
    return this.#changed.size;
  }

  spill(): void {
    if (!this.#isRead || this.#isListed) this.flush();
  }

  flush(): void {
    const kept = this.#isRead && this.#changed.size <= maxKept;
    for (const [name, row] of this.#changed) {
      this.#write(row, this.#stored.get(name));
      if (kept) this.#stored.set(name, row);
    }
    if (!kept || this.#stored.size > maxKept) this.#stored.clear();
    this.#changed.clear();
  }

  clear(): void {
    this.#changed.clear();
    this.#stored.clear();
  }

  #write(row: Row, stored: Row | null | undefined): void {
    if (stored === undefined || stored === null) {
      this.#upsert.run(...this.shape.cellsOf(row));
      return;
    }
    const changed = this.shape.names.filter((name) => row[name] !== stored[name]);
    if (changed.length > 0) this.#update(changed).run(...[...changed, ...this.#table.key].map((name) => row[name] as Cell));
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

/** One name per key: cells of keys hold no NUL. */
const keyName = (key: readonly Cell[]): string => key.join('\0');

function fits(type: ColumnType | undefined, cell: unknown): boolean {
  switch (type) {
    case 'text':
      return typeof cell === 'string';
    case 'integer':
      return Number.isSafeInteger(cell);
    default:
      return typeof cell === 'string' && isPosition(cell);
  }
}
