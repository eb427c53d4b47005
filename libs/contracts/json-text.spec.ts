import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MalformedJson, outlineJson } from './index.ts';

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
const outlines = (text: string): boolean => {
  try {
    outlineJson(text);
    return true;
  } catch (error) {
    if (error instanceof MalformedJson) return false;
    throw error;
  }
};

describe('the outline of a JSON text', () => {
  it('keeps the text of every member byte for byte, whatever stands around it', () => {
    const member = fc.record({ name: fc.string({ unit: 'binary' }), value: fc.json({ maxDepth: 4 }), before: space, between: space, after: space });
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), space, (list, around) => {
        const text = `${around}{${list.map(({ name, value, before, between, after }) => `${before}${JSON.stringify(name)}${between}:${between}${value}${after}`).join(',')}}${around}`;
        const { kind, members } = outlineJson(text);
        expect(kind).toBe('object');
        expect(members.map(({ name, value }) => [name, text.slice(value.start, value.end)])).toEqual(list.map(({ name, value }) => [name, value.trim()]));
      }),
    );
  });

  it('keeps the text of every item, and outlines an item in place', () => {
    fc.assert(
      fc.property(fc.array(fc.json({ maxDepth: 3 }), { maxLength: 6 }), (values) => {
        const text = `[ ${values.join(' ,\n')} ]`;
        const { kind, items } = outlineJson(text);
        expect(kind).toBe('array');
        expect(items.map(({ start, end }) => text.slice(start, end))).toEqual(values);
        for (const item of items) expect(outlineJson(text, item)).toMatchObject(item);
      }),
    );
  });

  it('accepts exactly what JSON.parse accepts', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom('', ',', '"', '\\', '{', '}', '[', ']', ':', '0', '-', '.', 'e', '\u0001', '\n', 'x', '\\u12', ' ', '\ufeff', '\u00a0'), fc.nat({ max: 3 }), (json, at, inserted, removed) => {
        const place = at % (json.length + 1);
        const text = json.slice(0, place) + inserted + json.slice(place + removed);
        expect(outlines(text)).toBe(isJson(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['', ' ', '01', '1.', '.5', '+1', '-', '1e', 'tru', 'nul', '"', '"\\x"', '"\t"', '[1,]', '{"a":1,}', '{a:1}', '[1 2]', '{"a" 1}', '1 2', 'NaN'])('refuses %p', (text) => {
    expect(isJson(text)).toBe(false);
    expect(outlines(text)).toBe(false);
  });

  it('says where the text stops being JSON, without repeating more than one character of it', () => {
    expect(() => outlineJson('{\n  "a": 1,\n  b: "hunter2"}')).toThrow('expected a member name in double quotes, found "b" at line 3, column 3');
    expect(() => outlineJson('{"a": ')).toThrow('expected a JSON value, found the end at line 1, column 7');
  });

  it('tells a member that is there twice', () => {
    expect(outlineJson('{"data":1,"\\u0064ata":2}').members.map(({ name }) => name)).toEqual(['data', 'data']);
  });

  it('refuses what is nested deeper than 128 levels, without using up the stack', () => {
    const nest = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(outlines(nest(128))).toBe(true);
    expect(() => outlineJson(nest(129))).toThrow('at most 128 levels');
    expect(() => outlineJson('['.repeat(1_000_000))).toThrow('at most 128 levels');
    expect(() => outlineJson('{"a":'.repeat(1_000_000))).toThrow('at most 128 levels');
  });
});
