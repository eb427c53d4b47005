import type { AnyTable, Cell } from '#kernel';

export type Row = Readonly<Record<string, Cell>>;

const sqlType = { text: 'TEXT', integer: 'INTEGER', position: 'INTEGER' } as const;

const quoted = (name: string): string => `"${name}"`;
const list = (names: readonly string[]): string => names.map(quoted).join(', ');
const keyIs = (table: AnyTable, cells = table.key.length): string => table.key.slice(0, cells).map((column) => `${quoted(column)} = ?`).join(' AND ');

/** The columns of a table as a SELECT takes them: positions as decimal strings, since a 64-bit number is none in JavaScript. */
export function columnsOf(table: AnyTable, alias?: string): string {
  const from = alias === undefined ? '' : `${alias}.`;
  return Object.entries(table.columns)
    .map(([name, type]) => (type === 'position' ? `CAST(${from}${quoted(name)} AS TEXT) AS ${quoted(name)}` : `${from}${quoted(name)}`))
    .join(', ');
}

/** The statements that make a table and its indexes. */
export function createTable(table: AnyTable): readonly string[] {
  const columns = Object.entries(table.columns).map(([name, type]) => `${quoted(name)} ${sqlType[type]}`);
  const indexes = (table.indexes ?? []).map(
    ({ columns: indexed, present }) =>
      `CREATE INDEX ${quoted(`${table.name}_by_${indexed.join('_')}`)} ON ${quoted(table.name)} (${list(indexed)})${present === undefined ? '' : ` WHERE ${quoted(present)} IS NOT NULL`}`,
  );
  return [`CREATE TABLE ${quoted(table.name)} (${columns.join(', ')}, PRIMARY KEY (${list(table.key)})) STRICT, WITHOUT ROWID`, ...indexes];
}

export const dropTable = (name: string): string => `DROP TABLE IF EXISTS ${quoted(name)}`;

export const selectByKey = (table: AnyTable, cells?: number): string => `SELECT ${columnsOf(table)} FROM ${quoted(table.name)} WHERE ${keyIs(table, cells)}`;

export const selectInKeyOrder = (table: AnyTable): string => `SELECT ${columnsOf(table)} FROM ${quoted(table.name)} ORDER BY ${list(table.key)}`;

export function upsert(table: AnyTable): string {
  const names = Object.keys(table.columns);
  const others = names.filter((name) => !table.key.includes(name)).map((name) => `${quoted(name)} = excluded.${quoted(name)}`);
  const onConflict = others.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${others.join(', ')}`;
  return `INSERT INTO ${quoted(table.name)} (${list(names)}) VALUES (${names.map(() => '?').join(', ')}) ON CONFLICT ${onConflict}`;
}

/** Names only what changed, because SQLite rewrites every index that has a column which is named. */
export const update = (table: AnyTable, changed: readonly string[]): string =>
  `UPDATE ${quoted(table.name)} SET ${changed.map((name) => `${quoted(name)} = ?`).join(', ')} WHERE ${keyIs(table)}`;
