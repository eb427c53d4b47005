import type { AnyTable, Cell, Projection, RecordedEvent, Rows, Table } from '#kernel';

/** Rows in memory, for the specs of projections. */
export class MapRows implements Rows {
  readonly #tables = new Map<string, Map<string, object>>();

  get<Row extends object>(table: Table<Row>, key: readonly Cell[]): Row | undefined {
    return this.#of(table).get(key.join('\0')) as Row | undefined;
  }

  put<Row extends object>(table: Table<Row>, row: Row): void {
    this.#of(table).set(table.key.map((column) => row[column] as Cell).join('\0'), row);
  }

  list<Row extends object>(table: Table<Row>, keyStart: readonly Cell[]): readonly Row[] {
    return this.all(table).filter((row) => keyStart.every((cell, index) => row[table.key[index] as keyof Row] === cell));
  }

  /** Every row of a table, in the order they came. */
  all<Row extends object>(table: Table<Row>): readonly Row[] {
    return [...this.#of(table).values()] as Row[];
  }

  #of(table: AnyTable): Map<string, object> {
    const known = this.#tables.get(table.name) ?? new Map<string, object>();
    this.#tables.set(table.name, known);
    return known;
  }
}

/** What a projection makes of a log: it sees what it follows, in log order. */
export function folded(projection: Projection, events: readonly RecordedEvent[]): MapRows {
  const rows = new MapRows();
  for (const event of events) if (projection.prefixes.some((prefix) => event.stream.startsWith(prefix))) projection.apply(event, rows);
  return rows;
}
