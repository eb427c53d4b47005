import type Database from 'better-sqlite3';
import { type Position, refuse, type Refusal } from '#kernel';

const prepared = new WeakMap<Database.Database, Map<string, Database.Statement>>();

/** A statement of this database, prepared once. */
export function sql<Row>(database: Database.Database, text: string): Database.Statement<unknown[], Row> {
  let known = prepared.get(database);
  if (known === undefined) {
    known = new Map();
    prepared.set(database, known);
  }
  let statement = known.get(text);
  if (statement === undefined) {
    statement = database.prepare(text);
    known.set(text, statement);
  }
  return statement as Database.Statement<unknown[], Row>;
}

/**
 * Parameters of statements that are run often. SQLite plans a statement anew whenever a value is bound at which the planner would
 * look, which takes ten times as long as running it; it does not look at what is worked out. https://sqlite.org/c3ref/prepare.html
 */
export const text = "(? || '')";
export const number = '(? + 0)';

/** One page of a list, newest first. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Opaque; null on the last page. */
  readonly nextCursor: string | null;
}

/** Which page: at most `limit` items after the cursor of the page before. */
export interface Paging {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** A place past the end of every list: where the newest stand. */
export const beyondAll: Position = '9223372036854775807';

/** The lists that are read in pages: two of them may sort alike, and one must not go on where the other ended. */
export type ListName = 'approvals' | 'deliveries' | 'keys' | 'recoveries' | 'refusals' | 'subscriptions';

export const toCursor = (list: ListName, key: readonly (string | number)[]): string => Buffer.from(JSON.stringify([list, ...key])).toString('base64url');

/** The sort key in a cursor: `first` where there is none yet, a refusal where it was not made by `toCursor` for this list. */
export function fromCursor<Key extends readonly (string | number)[]>(list: ListName, cursor: string | undefined, first: Key): Key | Refusal {
  if (cursor === undefined) return first;
  try {
    const made = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown;
    const [name, ...key] = Array.isArray(made) ? (made as readonly unknown[]) : [];
    if (name === list && key.length === first.length && key.every((part, index) => typeof part === typeof first[index])) return key as readonly unknown[] as Key;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const message = 'This cursor was not made by this list.';
  return refuse('validation-failed', message, { errors: [{ path: 'cursor', message }] });
}

export const isKey = <Key extends readonly (string | number)[]>(key: Key | Refusal): key is Key => Array.isArray(key);

/** A page of rows read with one more than asked. */
export function pageOf<Row, Item>(list: ListName, rows: readonly Row[], limit: number, item: (row: Row) => Item, key: (row: Row) => readonly (string | number)[]): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(item), nextCursor: rows.length > limit && last !== undefined ? toCursor(list, key(last)) : null };
}

export const instant = (atMs: number | null): string | null => (atMs === null ? null : new Date(atMs).toISOString());
