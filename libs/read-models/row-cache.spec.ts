import { describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';
import type { Table } from '#kernel';
import { RowCache } from './row-cache.ts';
import { createTable, selectInKeyOrder } from './sql.ts';

interface Count {
  readonly name: string;
  readonly count: number;
}
interface Visit {
  readonly name: string;
  readonly atMs: number;
}

const counts: Table<Count> = { name: 'counts', columns: { name: 'text', count: 'integer' }, key: ['name'] };
const visits: Table<Visit> = { name: 'visits', columns: { name: 'text', atMs: 'integer' }, key: ['name', 'atMs'], historyBy: 'atMs' };

const places: Table<{ readonly name: string; readonly at: number; readonly what: string }> = { name: 'places', columns: { name: 'text', at: 'integer', what: 'text' }, key: ['name', 'at'] };

function given(skipHistoryBelowMs = 0) {
  const database = new Database(':memory:');
  for (const statement of [counts, visits, places].flatMap(createTable)) database.exec(statement);
  const rows = new RowCache(database, [counts, visits, places], skipHistoryBelowMs);
  const stored = () => ({ counts: database.prepare(selectInKeyOrder(counts)).all(), visits: database.prepare(selectInKeyOrder(visits)).all() });
  return { database, rows, stored };
}

describe('rows of a fold', () => {
  it('are listed by how their key starts, as they were put last', () => {
    const { database, rows } = given();
    database.exec("INSERT INTO places VALUES ('a', 1, 'stored'), ('a', 2, 'stored'), ('ab', 1, 'stored')");
    for (const place of [{ name: 'a', at: 2, what: 'put' }, { name: 'ab', at: 2, what: 'put' }]) rows.put(places, place);
    expect(rows.list(places, ['a'])).toEqual([{ name: 'a', at: 1, what: 'stored' }, { name: 'a', at: 2, what: 'put' }]);
    rows.flush();
    expect(rows.list(places, ['ab']).map(({ at }) => at)).toEqual([1, 2]);
  });

  it('are written and let go, between two events, where much text came in with them, read or put', () => {
    const { database, rows, stored } = given();
    const name = (letter: string): string => letter.repeat(20 * 1024 * 1024);
    database.prepare('INSERT INTO counts VALUES (?, 1)').run(name('a'));
    expect(rows.get(counts, [name('a')])?.count).toBe(1);
    rows.put(counts, { name: name('b'), count: 1 });
    expect(stored().counts).toHaveLength(1);
    rows.beginEvent();
    expect(stored().counts).toHaveLength(2);
    // It is read again.
    database.exec('UPDATE counts SET count = 7');
    expect([name('a'), name('b')].map((key) => rows.get(counts, [key])?.count)).toEqual([7, 7]);
  });

  it('are written when it says so, those of history as often as they came', () => {
    const { rows, stored } = given();
    rows.put(counts, { name: 'a', count: 1 });
    rows.put(visits, { name: 'a', atMs: 5 });
    rows.put(visits, { name: 'a', atMs: 5 });
    expect(stored()).toEqual({ counts: [], visits: [] });
    rows.flush();
    expect(stored()).toEqual({ counts: [{ name: 'a', count: 1 }], visits: [{ name: 'a', atMs: 5 }] });
  });

  it('are what was put last, whether or not that is written', () => {
    const { database, rows, stored } = given();
    database.exec("INSERT INTO counts VALUES ('a', 1)");
    expect(rows.get(counts, ['a'])).toEqual({ name: 'a', count: 1 });
    rows.put(counts, { name: 'a', count: 2 });
    expect(rows.get(counts, ['a'])).toEqual({ name: 'a', count: 2 });
    rows.flush();
    expect(rows.get(counts, ['a'])).toEqual({ name: 'a', count: 2 });
    rows.put(counts, { name: 'a', count: 3 });
    rows.put(counts, { name: 'a', count: 2 });
    rows.flush();
    expect(stored().counts).toEqual([{ name: 'a', count: 2 }]);
  });

  it('are as before an event that is taken back, in every table', () => {
    const { rows, stored } = given();
    rows.put(counts, { name: 'a', count: 1 });
    rows.put(visits, { name: 'a', atMs: 1 });
    rows.beginEvent();
    rows.put(counts, { name: 'a', count: 2 });
    rows.put(counts, { name: 'b', count: 1 });
    rows.put(visits, { name: 'a', atMs: 2 });
    rows.put(visits, { name: 'a', atMs: 3 });
    rows.undoEvent();
    expect(rows.get(counts, ['b'])).toBeUndefined();
    rows.flush();
    expect(stored()).toEqual({ counts: [{ name: 'a', count: 1 }], visits: [{ name: 'a', atMs: 1 }] });
  });

  it('of history are not stored when they are too old, and no fold can read any', () => {
    const { rows, stored } = given(10);
    rows.put(visits, { name: 'a', atMs: 9 });
    rows.put(visits, { name: 'a', atMs: 10 });
    rows.flush();
    expect(stored().visits).toEqual([{ name: 'a', atMs: 10 }]);
    expect(() => rows.get(visits, ['a', 10])).toThrow('visits is history');
    expect(() => rows.list(visits, ['a'])).toThrow('visits is history');
  });

  it('that do not fit their table are refused before anything is kept of them', () => {
    const { rows, stored } = given();
    expect(() => rows.put(counts, { name: 'a', count: 0.5 })).toThrow("counts.count can't hold number");
    rows.flush();
    expect(stored().counts).toEqual([]);
  });
});
