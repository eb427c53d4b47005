import { describe, expect, it } from '@jest/globals';
import type { LogRecord } from './envelope.ts';
import { type Mark, markOf, removal, Trail } from './trail.ts';

const event = (position: number, stream = 'orders-a', id = `e${position}`): LogRecord => ({ stream, revision: position, position: String(position), id, bytes: 0, kind: 'event', read: () => ({ stream, revision: position, position: String(position), id, type: 'T', data: '', metadata: {} }) });
const removalOf = (stream: string, position: number): LogRecord => ({ ...event(position, stream), kind: 'removal' });
const note = (position: number): LogRecord => ({ ...event(position, '$stats'), kind: 'system' });

/** A log as it is today: what is missing in it, and how often it was asked. */
function asked(trail: Trail, log: readonly LogRecord[]): Promise<{ readonly missing: string | undefined; readonly questions: number }> {
  let questions = 0;
  const find = (stream: string, revision: number): Promise<Mark | undefined> => {
    questions += 1;
    const there = log.filter((record) => record.stream === stream).map(markOf);
    return Promise.resolve(there.find(({ id }) => id === removal) ?? there.find((mark) => mark.revision === revision));
  };
  return trail.missing(find).then((missing) => ({ missing, questions }));
}
const trailOf = (...shown: readonly LogRecord[]): Trail => {
  const trail = new Trail('0', undefined);
  for (const record of shown) expect(trail.show(record)).toBe(true);
  return trail;
};
const stands = { missing: undefined, questions: 1 };

describe('what must be in the log', () => {
  it('stands as long as the last event shown is where it was: one question, however many were shown', async () => {
    const log = Array.from({ length: 40 }, (_, index) => event(index + 1));
    expect(await asked(trailOf(...log), log)).toEqual(stands);
    expect(await asked(trailOf(...log), log.slice(0, 39))).toEqual({ missing: 'event e40 of orders-a at position 40', questions: 1 });
  });

  it('is missing when another event has its revision, or the same one another position', async () => {
    expect(await asked(trailOf(event(1)), [event(1, 'orders-a', 'other')])).toMatchObject({ missing: expect.any(String) });
    expect(await asked(trailOf(event(1)), [{ ...event(1), position: '2' }])).toMatchObject({ missing: expect.any(String) });
  });

  it('begins with the last event before the subscription', async () => {
    expect(await asked(new Trail('5', event(5)), [event(5)])).toEqual(stands);
    expect(await asked(new Trail('5', event(5)), [])).toMatchObject({ missing: 'event e5 of orders-a at position 5' });
  });

  it('is asked of an earlier event where the stream was removed since', async () => {
    const trail = trailOf(event(1), event(2, 'secrets-a'));
    expect(await asked(trail, [event(1), event(2, 'secrets-a'), removalOf('secrets-a', 3)])).toEqual({ missing: undefined, questions: 2 });
    expect(await asked(trail, [removalOf('secrets-a', 3)])).toMatchObject({ missing: 'event e1 of orders-a at position 1' });
  });

  it('is a removal too, and many of them hide no event', async () => {
    const removals = Array.from({ length: 64 }, (_, index) => removalOf(`secrets-${index}`, index + 2));
    const trail = trailOf(event(1), ...removals);
    expect(await asked(trail, [event(1), ...removals])).toEqual({ missing: undefined, questions: 2 });
    expect(await asked(trail, removals)).toMatchObject({ missing: 'event e1 of orders-a at position 1' });
    expect(await asked(trail, [event(1), ...removals.slice(0, 63)])).toMatchObject({ missing: 'the removal of secrets-63 at position 65' });
  });

  it('is what was acknowledged and not shown so far', async () => {
    const trail = trailOf(event(1));
    for (const position of [4, 3]) trail.expect(markOf(event(position)));
    expect(await asked(trail, [1, 3, 4].map((position) => event(position)))).toEqual({ missing: undefined, questions: 2 });
    expect(await asked(trail, [event(1), event(3)])).toMatchObject({ missing: 'event e4 of orders-a at position 4' });
  });

  it('is in doubt when the subscription comes past what was acknowledged, by a record of any kind, until the log was asked', async () => {
    const trail = trailOf(event(1));
    trail.expect(markOf(event(3)));
    trail.expect(markOf(event(5)));
    expect(trail.show(note(2))).toBe(true);
    expect(trail.show(event(3))).toBe(true);
    expect(trail.show(note(5))).toBe(false);
    for (let position = 6; position < 30; position += 1) expect(trail.show(event(position))).toBe(false);
    expect(await asked(trail, [event(29)])).toMatchObject({ missing: 'event e5 of orders-a at position 5' });
    // The position it was told may have been that of another event of the same append.
    expect(await asked(trail, [{ ...event(5), position: '4' }, event(29)])).toMatchObject({ missing: undefined });
    expect(trail.show(event(30))).toBe(true);
  });

  it('is bounded: of what was acknowledged and never shown the oldest is let go', () => {
    const trail = trailOf(event(1));
    for (let position = 3; position <= 3 + 16_384; position += 1) trail.expect(markOf(event(position)));
    expect(trail.show(note(3))).toBe(true);
    expect(trail.show(note(4))).toBe(false);
  });

  it('is not expected again when it was shown before it was acknowledged, nor twice', async () => {
    const trail = trailOf(event(1), event(2));
    trail.expect(markOf(event(1)));
    for (const again of [event(3), event(3)]) trail.expect(markOf(again));
    expect(trail.show(event(3))).toBe(true);
    expect(await asked(trail, [event(3)])).toEqual(stands);
  });
});
