import type Database from 'better-sqlite3';
import { judgeAppend } from '../verdict.ts';
import { copyDatabase, type CopyOptions } from './log-copy.ts';
import { type Answer, type AppendedEach, type AppendedInTurn, type AppendEachRequest, type Appending, type AppendInTurnRequest, type AppendRequest, columnsPerAppend, ended, type Read, type ReadAllRequest, type ReadStreamRequest, type Writing } from './protocol.ts';
import { isSqliteError } from './sqlite-error.ts';

/** Bounds of one read of the log: characters of data in it, and positions looked through for prefixes finer than a category. */
const readChars = 2 * 1024 * 1024;
const searchedPositions = 100_000;
/** Rows that one step of a removal deletes: bounds how long appends wait behind it. */
const removedRows = 500;

const columns = 'position, revision, stream, id, type, data, metadata';
/**
 * Parameters whose values the planner can't look at. Where it can, and would for a range, a limit or a part of an index, SQLite plans the
 * statement anew each time they are bound, which takes five times as long as running it. https://sqlite.org/c3ref/prepare.html
 */
const text = "(? || '')";
const number = '(? + 0)';
type Row = [position: number, revision: number, stream: string, id: string, type: string, data: string, metadata: string];

type Append = Pick<AppendRequest, 'stream' | 'expected' | 'events'>;

/** Nothing of the transaction was written, and the log is as it was before. */
export class NotWritten extends Error {
  override readonly name = 'NotWritten';
}

/** A commit failed in such a way that it may be on disk or not. Only a restart, which reads the disk, can tell. */
export class CommitInDoubt extends Error {
  override readonly name = 'CommitInDoubt';
}

