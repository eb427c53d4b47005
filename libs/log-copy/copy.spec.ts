import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { type CopyableEventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { comparePositions, type NewEvent, type RecordedEvent, uuidV5 } from '#kernel';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import { testClock } from '../../test/support/wall-clock.ts';
import { type CopyParts, copyLog, type CopyReport } from './copy.ts';

const namespace = '6f1b0a3e-8a44-4c55-9c0e-6a3f7c1d2b90';
const event = (name: string, type = 'SomethingHappened', data: unknown = { name }): NewEvent => ({ id: uuidV5(namespace, name), type, data: JSON.stringify(data), metadata: { recordedat: '2026-11-22T00:00:00.000Z', name } });
const registered = event('key', 'MasterKeyRegistered', { keyId: 'k1' });

/** The history of a server, as it was stored. */
function historyOf(name: string): MemoryLog {
  const text = readFileSync(fileURLToPath(new URL(`../../test/golden/${name}.jsonl`, import.meta.url)), 'utf8');
  const log = new MemoryLog();
  log.events = text.trimEnd().split('\n').map((line) => JSON.parse(line) as RecordedEvent);
  log.head = Number(log.events.at(-1)?.position ?? 0);
  for (const one of log.events) log.streams.set(one.stream, [...(log.streams.get(one.stream) ?? []), one]);
  return log;
}

/** A log with other positions: they begin far away, and leave gaps. */
function farLog(): MemoryLog {
  const log = new MemoryLog();
  log.head = 5_000_000;
  return log;
}

function storeOf(log: MemoryLog, seams: Partial<CopyableEventStore> = {}): CopyableEventStore {
  const store = createMemoryEventStore(log);
  return {
    append: (...asked) => {
      log.head += 13;
      return store.append(...asked);
    },
    readStream: (...asked) => store.readStream(...asked),
    readAll: (...asked) => store.readAll(...asked),
    subscribe: (...asked) => store.subscribe(...asked),
    tombstone: (stream) => store.tombstone(stream),
    removals: () => store.removals(),
    head: () => store.head(),
    close: () => store.close(),
    ...seams,
  };
}

const copied = (source: MemoryLog, target: CopyableEventStore, more: Partial<CopyParts> = {}): Promise<CopyReport> =>
  copyLog({ source: createMemoryEventStore(source), target, clock: testClock(), onProgress: () => undefined, onTrouble: () => undefined, ...more });

const dataIn = (log: MemoryLog, stream: string, revision: number): unknown => JSON.parse(log.streams.get(stream)?.[revision]?.data ?? 'null');
const positionOf = (log: MemoryLog, name: string): string | undefined => log.events.find(({ id }) => id === uuidV5(namespace, name))?.position;
const bare = ({ position: _, ...one }: RecordedEvent): object => one;

/** A small log with everything that is special in it; the checkpoint names the place of a stream that was removed. */
async function smallLog(): Promise<MemoryLog> {
  const log = new MemoryLog();
  const store = createMemoryEventStore(log);
  await store.append('masterkey-register', 'NO_STREAM', [registered]);
  await store.append('event-acme.production.e1', 'NO_STREAM', [event('e1', 'EventPublished', { position: '1' })]);
  await store.append('webhookdelivery-acme.production.d1', 'NO_STREAM', [event('d1', 'WebhookDeliveryScheduled', { eventPosition: '2' })]);
  await store.append('approval-acme.production.a1', 'NO_STREAM', [event('a1'), event('a2'), event('a3')]);
  await store.append('transcript-20261122.0', 'NO_STREAM', [event('t1')]);
  await store.append('processclaim-sagas', 'NO_STREAM', [event('p1')]);
  await store.append('sagacheckpoint-fan-out', 'NO_STREAM', [event('s1', 'SagaCheckpointed', { position: '7', entries: {} })]);
  await store.append('approval-acme.production.a1', 2, [event('a4', 'ApprovalUseMirrored', { commandId: 'c', position: '5' })]);
  await store.append('sagacheckpoint-fan-out', 0, [event('s2', 'SagaCheckpointed', { position: '0', entries: {} })]);
  await store.append('sagacheckpoint-fan-out', 1, [event('s3', 'SagaCheckpointed', { position: '8', entries: {} })]);
  await store.append('recovery-acme.production.r1', 'NO_STREAM', [event('r1', 'WebhookRecoveryProgressed', { cursor: { part: 'MISSED', position: '3' }, total: 1 })]);
  await store.tombstone('transcript-20261122.0');
  await store.append('masterkey-register', 0, [event('key 2', 'MasterKeyRegistered', { keyId: 'k2' })]);
  return log;
}

describe('a copy of a log', () => {
  it.each(['first-release', 'operator-surface'])('has the streams, ids, bytes and the order of the stored history %s, and other positions', async (name) => {
    const [source, target] = [historyOf(name), farLog()];
    const report = await copied(source, storeOf(target));
    expect(report).toMatchObject({ events: source.events.length, alreadyThere: 0, removedStreams: 0, equal: true, difference: null, digest: report.targetDigest });
    expect(report.categories.reduce((sum, { target: count }) => sum + count, 0)).toBe(source.events.length);
    const isKey = ({ stream }: RecordedEvent): boolean => stream.startsWith('masterkey-');
    const inOrder = [...source.events.filter((one) => !isKey(one)), ...source.events.filter(isKey)];
    const same = new Set(['SagaCheckpointed', 'WebhookDeliveryScheduled', 'WebhookRecoveryProgressed', 'ApprovalUseMirrored']);
    const form = (one: RecordedEvent): object => (same.has(one.type) ? { ...bare(one), data: null } : bare(one));
    expect(target.events.map(form)).toEqual(inOrder.map(form));
  });

  it('names in every event the place in the copy of what the log names: of the very event, or of the last one before it that is copied', async () => {
    const target = farLog();
    await copied(await smallLog(), storeOf(target));
    expect(dataIn(target, 'webhookdelivery-acme.production.d1', 0)).toEqual({ eventPosition: positionOf(target, 'e1') });
    expect(dataIn(target, 'approval-acme.production.a1', 3)).toEqual({ commandId: 'c', position: positionOf(target, 'a2') });
    // Position 7 is an event of a removed stream, 8 a claim: a3 is the last event before both that is copied. 0 is the start of any log.
    expect([0, 1, 2].map((revision) => dataIn(target, 'sagacheckpoint-fan-out', revision))).toEqual([positionOf(target, 'a3'), '0', positionOf(target, 'a3')].map((position) => ({ position, entries: {} })));
    expect(dataIn(target, 'recovery-acme.production.r1', 0)).toEqual({ cursor: { part: 'MISSED', position: positionOf(target, 'd1') }, total: 1 });
    expect(dataIn(target, 'event-acme.production.e1', 0)).toEqual({ position: '1' });
  });

  it('leaves claims of roles out, and refuses the streams that were removed', async () => {
    const target = farLog();
    const report = await copied(await smallLog(), storeOf(target));
    expect(report).toMatchObject({ events: 12, removedStreams: 1, equal: true });
    expect([[...target.tombstones], target.streams.has('processclaim-sagas')]).toEqual([['transcript-20261122.0'], false]);
    expect(report.categories.map(({ category }) => category)).toEqual(['approval', 'event', 'masterkey', 'recovery', 'sagacheckpoint', 'webhookdelivery']);
  });

  it('leaves out what is still there of a stream that is being removed', async () => {
    const [source, target] = [await smallLog(), farLog()];
    source.tombstones.add('recovery-acme.production.r1');
    expect(await copied(source, storeOf(target))).toMatchObject({ events: 11, removedStreams: 2, equal: true });
    expect(target.streams.has('recovery-acme.production.r1')).toBe(false);
  });

  it('does not change the log', async () => {
    const source = await smallLog();
    const before = JSON.stringify([source.events, source.head, [...source.tombstones]]);
    await copied(source, storeOf(farLog()));
    expect(JSON.stringify([source.events, source.head, [...source.tombstones]])).toBe(before);
  });

  it('sends one append at a time, each after the one before was acknowledged, and events of one stream that follow each other together', async () => {
    const target = farLog();
    const sizes: number[] = [];
    let underWay = 0;
    let most = 0;
    const store = storeOf(target);
    const append: CopyableEventStore['append'] = async (...asked) => {
      sizes.push(asked[2].length);
      most = Math.max(most, (underWay += 1));
      await new Promise((resolve) => setImmediate(resolve));
      const answer = await store.append(...asked);
      underWay -= 1;
      return answer;
    };
    await copied(await smallLog(), storeOf(target, { append }));
    expect([most, sizes]).toEqual([1, [1, 1, 3, 1, 1, 2, 1, 2]]);
  });

  it('tells how far it is, and reads everything again at the end', async () => {
    const seen: string[] = [];
    await copied(await smallLog(), storeOf(farLog()), { onProgress: ({ step, position, head }) => seen.push(`${step} ${position} of ${head}`) });
    expect([seen.filter((line) => line.startsWith('copy')).length, seen.filter((line) => line.startsWith('verify')).length]).toEqual([12, 12]);
    expect(seen[0]).toBe('copy 2 of 15');
  });

  it('splits what is too large for one append', async () => {
    const source = new MemoryLog();
    const store = createMemoryEventStore(source);
    const large = 'x'.repeat(400 * 1024);
    await store.append('masterkey-register', 'NO_STREAM', [registered]);
    for (let n = 0; n < 5; n += 1) await store.append('transcript-20261122.0', n === 0 ? 'NO_STREAM' : n - 1, [event(`t${n}`, 'SomethingHappened', large)]);
    expect(await copied(source, storeOf(farLog()))).toMatchObject({ events: 6, equal: true });
  });
});

describe('a copy that is interrupted', () => {
  /** Dies at its n-th write: before it is written, or after and before the answer. */
  async function dies(source: MemoryLog, target: MemoryLog, n: number, when: 'before' | 'after'): Promise<boolean> {
    let writes = 0;
    const store = storeOf(target);
    const dying = async <T>(work: () => Promise<T>): Promise<T> => {
      writes += 1;
      if (writes === n && when === 'before') throw new Error('killed');
      const answer = await work();
      if (writes === n) throw new Error('killed');
      return answer;
    };
    const seams = { append: (...asked: Parameters<CopyableEventStore['append']>) => dying(() => store.append(...asked)), tombstone: (stream: string) => dying(() => store.tombstone(stream)) };
    return await copied(source, storeOf(target, seams)).then(() => false, (error: Error) => {
      expect(error.message).toBe('killed');
      return true;
    });
  }

  it.each(['before', 'after'] as const)('goes on when it is run again, wherever it was killed (%s a write)', async (when) => {
    const source = await smallLog();
    const whole = await copied(source, storeOf(farLog()));
    let n = 1;
    for (; ; n += 1) {
      const target = farLog();
      if (!(await dies(source, target, n, when))) break;
      const had = target.events.length;
      expect(await copied(source, storeOf(target))).toEqual({ ...whole, alreadyThere: had });
      expect(new Set(target.events.map(({ id }) => id)).size).toBe(target.events.length);
    }
    expect(n).toBe(10);
  });

  it('has no registered master key before everything else is there and was compared: no server starts on it', async () => {
    const source = await smallLog();
    for (let n = 1; ; n += 1) {
      const target = farLog();
      if (!(await dies(source, target, n, 'before'))) break;
      expect(target.streams.has('masterkey-register')).toBe(false);
    }
    const target = farLog();
    const store = storeOf(target);
    let reads = 0;
    const readAll: CopyableEventStore['readAll'] = async (after, filter, limit) => {
      const batch = await store.readAll(after, filter, limit);
      if (after === '0') reads += 1;
      return reads === 2 ? { ...batch, events: batch.events.map((one) => ({ ...one, metadata: {} })) } : batch;
    };
    const report = await copied(source, storeOf(target, { readAll }));
    expect(report).toMatchObject({ equal: false, difference: expect.stringContaining('event 1: the log has EventPublished') });
    expect(target.streams.has('masterkey-register')).toBe(false);
  });

  it('goes on when the server has run on for a while, and removed what was copied', async () => {
    const source = new MemoryLog();
    const store = createMemoryEventStore(source);
    await store.append('masterkey-register', 'NO_STREAM', [registered]);
    await store.append('event-acme.production.e1', 'NO_STREAM', [event('e1')]);
    await store.append('transcript-20261122.0', 'NO_STREAM', [event('t1')]);
    await store.append('sagacheckpoint-fan-out', 'NO_STREAM', [event('s1', 'SagaCheckpointed', { position: '3', entries: {} })]);
    await store.append('event-acme.production.e2', 'NO_STREAM', [event('e2')]);
    const target = farLog();
    expect(await dies(source, target, 4, 'after')).toBe(true);
    await store.tombstone('transcript-20261122.0');
    await store.append('sagacheckpoint-fan-out', 0, [event('s2', 'SagaCheckpointed', { position: '6', entries: {} })]);
    expect(await copied(source, storeOf(target))).toMatchObject({ events: 5, alreadyThere: 3, removedStreams: 1, equal: true });
    expect(dataIn(target, 'sagacheckpoint-fan-out', 1)).toEqual({ position: positionOf(target, 'e2'), entries: {} });
  });

  it('repeats what the target has not answered, and writes nothing twice', async () => {
    const target = farLog();
    const store = storeOf(target);
    let writes = 0;
    const append: CopyableEventStore['append'] = async (...asked) => {
      writes += 1;
      if (writes % 3 === 0) throw new StoreUnavailable('away');
      const answer = await store.append(...asked);
      if (writes % 3 === 1) throw new OutcomeUnknown('lost');
      return answer;
    };
    const troubles: string[] = [];
    const clock = simulatedClock();
    const copying = copied(await smallLog(), storeOf(target, { append }), { clock, onTrouble: ({ message }) => troubles.push(message) });
    let over = false;
    void copying.finally(() => (over = true)).catch(() => undefined);
    while (!over) await clock.advance(500);
    expect(await copying).toMatchObject({ events: 12, equal: true });
    expect(target.events).toHaveLength(12);
    expect(troubles.length).toBeGreaterThan(5);
  });

  it('ends when the target stays away, and says how it goes on', async () => {
    const clock = simulatedClock();
    const copying = copied(await smallLog(), storeOf(farLog(), { append: () => Promise.reject(new StoreUnavailable('away')) }), { clock });
    const ended = expect(copying).rejects.toThrow('the target has not answered for 60 s. Run the copy again when it does');
    await clock.advance(61_000);
    await ended;
  });
});

describe('a target that is not of this copy', () => {
  it.each([
    ['an event of its own', 'event-acme.production.other', event('other')],
    ['another event in the same stream', 'event-acme.production.e1', event('other')],
    ['the same event with another body', 'event-acme.production.e1', { ...event('e1', 'EventPublished'), data: '{"name":"e2"}' }],
    ['a claim of a server', 'processclaim-sagas', event('p1')],
    ['a registered master key', 'masterkey-register', registered],
  ])('is refused: %s', async (_, stream, one) => {
    const target = farLog();
    await createMemoryEventStore(target).append(stream, 'NO_STREAM', [one]);
    await expect(copied(await smallLog(), storeOf(target))).rejects.toThrow('the target is not empty, and not a part of this copy: it holds');
    expect(target.events).toHaveLength(1);
  });

  it('is refused when it has removed another stream', async () => {
    const target = farLog();
    await createMemoryEventStore(target).tombstone('event-acme.production.other');
    await expect(copied(await smallLog(), storeOf(target))).rejects.toThrow('the stream event-acme.production.other was removed from it, and not from the log');
    expect(target.events).toEqual([]);
  });

  it('is met when somebody writes into it meanwhile', async () => {
    for (const [stream, says] of [['event-acme.production.other', 'it holds SomethingHappened, revision 0 of event-acme.production.other, where'], ['event-acme.production.e1', 'event-acme.production.e1: expected NO_STREAM, is at 0']] as const) {
      const target = farLog();
      const store = storeOf(target);
      const append: CopyableEventStore['append'] = async (...asked) => {
        if (asked[0].startsWith('event-')) await store.append(stream, 'NO_STREAM', [event('other')]);
        return await store.append(...asked);
      };
      await expect(copied(await smallLog(), storeOf(target, { append }))).rejects.toThrow(`somebody else writes into the target: ${says}`);
      await expect(copied(await smallLog(), storeOf(target))).rejects.toThrow('not a part of this copy');
    }
  });

  it('is a difference when it goes on behind the copy: a server has run on it', async () => {
    const [source, target] = [await smallLog(), farLog()];
    const first = await copied(source, storeOf(target));
    await createMemoryEventStore(target).append('event-acme.production.new', 'NO_STREAM', [event('new')]);
    const again = await copied(source, storeOf(target));
    expect(again).toMatchObject({ equal: false, difference: expect.stringContaining('event 13: the log has nothing, the target has SomethingHappened'), digest: first.digest });
    expect(again.targetDigest).not.toBe(first.digest);
  });
});

describe('the comparison', () => {
  const corrupt: readonly (readonly [string, (one: RecordedEvent) => RecordedEvent])[] = [
    ['a byte of the data', (one) => ({ ...one, data: one.data.replace('a', 'b') })],
    ['a blank in the data of an event with a position', (one) => (one.type === 'SagaCheckpointed' ? { ...one, data: one.data.replace(',', ', ') } : one)],
    ['a position', (one) => (one.type === 'WebhookDeliveryScheduled' ? { ...one, data: '{"eventPosition":"0"}' } : one)],
    ['the metadata', (one) => ({ ...one, metadata: { ...one.metadata, name: 'x' } })],
    ['an id', (one) => ({ ...one, id: uuidV5(namespace, 'x') })],
    ['a type', (one) => ({ ...one, type: 'SomethingElse' })],
    ['a revision', (one) => ({ ...one, revision: one.revision + 1 })],
  ];

  it.each(corrupt)('finds %s, in any event', async (_, change) => {
    const [source, target] = [await smallLog(), farLog()];
    await copied(source, storeOf(target));
    for (const [index, one] of target.events.entries()) {
      const changed = change(one);
      if (JSON.stringify(changed) === JSON.stringify(one)) continue;
      const store = storeOf(target);
      let reads = 0;
      // The first time it is read as it was, so that only the comparison can find it.
      const readAll: CopyableEventStore['readAll'] = async (after, filter, limit) => {
        const batch = await store.readAll(after, filter, limit);
        if (after === '0') reads += 1;
        return reads < 2 ? batch : { ...batch, events: batch.events.map((event) => (event.position === one.position ? changed : event)) };
      };
      const report = await copied(source, storeOf(target, { readAll }));
      expect(report).toMatchObject({ equal: false, difference: expect.stringContaining(`event ${index + 1}: `) });
      expect(report.digest).not.toBe(report.targetDigest);
    }
  });

  it('finds an event that is gone, two that changed places, and one that moved', async () => {
    const [source, target] = [await smallLog(), farLog()];
    await copied(source, storeOf(target));
    const changes: readonly ((events: readonly RecordedEvent[]) => readonly RecordedEvent[])[] = [
      (events) => events.slice(1),
      (events) => [...events].sort((a, b) => (a.stream === b.stream ? comparePositions(a.position, b.position) : a.stream < b.stream ? -1 : 1)),
      ([first, ...events]) => (first === undefined ? [] : [{ ...first, position: '5000001' }, ...events]),
    ];
    for (const change of changes) {
      const store = storeOf(target);
      let reads = 0;
      const readAll: CopyableEventStore['readAll'] = async (after, filter, limit) => {
        const batch = await store.readAll(after, filter, limit);
        if (after === '0') reads += 1;
        return reads < 2 || after !== '0' ? batch : { ...batch, events: change(batch.events) };
      };
      expect(await copied(source, storeOf(target, { readAll }))).toMatchObject({ equal: false });
    }
  });
});

describe('a log that is not to be copied', () => {
  it('is an empty one, or one without a registered master key', async () => {
    await expect(copied(new MemoryLog(), storeOf(farLog()))).rejects.toThrow('the log is empty');
    await expect(copied(historyOf('several-processes'), storeOf(farLog()))).rejects.toThrow('it is not one of this program, or it is not whole');
  });

  it('is one with an event that names what comes after it', async () => {
    const log = await smallLog();
    await createMemoryEventStore(log).append('sagacheckpoint-other', 'NO_STREAM', [event('s9', 'SagaCheckpointed', { position: '99' })]);
    await expect(copied(log, storeOf(farLog()))).rejects.toThrow('names the position 99, which is not before its own');
  });
});
