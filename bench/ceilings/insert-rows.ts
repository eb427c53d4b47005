import Database from 'better-sqlite3';

type Cell = string | number | null;

interface CopiedTable {
  readonly name: string;
  readonly insert: string;
  readonly rows: readonly (readonly Cell[])[];
}

/** What a file of read models holds: how to make its tables, and their rows. */
export interface Copy {
  readonly schema: readonly string[];
  readonly tables: readonly CopiedTable[];
}

/** Reads a file of read models whole. */
export function copyOf(path: string): Copy {
  const database = new Database(path, { readonly: true });
  const schema = database.prepare<[], string>("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'index'").pluck().all();
  const names = database.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
  const tables = names.map((name) => {
    const rows = database.prepare<[], Cell[]>(`SELECT * FROM "${name}"`).raw().all();
    return { name, rows, insert: `INSERT INTO "${name}" VALUES (${(rows[0] ?? []).map(() => '?').join(', ')})` };
  });
  database.close();
  return { schema, tables: tables.filter(({ rows }) => rows.length > 0) };
}

/** The ceiling of a rebuild: writes the same rows into the same tables, once each, in so many transactions of equal shares. */
export function insertRows({ schema, tables }: Copy, path: string, transactions: number): void {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.pragma('cache_size = -65536');
  database.pragma('wal_autocheckpoint = 4000');
  for (const statement of schema) database.exec(statement);
  const filled = tables.map(({ insert, rows }) => ({ rows, share: Math.ceil(rows.length / transactions), statement: database.prepare<Cell[]>(insert) }));
  for (let turn = 0; turn < transactions; turn += 1) {
    database.transaction(() => {
      for (const { rows, share, statement } of filled) for (const row of rows.slice(turn * share, (turn + 1) * share)) statement.run(...row);
    }).immediate();
  }
  database.close();
}
