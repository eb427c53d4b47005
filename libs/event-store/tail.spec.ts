import { describe, expect, it } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import { eventNamed } from '../../test/support/event-store-contract.ts';
import { Tail } from './tail.ts';

const recordedAt = (position: number, stream = 'orders-a', data = '{}'): RecordedEvent => ({ ...eventNamed(`e${position}`, data), stream, revision: 0, position: String(position) });
const positions = (tail: Tail, after: number, limit = 100): string[] | undefined => tail.read(String(after), undefined, limit)?.events.map((event) => event.position);

describe('the newest part of the log in memory', () => {
  it('answers from the head on at which it began, and nothing before it', () => {
    const tail = new Tail('7', 10);
    expect(tail.read('7', undefined, 10)).toEqual({ events: [], position: '7', caughtUp: true });
    tail.push(recordedAt(8));
    expect(positions(tail, 7)).toEqual(['8']);
    expect(tail.read('6', undefined, 10)).toBeUndefined();
  });

  it('drops the oldest beyond its bounds, by number and by size', () => {
    const few = new Tail('0', 4);
    for (let position = 1; position <= 9; position += 1) few.push(recordedAt(position));
    expect(positions(few, 8)).toEqual(['9']);
    expect(positions(few, 3)).toBeUndefined();
    const large = new Tail('0', 1000);
    for (let position = 1; position <= 30; position += 1) large.push(recordedAt(position, 'orders-a', 'x'.repeat(1024 * 1024)));
    expect(positions(large, 1)).toBeUndefined();
    expect(positions(large, 29)).toEqual(['30']);
  });

  it('gives so much text at once and says where it goes on, one event at least', () => {
    const tail = new Tail('0', 100);
    for (let position = 1; position <= 6; position += 1) tail.push(recordedAt(position, 'orders-a', 'x'.repeat(900 * 1024)));
    const batches = ['0', '3', '6'].map((after) => tail.read(after, undefined, 100));
    expect(batches.map((batch) => batch && { ...batch, events: batch.events.map(({ position }) => position) })).toEqual([
      { events: ['1', '2', '3'], position: '3', caughtUp: false },
      { events: ['4', '5', '6'], position: '6', caughtUp: true },
      { events: [], position: '6', caughtUp: true },
    ]);
  });

  it('says once of which categories something has come', () => {
    const tail = new Tail('0', 10);
    for (const [index, stream] of ['orders-a', 'invoices-a-b', 'orders-b'].entries()) tail.push(recordedAt(index + 1, stream));
    expect([...tail.takeNews()]).toEqual(['orders', 'invoices']);
    expect([...tail.takeNews()]).toEqual([]);
  });

  it('keeps nothing of a removed stream, and has its position', () => {
    const tail = new Tail('0', 10);
    tail.push(recordedAt(1, 'secrets-a'));
    tail.push(recordedAt(2));
    tail.forget('secrets-a', '3');
    expect(tail.read('0', undefined, 10)).toMatchObject({ events: [{ position: '2' }], position: '3', caughtUp: true });
  });
});
