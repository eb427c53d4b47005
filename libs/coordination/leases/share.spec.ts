import { describe, expect, it } from '@jest/globals';
import { shareOf } from '#coordination/leases';
import fc from 'fast-check';

describe('the share of a member', () => {
  it('is all for one alone, and nothing for who is no member', () => {
    expect(shareOf(64, ['a'], 'a')).toBe(64);
    expect(shareOf(64, ['a'], 'b')).toBe(0);
    expect(shareOf(64, [], 'a')).toBe(0);
  });

  it('adds up, differs by one at most, and does not depend on the order in which members are told', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 20 }), (total, members) => {
        const shares = members.map((member) => shareOf(total, members, member));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(total);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
        expect(members.map((member) => shareOf(total, [...members].reverse(), member))).toEqual(shares);
      }),
    );
  });
});
