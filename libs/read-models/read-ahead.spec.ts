import { describe, expect, it } from '@jest/globals';
import type { EventBatch } from '#event-store';
import type { RecordedEvent } from '#kernel';
import { flatten, unflattened } from './flat-events.ts';
import { readAhead } from './read-ahead.ts';

const eventAt = (position: number, data = '{}'): RecordedEvent => ({
  id: `id-${position}`,
  type: 'Happened',
  data,
  metadata: { recordedat: '2026-01-15T12:00:00.000Z', tenant: 'acme' },
  stream: `probe-acme.production.${position}`,
  revision: 0,
  position: String(position),
});

const batchOf = (positions: readonly number[], { caughtUp = false, data = '{}' } = {}): EventBatch => ({ events: positions.map((position) => eventAt(position, data)), position: String(positions.at(-1)), caughtUp });

/** Gives batches as fast as they are taken, and then throws, if it is to. */
async function* source(batches: readonly EventBatch[], taken: string[] = [], error?: Error): AsyncGenerator<EventBatch> {
  for (const batch of batches) {
    taken.push(batch.position);
    yield await Promise.resolve(batch);
  }
  if (error !== undefined) throw error;
}

const positions = ({ events }: EventBatch): readonly number[] => events.map(({ position }) => Number(position));

/** Takes batches, each so slowly that everything that may be read meanwhile has been. */
async function slowly(batches: AsyncIterable<EventBatch>, took: EventBatch[] = []): Promise<readonly EventBatch[]> {
  for await (const batch of batches) {
    took.push(batch);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return took;
}

describe('reading ahead', () => {
  it('gives what was read meanwhile as one batch, which ends where the last one ended', async () => {
    const found = await slowly(readAhead(source([batchOf([1, 2]), batchOf([3]), batchOf([5, 6], { caughtUp: true })])));
    expect(found.map(positions)).toEqual([[1, 2], [3, 5, 6]]);
    expect(found.at(-1)).toMatchObject({ position: '6', caughtUp: true });
  });

  it('gives an event of a batch once that a source gives again', async () => {
    const found = await slowly(readAhead(source([batchOf([1]), batchOf([2, 3]), batchOf([1]), batchOf([2, 3]), batchOf([3, 4])])));
    expect(found.map(positions)).toEqual([[1], [2, 3, 4]]);
    expect(found.at(-1)?.position).toBe('4');
  });

  it('reads no further ahead than one transaction should hold, in events and in characters', async () => {
    const many = Array.from({ length: 10 }, (_, index) => batchOf(Array.from({ length: 1_000 }, (__, event) => 1_000 * index + event + 1)));
    expect((await slowly(readAhead(source(many)))).map(({ events }) => events.length)).toEqual([1_000, 4_000, 4_000, 1_000]);
    const large = Array.from({ length: 6 }, (_, index) => batchOf([index + 1], { data: 'x'.repeat(3 * 1024 * 1024) }));
    expect((await slowly(readAhead(source(large)))).map(positions)).toEqual([[1], [2, 3], [4, 5], [6]]);
  });

  it('gives what was read before it throws what the source threw', async () => {
    const took: EventBatch[] = [];
    await expect(slowly(readAhead(source([batchOf([1]), batchOf([2])], [], new Error('the disk is gone'))), took)).rejects.toThrow('the disk is gone');
    expect(took.flatMap(positions)).toEqual([1, 2]);
  });

  it('reads no more when it was left', async () => {
    const taken: string[] = [];
    const many = Array.from({ length: 20 }, (_, index) => batchOf(Array.from({ length: 1_000 }, (__, event) => 1_000 * index + event + 1)));
    for await (const batch of readAhead(source(many, taken))) if (batch.events.length > 0) break;
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken.length).toBeLessThan(8);
  });
});

describe('events on their way to the thread', () => {
  it('are the same there, but for what was published', () => {
    const published = { ...eventAt(2, '{"secret":1}'), stream: 'event-acme.production.e1' };
    const [one, other] = unflattened(flatten([eventAt(1), published]));
    expect({ ...one, metadata: one?.metadata }).toEqual({ ...eventAt(1), recordedat: '2026-01-15T12:00:00.000Z' });
    expect(other).toMatchObject({ id: 'id-2', data: '', metadata: published.metadata });
  });
});
