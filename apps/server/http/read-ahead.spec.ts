import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore } from '#event-store/memory';
import { ReadAhead } from './read-ahead.ts';

/** A log of events with so many characters of data each, how it is read to its end, and with which limits. */
async function read(sizes: readonly number[]): Promise<{ readonly pages: readonly (readonly number[])[]; readonly positions: readonly string[]; readonly limits: readonly number[] }> {
  const store = createMemoryEventStore();
  for (const [index, size] of sizes.entries()) {
    await store.append(`event-acme.production.e${index}`, 'NO_STREAM', [{ id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`, type: 'EventPublished', data: `"${'x'.repeat(size - 2)}"`, metadata: {} }]);
  }
  const limits: number[] = [];
  const readAll: typeof store.readAll = (after, filter, limit) => (limits.push(limit), store.readAll(after, filter, limit));
  const ahead = new ReadAhead({ readAll }, { prefixes: ['event-acme.'] });
  const pages: (readonly number[])[] = [];
  const positions: string[] = [];
  for (let after = '0', more = true; more; ) {
    const { events, position, caughtUp } = await ahead.after(after);
    pages.push(events.map(({ data }) => data.length));
    positions.push(...events.map((event) => event.position));
    [after, more] = [position, !caughtUp];
  }
  return { pages, positions, limits };
}

const kib = 1024;
const upTo = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => String(index + 1));

describe('what a stream reads ahead of its client', () => {
  it('is no more than 100 events', async () => {
    const { pages, positions } = await read(Array.from({ length: 250 }, () => 10));
    expect([pages.map(({ length }) => length), positions]).toEqual([[100, 100, 50], upTo(250)]);
  });

  it('is no more than 256 KiB of data, or one event, and misses none', async () => {
    const { pages, positions } = await read([...Array.from({ length: 20 }, () => 10), ...Array.from({ length: 20 }, () => 100 * kib), 256 * kib, 256 * kib, 10, 10]);
    expect(Math.max(...pages.map((page) => page.reduce((sum, size) => sum + size, 0)))).toBe(256 * kib);
    expect(positions).toEqual(upTo(44));
  });

  it('is asked for as it is held: large events in small pages, small ones in large pages again', async () => {
    const { limits } = await read([...Array.from({ length: 8 }, () => 120 * kib), ...Array.from({ length: 300 }, () => 10)]);
    expect(limits.slice(0, 4)).toEqual([100, 2, 4, 2]);
    expect(limits.at(-1)).toBe(100);
  });
});
