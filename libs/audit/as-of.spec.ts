import { describe, expect, it } from '@jest/globals';
import { formatInstant, type RecordedEvent } from '#kernel';
import { changesOf, eventsWithin, logAsOf, parseAsOf } from './as-of.ts';

const event = (revision: number, position: number, atMs: number, type = 'Changed'): RecordedEvent => ({ id: `e${revision}`, stream: 's-a.b.c', revision, position: String(position), type, data: '{}', metadata: { recordedat: formatInstant(atMs) } });
const revisions = (events: readonly RecordedEvent[]): readonly number[] => events.map(({ revision }) => revision);

describe('a moment of the past', () => {
  it('is a revision, a position or a time, in one written form', () => {
    expect(['revision:0', 'revision:12', 'position:0', 'position:4711', 'time:2026-11-03T14:00:00+01:00'].map(parseAsOf)).toEqual([{ revision: 0 }, { revision: 12 }, { position: '0' }, { position: '4711' }, { timeMs: Date.UTC(2026, 10, 3, 13) }]);
    for (const text of ['', 'revision', 'revision:', 'revision:-1', 'revision:01', 'revision:1.5', 'position:x', 'position:-1', 'time:2026-11-03', 'time:now', 'at:1', '5', 'revision:1 ']) expect([text, parseAsOf(text)]).toEqual([text, undefined]);
  });
});

describe('the part of a stream that had happened', () => {
  const events = [event(0, 3, 1_000), event(1, 5, 3_000), event(2, 8, 2_000), event(3, 9, 4_000)];

  it('ends with a position', () => {
    for (const [position, until] of [['0', 0], ['2', 0], ['3', 1], ['7', 2], ['8', 3], ['100', 4]] as const) expect([position, revisions(eventsWithin(events, { position }))]).toEqual([position, [0, 1, 2, 3].slice(0, until)]);
  });

  it('ends with the last event recorded by then, and leaves out none before it although a clock went back', () => {
    for (const [timeMs, until] of [[999, 0], [1_000, 1], [1_999, 1], [2_000, 3], [3_500, 3], [4_000, 4]] as const) expect([timeMs, revisions(eventsWithin(events, { timeMs }))]).toEqual([timeMs, [0, 1, 2, 3].slice(0, until)]);
  });

  it('is what its readers see, from any revision and in any number', async () => {
    const log = { readStream: (_stream: string, from = 0) => Promise.resolve(events.slice(from)) };
    const past = logAsOf(log, { position: '8' });
    expect(revisions(await past.readStream('s-a.b.c'))).toEqual([0, 1, 2]);
    expect(revisions(await past.readStream('s-a.b.c', 1, 1))).toEqual([1]);
    expect(revisions(await logAsOf(log, undefined).readStream('s-a.b.c', 2))).toEqual([2, 3]);
  });

  it('counts changes, not receipts', () => {
    expect(revisions(changesOf([event(0, 1, 0), event(1, 2, 0, 'CommandExecuted'), event(2, 3, 0, 'ApprovalFenced'), event(3, 4, 0)]))).toEqual([0, 3]);
  });
});