/** The log as SQL over one connection that nobody else uses; synchronous, for the storage thread. */
export class SqliteLog {
  readonly #database: Database.Database;
  readonly #tombstones: Set<string>;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #readsByPrefixCount = new Map<number, Database.Statement<unknown[], Row>>();
  #head: number;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#statements = prepare(database);
    this.#tombstones = new Set(database.prepare<[], string>('SELECT stream FROM tombstones').pluck().all());
    this.#head = this.#statements.head.get() ?? 0;
  }

  /** The position of the last committed event or removal. */
  get head(): number {
    return this.#head;
  }

  /**
   * Several appends in one transaction, each judged on its own against what stands there, the ones before it included.
   * The answers hold once this returns. Throws `NotWritten` or `CommitInDoubt`.
   */
  commit(writings: readonly Writing[]): readonly Answer[] {
    let head = this.#head;
    const append = (one: Append): Appending => {
      const answer = this.#append(one, head);
      if ('done' in answer && answer.written) head = answer.position;
      return answer;
    };
    const answers = this.#transaction(() => writings.map((writing) => answerOf(writing, append)));
    this.#head = head;
    return answers;
  }

  #append({ stream, expected, events }: Append, head: number): Appending {
    if (this.#tombstones.has(stream)) return { refused: 'tombstoned' };
    const current = this.#statements.current.get(stream) ?? -1;
    const ids = events.filter((_, index) => index % 4 === 0);
    const verdict = judgeAppend(expected, current, ids, (revision) => this.#statements.at.get(stream, revision)?.[1]);
    if (verdict === 'conflict') return { refused: 'conflict', current };
    const revision = expected + ids.length;
    const written = verdict === 'write';
    if (!written) return { done: 'appended', revision, position: this.#statements.at.get(stream, revision)?.[0] ?? head, written };
    ids.forEach((id, index) => {
      const [type, data, metadata] = events.slice(4 * index + 1, 4 * index + 4);
      this.#statements.insert.run(head + 1 + index, expected + 1 + index, stream, id, type, data, metadata);
    });
    return { done: 'appended', revision, position: head + ids.length, written };
  }

  readStream({ stream, from, limit }: ReadStreamRequest): Read {
    const rows = this.#tombstones.has(stream) ? [] : this.#statements.stream.all(stream, from, limit);
    const { events } = flatten(rows, Infinity);
    return { done: 'read', events, position: this.#head, caughtUp: true };
  }

  readAll({ after, prefixes, limit }: ReadAllRequest): Read {
    if (after >= this.#head) return { done: 'read', events: [], position: after, caughtUp: true };
    const until = prefixes?.some(isFinerThanCategory) ? Math.min(this.#head, after + searchedPositions) : this.#head;
    const { events, count, last, full } = flatten(this.#rows(after, until, prefixes, limit), readChars);
    const position = full || count === limit ? last : until;
    return { done: 'read', events, position, caughtUp: position === this.#head };
  }

  #rows(after: number, until: number, prefixes: readonly string[] | undefined, limit: number): Iterable<Row> {
    if (prefixes === undefined) return this.#statements.all.iterate(after, until, limit);
    if (prefixes.length === 0) return [];
    const parameters = prefixes.flatMap((prefix) => [prefix.slice(0, prefix.indexOf('-')), after, until, prefix, prefix]);
    return this.#byPrefixes(prefixes.length).iterate(...parameters, limit);
  }

  /** One ordered search per prefix, merged: SQLite sorts nothing and reads no row of another category. */
  #byPrefixes(count: number): Database.Statement<unknown[], Row> {
    const known = this.#readsByPrefixCount.get(count);
    if (known !== undefined) return known;
    const one = `SELECT ${columns} FROM events INDEXED BY events_by_category
      WHERE category = ${text} AND position > ${number} AND position <= ${number} AND substr(stream, 1, length(?)) = ?`;
    const all = `${Array.from({ length: count }, () => one).join(' UNION ALL ')} ORDER BY position LIMIT ${number}`;
    const statement = this.#database.prepare<unknown[], Row>(all).raw();
    this.#readsByPrefixCount.set(count, statement);
    return statement;
  }

  /** Refuses the stream's name from now on. Its events are removed step by step, and then scrubbed. */
  refuse(stream: string): void {
    if (this.#tombstones.has(stream)) return;
    this.#transaction(() => this.#statements.refuse.run(stream, this.#head + 1));
    this.#head += 1;
    this.#tombstones.add(stream);
  }

  /** Removes some of a refused stream's events; false when none are left. */
  removeSome(stream: string): boolean {
    return this.#transaction(() => {
      const more = this.#statements.remove.run(stream, removedRows).changes === removedRows;
      if (!more) this.#statements.cleared.run(stream);
      return more;
    });
  }

  /** Leaves nothing of what was removed in any file: the write-ahead log is emptied into the file, which is overwritten there. */
  scrub(): void {
    this.#database.pragma('wal_checkpoint(TRUNCATE)');
  }

  /** As `copyDatabase`: the copy ends with the head of the moment when this resolves. */
  copyTo(file: string, options: CopyOptions): Promise<number> {
    return copyDatabase(this.#database, file, options);
  }

  /** Every stream whose name is refused. */
  removals(): readonly string[] {
    return [...this.#tombstones];
  }

  /** Streams whose removal a crash cut short. */
  unfinishedRemovals(): readonly string[] {
    return this.#statements.unfinished.all();
  }

  close(): void {
    this.#database.close();
  }

  #transaction<Result>(work: () => Result): Result {
    let result: Result;
    try {
      this.#statements.begin.run();
      result = work();
    } catch (error) {
      throw this.#rolledBack(error);
    }
    try {
      this.#statements.commit.run();
    } catch (error) {
      // A full disk refuses the write itself; any other failure may come after the commit has reached the disk.
      if (isSqliteError(error) && error.code === 'SQLITE_FULL') throw this.#rolledBack(error);
      throw new CommitInDoubt(String(error), { cause: error });
    }
    return result;
  }

  #rolledBack(error: unknown): unknown {
    if (this.#database.inTransaction) this.#statements.rollback.run();
    return isSqliteError(error) ? new NotWritten(`${error.message} (${error.code})`, { cause: error }) : error;
  }
}

function answerOf(writing: Writing, append: (one: Append) => Appending): Answer {
  switch (writing.op) {
    case 'append':
      return append(writing);
    case 'appendEach':
      return eachOf(writing, append);
    case 'appendInTurn':
      return inTurnOf(writing, append);
  }
}

function inTurnOf({ appends }: AppendInTurnRequest, append: (one: Append) => Appending): AppendedInTurn {
  const ends: Appending[] = [];
  for (const one of appends) {
    const end = append(one);
    ends.push(end);
    if ('refused' in end) break;
  }
  return { done: 'appended-in-turn', ends };
}

function eachOf({ appends }: AppendEachRequest, append: (one: Append) => Appending): AppendedEach {
  const ends: number[] = [];
  for (let start = 0; start < appends.length; start += columnsPerAppend) {
    const [stream, expected, ...events] = appends.slice(start, start + columnsPerAppend) as [string, number, string, string, string, string];
    const answer = append({ stream, expected, events });
    if ('done' in answer) ends.push(answer.written ? ended.written : ended.repeated, answer.revision, answer.position);
    else if (answer.refused === 'conflict') ends.push(ended.conflict, answer.current, 0);
    else ends.push(ended.tombstoned, 0, 0);
  }
  return { done: 'appended-each', ends };
}

const isFinerThanCategory = (prefix: string): boolean => !prefix.endsWith('-') || prefix.indexOf('-') < prefix.length - 1;

function flatten(rows: Iterable<Row>, maxChars: number): { events: (string | number)[]; count: number; last: number; full: boolean } {
  const events: (string | number)[] = [];
  let count = 0;
  let last = 0;
  let chars = 0;
  for (const row of rows) {
    events.push(...row);
    count += 1;
    last = row[0];
    chars += row[5].length + row[6].length;
    if (chars >= maxChars) return { events, count, last, full: true };
  }
  return { events, count, last, full: false };
}

function prepare(database: Database.Database) {
  const row = (sql: string): Database.Statement<unknown[], Row> => database.prepare<unknown[], Row>(sql).raw();
  return {
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    rollback: database.prepare('ROLLBACK'),
    head: database
      .prepare<[], number>('SELECT max(ifnull((SELECT max(position) FROM events), 0), ifnull((SELECT max(position) FROM tombstones), 0))')
      .pluck(),
    current: database.prepare<[string], number>(`SELECT revision FROM events WHERE stream = ${text} ORDER BY revision DESC LIMIT 1`).pluck(),
    at: database.prepare<[string, number], [number, string]>('SELECT position, id FROM events WHERE stream = ? AND revision = ?').raw(),
    insert: database.prepare(`INSERT INTO events (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)`),
    stream: row(`SELECT ${columns} FROM events WHERE stream = ${text} AND revision >= ${number} ORDER BY revision LIMIT ${number}`),
    all: row(`SELECT ${columns} FROM events WHERE position > ${number} AND position <= ${number} ORDER BY position LIMIT ${number}`),
    refuse: database.prepare('INSERT INTO tombstones (stream, position, cleared) VALUES (?, ?, 0)'),
    remove: database.prepare(
      'DELETE FROM events WHERE position IN (SELECT position FROM events INDEXED BY events_by_stream WHERE stream = ? ORDER BY revision LIMIT ?)',
    ),
    cleared: database.prepare('UPDATE tombstones SET cleared = 1 WHERE stream = ?'),
    unfinished: database.prepare<[], string>('SELECT stream FROM tombstones WHERE cleared = 0').pluck(),
  };
}
