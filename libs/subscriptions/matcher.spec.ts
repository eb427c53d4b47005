import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compileMatcher, type MatchableVersion } from './matcher.ts';
import { globMatches, namesOperationalEvents } from './pattern.ts';

const version = (subscriptionId: string, eventPattern: string, more: Partial<MatchableVersion> = {}): MatchableVersion => ({ subscriptionId, eventPattern, status: 'ACTIVE', fromPosition: '0', toPosition: null, ...more });
const idsOf = (versions: readonly MatchableVersion[]): readonly string[] => versions.map(({ subscriptionId }) => subscriptionId).sort();
const published = (type: string, position = '10', operational = false): { type: string; position: string; operational: boolean } => ({ type, position, operational });

const part = fc.constantFrom('a', 'b', 'c');
const type = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('.'));
const glob = fc.array(fc.oneof(part, fc.constantFrom('*', '**')), { minLength: 1, maxLength: 6 }).map((parts) => parts.join('.'));
const pattern = fc.array(glob, { minLength: 1, maxLength: 4 }).map((globs) => globs.join(','));

/** A glob as a regular expression: another way to say what it means. */
function asRegExp(text: string): RegExp {
  const source = text.split('.').map((segment) => (segment === '**' ? '(?:\\.[a-z]+)*' : segment === '*' ? '\\.[a-z]+' : `\\.${segment}`));
  return new RegExp(`^${source.join('')}$`);
}

describe('a glob', () => {
  it('means the same as its regular expression', () => {
    fc.assert(fc.property(glob, type, (text, event) => globMatches(text, event) === asRegExp(text).test(`.${event}`)), { numRuns: 2_000 });
  });

  it.each([
    ['**', 'a'],
    ['**.a', 'a'],
    ['a.**', 'a'],
    ['a.**.c', 'a.c'],
    ['a.**.c', 'a.b.c.c'],
    ['*.b', 'a.b'],
  ])('%s matches %s', (text, event) => {
    expect(globMatches(text, event)).toBe(true);
  });

  it.each([
    ['*', 'a.b'],
    ['a.*', 'a'],
    ['a', 'a.b'],
    ['a.**.c', 'a.b'],
  ])('%s does not match %s', (text, event) => {
    expect(globMatches(text, event)).toBe(false);
  });

  it('of many ** costs no more than its length times that of the type', () => {
    const worst = `${'**.a.'.repeat(40)}b`;
    expect(globMatches(worst, 'a.'.repeat(99) + 'c')).toBe(false);
  });
});

describe('the matcher', () => {
  it('finds exactly the subscriptions with a glob that matches', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 12 }), type, fc.boolean(), (patterns, event, operational) => {
        const matcher = compileMatcher(patterns.map((text, index) => version(`whs_${index}`, text)));
        const expected = patterns.flatMap((text, index) => (text.split(',').some((one) => globMatches(one, event) && (!operational || namesOperationalEvents(one))) ? [`whs_${index}`] : []));
        expect(idsOf(matcher.match(published(event, '1', operational)))).toEqual(expected.sort());
      }),
      { numRuns: 2_000 },
    );
  });

  it('finds what was added since, and nothing that was removed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(pattern, fc.boolean()), { maxLength: 12 }), type, (patterns, event) => {
        const versions = patterns.map(([text], index) => version(`whs_${index}`, text, index % 5 === 4 ? { status: 'PAUSED' } : {}));
        const stays = versions.filter((_, index) => patterns[index]?.[1]);
        const matcher = compileMatcher(versions.slice(0, 6));
        for (const later of versions.slice(6)) matcher.add(later);
        for (const one of versions) if (!stays.includes(one)) matcher.remove(one);
        expect(idsOf(matcher.match(published(event)))).toEqual(idsOf(compileMatcher(stays).match(published(event))));
        for (const one of versions) matcher.remove(one);
        expect(matcher.match(published(event))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps nothing of what was removed', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const matcher = compileMatcher<MatchableVersion>([]);
    const heapOf = (from: number): number => {
      for (let index = from; index < from + 20_000; index += 1) {
        const one = version('whs_1', `version-${index}.published.*,claim.**.${index}`);
        matcher.add(one);
        matcher.remove(one);
      }
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = heapOf(0);
    // The nodes of so many globs take 30 MB.
    expect((heapOf(20_000) - before) / 1e6).toBeLessThan(5);
  });

  it('gives the version in force at the position: after its first, up to and including its last', () => {
    const matcher = compileMatcher([version('whs_1', 'a', { fromPosition: '0', toPosition: '9' }), version('whs_1', 'b', { fromPosition: '9', toPosition: '10' }), version('whs_1', 'a', { fromPosition: '12' })]);
    const matchesAt = (event: string, position: string): boolean => matcher.match(published(event, position)).length > 0;
    expect(['8', '9', '10', '12', '13'].map((position) => matchesAt('a', position))).toEqual([true, true, false, false, true]);
    expect(['9', '10', '11'].map((position) => matchesAt('b', position))).toEqual([false, true, false]);
  });

  it('leaves out versions that are paused or deleted', () => {
    const matcher = compileMatcher([version('whs_1', '**', { status: 'PAUSED' }), version('whs_2', '**', { status: 'DELETED' }), version('whs_3', '**')]);
    expect(idsOf(matcher.match(published('a')))).toEqual(['whs_3']);
  });

  it('answers a subscription once, however many of its globs match', () => {
    expect(idsOf(compileMatcher([version('whs_1', 'a.*,a.**,**')]).match(published('a.b')))).toEqual(['whs_1']);
  });

  it('gives operational events only to globs whose first segment is literal', () => {
    const matcher = compileMatcher([version('whs_1', '**'), version('whs_2', '*.subscription.**'), version('whs_3', 'webhook.**')]);
    expect(idsOf(matcher.match(published('webhook.subscription.paused', '10', true)))).toEqual(['whs_3']);
    expect(idsOf(matcher.match(published('webhook.subscription.paused')))).toEqual(['whs_1', 'whs_2', 'whs_3']);
  });

  it('costs an event no more when 50,000 subscriptions do not match it', () => {
    const few = compileMatcher([version('whs_x', 'version.published')]);
    const many = compileMatcher([version('whs_x', 'version.published'), ...Array.from({ length: 50_000 }, (_, index) => version(`whs_${index}`, `version.other-${index}.**,claim-${index}.*`))]);
    const event = published('version.published');
    const bestOf = (match: () => unknown): number => Math.min(...Array.from({ length: 20 }, () => elapsed(match)));
    // A scan would cost tens of thousands of times as much: the bound is far from both.
    expect(bestOf(() => many.match(event))).toBeLessThan(100 * bestOf(() => few.match(event)));
    expect(idsOf(many.match(event))).toEqual(['whs_x']);
  });
});

function elapsed(run: () => unknown): number {
  const start = performance.now();
  for (let round = 0; round < 200; round += 1) run();
  return performance.now() - start;
}
