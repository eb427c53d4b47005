import type { DomainEvent, RecordedEvent, Stored } from './events.ts';
import { stored, type storedUnread } from './events.ts';
import { isLedgerEvent } from './receipt.ts';
import type { Site } from './site.ts';
import { parseStream } from './streams.ts';

/** What a cell of a read model holds. Truth values are 0 and 1, structured values JSON text. */
export type Cell = string | number | null;

/** `position`: written and read as the decimal string it is, ordered as the number it stands for. */
export type ColumnType = 'text' | 'integer' | 'position';

/** A table as data: what its rows are, what names one, and by what else they are looked up. */
export interface Table<Row extends object> {
  readonly name: string;
  readonly columns: { readonly [Column in keyof Row]-?: ColumnType };
  readonly key: readonly (keyof Row & string)[];
  readonly indexes?: readonly {
    readonly columns: readonly (keyof Row & string)[];
    /** Only rows where this column is not null stand in the index. */
    readonly present?: keyof Row & string;
  }[];
  /** The column with the time (ms) after which a row is history: kept for the history days only, and not even stored when older. */
  readonly historyBy?: keyof Row & string;
}

/** A table of whatever rows. */
export interface AnyTable {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnType>>;
  readonly key: readonly string[];
  readonly indexes?: readonly { readonly columns: readonly string[]; readonly present?: string }[];
  readonly historyBy?: string;
}

/**
 * The rows a projection folds into. Synchronous: storage and fold share a thread. Rows are never changed in place, and never
 * deleted by a fold: what ended says so, and history is dropped by the store.
 */
export interface Rows {
  get<Row extends object>(table: Table<Row>, key: readonly Cell[]): Row | undefined;
  /** Writes a row whole, whether or not there was one with its key. */
  put<Row extends object>(table: Table<Row>, row: Row): void;
  /** The rows whose key starts with these cells, in no order. For keys that hold few rows. */
  list<Row extends object>(table: Table<Row>, keyStart: readonly Cell[]): readonly Row[];
}

/**
 * A read model as a fold over the log. `apply` is pure but for `rows`: the same events in the same order give the same
 * rows. It throws on an event it can't fold, which stops the projection there until a restart.
 */
export interface Projection {
  readonly name: string;
  /** Raised when the same events give other rows than before: the projection is then built anew. */
  readonly version: number;
  /** It sees the events of the streams that start so. */
  readonly prefixes: readonly string[];
  readonly tables: readonly AnyTable[];
  apply(event: RecordedEvent, rows: Rows): void;
}

/**
 * The domain event in a recorded one, or undefined for a ledger event, which stands in every governed stream.
 * Throws for a type the domain does not know: to skip it would make a read model that is wrong without saying so.
 */
export function domainEvent<Event extends DomainEvent<string, object>>(event: RecordedEvent, types: Readonly<Record<Event['type'], true>>, read: typeof stored | typeof storedUnread = stored): Stored<Event> | undefined {
  if (isLedgerEvent(event)) return undefined;
  if (!Object.hasOwn(types, event.type)) throw new TypeError(`${event.type} at ${event.position} is no event of ${event.stream}`);
  return read<Event>(event);
}

/** The site and id a resource's stream name says. Throws when the name is of another form: a poison event. */
export function resourceOf(event: RecordedEvent): { readonly site: Site; readonly id: string } {
  const parsed = parseStream(event.stream);
  if (parsed === undefined) throw new TypeError(`${event.stream} at ${event.position} is no resource's stream`);
  return parsed;
}
