import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RecordedEvent } from '#kernel';
import { KnownEnds } from './known-ends.ts';

let positions = 0;

const event = (stream: string, revision: number, data = '{}'): RecordedEvent => {
  positions += 1;
  return { id: `id-${positions}`, type: 'SomethingHappened', data, metadata: {}, stream, revision, position: String(positions) };
};

describe('known ends', () => {
  it('know nothing of a stream that nobody has read to its end', () => {
    const ends = new KnownEnds();
    ends.appended('orders-a', [event('orders-a', 0)]);
    expect(ends.read('orders-a', 0, 10)).toBeUndefined();
    expect(ends.read('orders-a', 1, 10)).toBeUndefined();
  });

  it('answer who reads on behind the end, and what was appended since; not what stood there before', () => {
    const ends = new KnownEnds();
    ends.reached('orders-a', 1);
    expect(ends.read('orders-a', 2, 10)).toEqual([]);
    const [third, fourth] = [event('orders-a', 2), event('orders-a', 3)];
    ends.appended('orders-a', [third, fourth]);
    expect(ends.read('orders-a', 2, 10)).toEqual([third, fourth]);
    expect(ends.read('orders-a', 2, 1)).toEqual([third]);
    expect(ends.read('orders-a', 3, 10)).toEqual([fourth]);
    expect(ends.read('orders-a', 4, 10)).toEqual([]);
    expect(ends.read('orders-a', 1, 10)).toBeUndefined();
  });

  it('say of whatever they answer exactly what stands there, after any appends, reads and removals', () => {
    const streams = ['orders-a', 'orders-b', 'orders-c'];
    const step = fc.record({ do: fc.constantFrom('append', 'read', 'remove'), stream: fc.constantFrom(...streams), count: fc.integer({ min: 1, max: 3 }), from: fc.nat({ max: 6 }), limit: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 1_500 }), (steps, chars) => {
        const ends = new KnownEnds(chars);
        const log = new Map(streams.map((stream) => [stream, [] as RecordedEvent[]]));
        for (const { do: what, stream, count, from, limit } of steps) {
          const written = log.get(stream) ?? [];
          if (what === 'append') {
            const events = Array.from({ length: count }, (_, index) => event(stream, written.length + index));
            log.set(stream, [...written, ...events]);
            ends.appended(stream, events);
          } else if (what === 'remove') {
            log.set(stream, []);
            ends.forget(stream);
          } else {
            const there = written.slice(from, from + limit);
            expect(ends.read(stream, from, limit) ?? there).toEqual(there);
            if (from <= written.length && there.length < limit) ends.reached(stream, written.length - 1);
          }
        }
      }),
    );
  });

  it('are those of the streams that were read to their end or appended to last, and hold so many characters at most', () => {
    const few = new KnownEnds(1_200);
    for (let number = 0; number < 20; number += 1) {
      few.reached(`orders-${number}`, -1);
      few.appended('orders-0', [event('orders-0', number)]);
    }
    expect([0, 1, 10, 19].map((number) => few.read(`orders-${number}`, number === 0 ? 19 : 0, 1)?.length)).toEqual([1, undefined, undefined, 0]);
    const none = new KnownEnds(0);
    none.reached('orders-a', -1);
    expect(none.read('orders-a', 0, 1)).toBeUndefined();
    const large = new KnownEnds();
    for (const stream of ['orders-a', 'orders-b', 'orders-c']) {
      large.reached(stream, -1);
      large.appended(stream, [event(stream, 0, 'x'.repeat(3 * 1024 * 1024))]);
    }
    expect(large.read('orders-a', 1, 1)).toBeUndefined();
    expect(large.read('orders-c', 1, 1)).toEqual([]);
  });
});
