import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';
import { eventNamed } from '../../../test/support/event-store-contract.ts';
import type { AppendRequest, Writing } from './protocol.ts';
import { openLog } from './schema.ts';
import { CommitInDoubt, NotWritten, SqliteLog } from './sqlite-log.ts';

describe('the log when the disk fails', () => {
  let folder: string;
  let database: Database.Database;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'event-store-'));
    const opened = openLog(join(folder, 'events.db'));
    if ('refused' in opened) throw new Error(opened.refused);
    ({ database } = opened);
  });
  afterEach(async () => {
    database.close();
    await rm(folder, { recursive: true });
  });

  const append = (stream: string, expected: number, chars = 10): AppendRequest => {
    const { id, type } = eventNamed(`${stream}${expected}`);
    return { op: 'append', seq: 1, stream, expected, events: [id, type, JSON.stringify('x'.repeat(chars)), '{}'] };
  };
  const streamOf = (log: SqliteLog, stream: string): number => log.readStream({ op: 'readStream', seq: 1, stream, from: 0, limit: 100 }).events.length / 7;
  /** The same database, whose COMMIT fails while `failure` answers an error. */
  const failingCommit = (failure: () => Error | undefined): Database.Database =>
    new Proxy(database, {
      get(target, property) {
        const member: unknown = Reflect.get(target, property);
        if (typeof member !== 'function') return member;
        if (property !== 'prepare') return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
        return (sql: string): unknown => (sql === 'COMMIT' ? { run: () => runUnless(failure(), target.prepare(sql)) } : target.prepare(sql));
      },
    });
  const runUnless = (failure: Error | undefined, statement: Database.Statement): void => {
    if (failure !== undefined) throw failure;
    statement.run();
  };

  it('a full disk writes nothing of the batch, whole or in part, and what comes after keeps its truth', () => {
    const log = new SqliteLog(database);
    log.commit([append('orders-a', -1)]);
    const pages = Number(database.pragma('page_count', { simple: true }));
    database.pragma(`max_page_count = ${pages + 4}`);
    const batch = [append('orders-a', 0), append('orders-b', -1), append('orders-c', -1, 100_000)];
    expect(() => log.commit(batch)).toThrow(NotWritten);
    expect([streamOf(log, 'orders-a'), streamOf(log, 'orders-b'), streamOf(log, 'orders-c'), log.head]).toEqual([1, 0, 0, 1]);
    expect(log.commit([append('orders-a', 0)])).toEqual([{ done: 'appended', revision: 1, position: 2, written: true }]);
    database.pragma('max_page_count = 1000000');
    expect(log.commit(batch)).toMatchObject([{ done: 'appended', written: false, position: 2 }, { position: 3, written: true }, { position: 4, written: true }]);
    expect(new SqliteLog(database).head).toBe(4);
  });

  it('a full disk writes neither of two appends in turn, and nothing of what shares their transaction; repeated they are written together', () => {
    const log = new SqliteLog(database);
    log.commit([append('orders-a', -1)]);
    database.pragma(`max_page_count = ${Number(database.pragma('page_count', { simple: true })) + 4}`);
    const batch: Writing[] = [append('orders-a', 0), { op: 'appendInTurn', seq: 2, appends: [append('claims-a', -1), append('orders-b', -1, 100_000)] }, append('orders-c', -1)];
    expect(() => log.commit(batch)).toThrow(NotWritten);
    expect([...['orders-a', 'claims-a', 'orders-b', 'orders-c'].map((stream) => streamOf(log, stream)), log.head]).toEqual([1, 0, 0, 0, 1]);
    database.pragma('max_page_count = 1000000');
    const both = { done: 'appended-in-turn', ends: [{ done: 'appended', revision: 0, position: 3, written: true }, { done: 'appended', revision: 0, position: 4, written: true }] };
    expect(log.commit(batch)).toMatchObject([{ position: 2 }, both, { position: 5 }]);
    expect(log.commit(batch)).toMatchObject([{ written: false }, { ends: [{ position: 3, written: false }, { position: 4, written: false }] }, { written: false }]);
    expect(new SqliteLog(database).head).toBe(5);
  });

  it('of two appends in turn the first stays where the second is refused, and those that share their transaction see it', () => {
    const log = new SqliteLog(database);
    log.refuse('orders-gone');
    const inTurn = (...appends: AppendRequest[]): Writing => ({ op: 'appendInTurn', seq: 2, appends });
    const answers = log.commit([
      inTurn(append('claims-a', -1), append('orders-gone', -1), append('orders-b', -1)),
      inTurn(append('claims-a', -1), append('orders-b', -1)),
      inTurn({ ...append('claims-a', -1), events: append('other', 0).events }, append('orders-c', -1)),
      append('orders-b', 0),
    ]);
    expect(answers).toEqual([
      { done: 'appended-in-turn', ends: [{ done: 'appended', revision: 0, position: 2, written: true }, { refused: 'tombstoned' }] },
      { done: 'appended-in-turn', ends: [{ done: 'appended', revision: 0, position: 2, written: false }, { done: 'appended', revision: 0, position: 3, written: true }] },
      { done: 'appended-in-turn', ends: [{ refused: 'conflict', current: 0 }] },
      { done: 'appended', revision: 1, position: 4, written: true },
    ]);
    expect([streamOf(log, 'orders-c'), new SqliteLog(database).head]).toEqual([0, 4]);
  });

  it('a disk that is full at the commit itself writes nothing either', () => {
    let failure: Error | undefined = new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
    const log = new SqliteLog(failingCommit(() => failure));
    expect(() => log.commit([append('orders-a', -1)])).toThrow(NotWritten);
    failure = undefined;
    expect(log.head).toBe(0);
    expect(log.commit([append('orders-a', -1)])).toEqual([{ done: 'appended', revision: 0, position: 1, written: true }]);
  });

  it('a failed sync leaves the commit in doubt: not answered, not taken back', () => {
    const log = new SqliteLog(failingCommit(() => new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC')));
    expect(() => log.commit([append('orders-a', -1)])).toThrow(CommitInDoubt);
  });

  it('a removal that cannot be written is not taken for done', () => {
    let failure: Error | undefined;
    const log = new SqliteLog(failingCommit(() => failure));
    log.commit([append('orders-a', -1)]);
    failure = new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
    expect(() => log.refuse('orders-a')).toThrow(NotWritten);
    failure = undefined;
    expect([streamOf(log, 'orders-a'), log.head]).toEqual([1, 1]);
    expect(log.commit([append('orders-a', 0)])).toMatchObject([{ done: 'appended', position: 2 }]);
  });
});
