import { describe, expect, it } from '@jest/globals';
import type { EventBatch } from '#event-store';
import { createMemoryEventStore } from '#event-store/memory';
import { oneFarReadAtATime } from './log-reader.ts';

/** A log of a million positions, whose reads end when they are told to. */
function slowLog(): { readonly log: ReturnType<typeof oneFarReadAtATime>; readonly reading: string[]; readonly end: () => void } {
  const reading: string[] = [];
  const ends: (() => void)[] = [];
  const log = oneFarReadAtATime({
    ...createMemoryEventStore(),
    head: () => Promise.resolve('1000000'),
    readAll: async (after): Promise<EventBatch> => {
      reading.push(after);
      await new Promise<void>((resolve) => ends.push(resolve));
      return { events: [], position: after, caughtUp: false };
    },
  });
  return { log, reading, end: () => ends.shift()?.() };
}

/** Lets everything happen that waits for nothing. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the log for those who read it over HTTP', () => {
  it('is read far from its end by one at a time, in the order they came', async () => {
    const { log, reading, end } = slowLog();
    const reads = ['0', '7', '500000'].map((after) => log.readAll(after, undefined, 100));
    const seen: (readonly string[])[] = [];
    for (let read = 0; read < 3; read += 1) {
      await turn();
      seen.push([...reading]);
      end();
    }
    expect(seen).toEqual([['0'], ['0', '7'], ['0', '7', '500000']]);
    expect((await Promise.all(reads)).map(({ position }) => position)).toEqual(['0', '7', '500000']);
  });

  it('is read near its end by all at once, whoever reads far from it', async () => {
    const { log, reading, end } = slowLog();
    const reads = ['0', '999968', '1000000', '1000001'].map((after) => log.readAll(after, undefined, 100));
    await turn();
    expect(reading.toSorted()).toEqual(['0', '1000000', '1000001', '999968']);
    for (let read = 0; read < 4; read += 1) end();
    await Promise.all(reads);
  });
});
