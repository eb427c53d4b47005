import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { EventStore } from '#event-store';
import { killedAt, TestLog } from '../../test/support/log.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import { Checkpoint, SecondOwner } from './checkpoint.ts';
import { Endurance } from './endure.ts';
import { Entries, type Entry } from './entries.ts';

const clock = simulatedClock();
let processes = 0;

function checkpointOver(store: EventStore): Checkpoint {
  processes += 1;
  return new Checkpoint({ store, clock, ids: seededIds(processes), name: 'testing', endurance: new Endurance(clock, new AbortController().signal, () => undefined) });
}

const entry = (text: string): Entry => ({ state: { text }, parked: null });

/** Saves changes one checkpoint after the other, as a follower does. */
async function save(checkpoint: Checkpoint, entries: Entries, position: number): Promise<void> {
  await checkpoint.save(String(position), entries.changed(), () => entries.all());
  entries.saved();
}

async function loaded(store: EventStore): Promise<{ readonly position: string; readonly entries: Record<string, Entry> }> {
  const { position, entries } = await checkpointOver(store).load();
  return { position, entries: Object.fromEntries(entries) };
}

describe('a checkpoint', () => {
  it('that was never written is the start of the log', async () => {
    expect(await loaded(new TestLog(clock).store)).toEqual({ position: '0', entries: {} });
  });

  it('gives back exactly what was saved, whatever changed in whatever order', async () => {
    const change = fc.record({ instance: fc.constantFrom('a', 'b', 'c', 'd'), text: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 4 }), { minLength: 1, maxLength: 12 }), async (saves) => {
        const { store } = new TestLog(clock);
        const checkpoint = checkpointOver(store);
        await checkpoint.load();
        const entries = new Entries();
        for (const [index, changes] of saves.entries()) {
          for (const { instance, text } of changes) entries.set(instance, text === undefined ? { state: null, parked: null } : entry(text));
          await save(checkpoint, entries, index + 1);
        }
        expect(await loaded(store)).toEqual({ position: String(saves.length), entries: Object.fromEntries(entries.all()) });
      }),
    );
  });

  it('is found after any number of others, by few and small reads', async () => {
    const { store, log } = new TestLog(clock);
    const checkpoint = checkpointOver(store);
    await checkpoint.load();
    const entries = new Entries();
    for (let index = 1; index <= 2_600; index += 1) {
      entries.set(`i${index % 7}`, entry(String(index)));
      await save(checkpoint, entries, index);
      if (index % 371 === 0 || index > 2_590) expect(await loaded(store)).toEqual({ position: String(index), entries: Object.fromEntries(entries.all()) });
    }
    expect(log.events.length).toBeLessThan(2_700);
    let [reads, events] = [0, 0];
    const counting: EventStore = {
      ...killedAt(store, Infinity, true),
      readStream: async (...args) => {
        const read = await store.readStream(...args);
        reads += 1;
        events += read.length;
        return read;
      },
    };
    await loaded(counting);
    expect(reads).toBeLessThan(40);
    expect(events).toBeLessThan(1_100);
  });

  it('too large for one append is written in parts and counts only when all are there', async () => {
    const large = entry('x'.repeat(200_000));
    const saved = async (store: EventStore): Promise<void> => {
      const checkpoint = checkpointOver(store);
      await checkpoint.load();
      const entries = new Entries();
      entries.set('a', entry('small'));
      await save(checkpoint, entries, 1);
      for (const instance of ['a', 'b', 'c', 'd', 'e']) entries.set(instance, large);
      await save(checkpoint, entries, 2);
    };
    const whole = new TestLog(clock);
    const counted = killedAt(whole.store, Infinity, true);
    await saved(counted);
    const after = { position: '2', entries: { a: large, b: large, c: large, d: large, e: large } };
    expect(whole.of('sagacheckpoint-').length).toBeGreaterThan(4);
    expect(await loaded(whole.store)).toEqual(after);
    for (let n = 1; n <= counted.calls(); n += 1) {
      const log = new TestLog(clock);
      void saved(killedAt(log.store, n, true));
      await clock.advance(0);
      const before = log.of('sagacheckpoint-').length === 0 ? { position: '0', entries: {} } : { position: '1', entries: { a: entry('small') } };
      expect(await loaded(log.store)).toEqual(n === counted.calls() ? after : before);
      // Who comes after writes over the unfinished parts.
      const next = checkpointOver(log.store);
      await next.load();
      const entries = new Entries();
      entries.set('z', entry('next'));
      await save(next, entries, 3);
      expect(Object.keys((await loaded(log.store)).entries)).toEqual([...Object.keys(n === counted.calls() ? after.entries : before.entries), 'z']);
    }
  });

  it('a snapshot of which is unfinished is read from the one before', async () => {
    const large = entry('x'.repeat(200_000));
    const log = new TestLog(clock);
    const { store } = log;
    const checkpoint = checkpointOver(store);
    await checkpoint.load();
    const entries = new Entries();
    for (const instance of ['a', 'b', 'c']) entries.set(instance, large);
    for (let position = 1; position <= 1_000; position += 1) {
      entries.set('d', entry(String(position)));
      await save(checkpoint, entries, position);
    }
    const length = log.of('sagacheckpoint-').length;
    entries.set('d', entry('last'));
    const counted = killedAt(store, Infinity, true);
    const dying = checkpointOver(counted);
    await dying.load();
    const loading = counted.calls();
    const killed = killedAt(store, loading + 2, true);
    const halfway = checkpointOver(killed);
    await halfway.load();
    void save(halfway, entries, 1_001);
    await clock.advance(0);
    expect(log.of('sagacheckpoint-').length).toBe(length + 2);
    expect(await loaded(store)).toEqual({ position: '1000', entries: { a: large, b: large, c: large, d: entry('1000') } });
    const next = checkpointOver(store);
    const taken = await next.load();
    const again = new Entries();
    again.restore(taken.entries);
    again.set('d', entry('last'));
    await save(next, again, 1_001);
    expect(log.of('sagacheckpoint-').length).toBeGreaterThan(length + 4);
    expect(await loaded(store)).toEqual({ position: '1001', entries: { a: large, b: large, c: large, d: entry('last') } });
  });

  it('belongs to one process: another that has read it too can not write it after the first has', async () => {
    const { store } = new TestLog(clock);
    const [first, second] = [checkpointOver(store), checkpointOver(store)];
    await first.load();
    await second.load();
    await first.save('1', [], () => []);
    await expect(second.save('1', [], () => [])).rejects.toThrow(SecondOwner);
    await first.save('2', [], () => []);
    expect((await loaded(store)).position).toBe('2');
  });
});

describe('entries', () => {
  it('are as before when the work of a batch fails', async () => {
    const entries = new Entries();
    entries.set('a', entry('1'));
    entries.set('b', entry('1'));
    const failing = entries.atomically(() => {
      entries.set('a', entry('2'));
      entries.set('a', entry('3'));
      entries.set('b', { state: null, parked: null });
      entries.set('c', entry('2'));
      return Promise.reject(new Error('no'));
    });
    await expect(failing).rejects.toThrow('no');
    expect(Object.fromEntries(entries.all())).toEqual({ a: entry('1'), b: entry('1') });
  });
});
