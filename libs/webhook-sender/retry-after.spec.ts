import { describe, expect, it } from '@jest/globals';
import { parseRetryAfter } from './retry-after.ts';

const now = Date.UTC(2026, 0, 1, 12, 0, 0);
const day = 24 * 60 * 60 * 1000;

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    ['86400', day],
    ['86401', day],
    ['9'.repeat(400), day],
    ['Thu, 01 Jan 2026 12:01:00 GMT', 60_000],
    ['Thursday, 01-Jan-26 12:01:00 GMT', 60_000],
    ['Thu Jan  1 12:01:00 2026', 60_000],
    ['Wed, 31 Dec 2025 12:00:00 GMT', 0],
    ['Fri, 01 Jan 2027 12:00:00 GMT', day],
    ['', null],
    ['-1', null],
    ['1.5', null],
    ['0x10', null],
    ['soon', null],
    ['2026-01-01T12:01:00Z', null],
    ['Thu, 99 Jan 2026 12:01:00 GMT', null],
  ])('"%s"', (value, expected) => expect(parseRetryAfter(value, now)).toBe(expected));

  it('is null when there is none', () => expect(parseRetryAfter(undefined, now)).toBeNull());
});
