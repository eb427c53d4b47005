import { describe, expect, it } from '@jest/globals';
import { wireBody } from './body.ts';

const event = { eventId: 'order-1', type: 'order.placed', recordedAtMs: Date.UTC(2026, 0, 15, 12), tenant: 'acme', environment: 'production' };

describe('the wire body', () => {
  it('has its members in the order of the contract', () => {
    expect(wireBody({ ...event, dataText: '{}' })).toBe('{"id":"order-1","type":"order.placed","timestamp":"2026-01-15T12:00:00.000Z","tenant":"acme","environment":"production","data":{}}');
  });

  it.each(['{"id":9007199254740993,"x":1.0}', '{ "a" : "\\u00e9",\n\t"a": 1e400 }', 'null', '"ü💶"', '-0.0', '[1,2 ]'])('carries %j byte for byte', (dataText) => {
    const body = wireBody({ ...event, dataText });
    expect(body.slice(body.indexOf('"data":') + 7, -1)).toBe(dataText);
    expect(() => JSON.parse(body) as unknown).not.toThrow();
  });

  it('escapes what the envelope holds', () => {
    expect(JSON.parse(wireBody({ ...event, eventId: 'a"\\b', dataText: '1' }))).toMatchObject({ id: 'a"\\b', data: 1 });
  });
});
