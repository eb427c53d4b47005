import { describe, expect, it } from '@jest/globals';
import { etag, ifMatch } from './etag.ts';

describe('an entity tag', () => {
  it('is the revision', () => expect([etag(0), etag(12)]).toEqual(['"0"', '"12"']));

  it('of an answer lets a change happen at its revision', () => expect(ifMatch(etag(12))).toEqual([12]));
});

describe('If-Match', () => {
  it.each([undefined, '*', ' * '])('%p lets a change happen at any revision', (header) => expect(ifMatch(header)).toBeUndefined());

  it.each([
    ['"3"', [3]],
    ['"3", "4"', [3, 4]],
    [' , "3" ,, "4",', [3, 4]],
    ['"0"', [0]],
  ])('%p is a list of revisions', (header, revisions) => expect(ifMatch(header)).toEqual(revisions));

  it('compares strongly: a weak tag matches nothing', () => {
    expect(ifMatch('W/"3"')).toEqual([]);
    expect(ifMatch('W/"3", "4"')).toEqual([4]);
  });

  it.each(['""', '"abc"', '"03"', '"3,4"', '"-1"', '"1e3"', '"9999999999999999999"', '"\u00e9"'])('%p is a tag that no revision has', (header) => expect(ifMatch(header)).toEqual([]));

  it.each(['', '3', '"3', '3"', '"3" "4"', '*, "3"', '"3", *', 'w/"3"', 'W/3', '" 3"', '"3";'])('%p is malformed', (header) => expect(() => ifMatch(header)).toThrow('If-Match'));

  it('takes no long time over a long header', () => {
    const start = performance.now();
    expect(() => ifMatch(`${'"1" , '.repeat(4_000)}x`)).toThrow('If-Match');
    expect(performance.now() - start).toBeLessThan(200);
  });
});
