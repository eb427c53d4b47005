import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseRetrySchedule } from '#kernel';
import { decideAfterAttempt, defaultRetrySchedule, type FinishedAttempt } from './retry.ts';

const hourMs = 3_600_000;
const nowMs = Date.UTC(2026, 0, 15, 12);

const attempt = (change: Partial<FinishedAttempt> = {}): FinishedAttempt => ({
  status: 500,
  error: null,
  mode: 'AT_LEAST_ONCE',
  schedule: defaultRetrySchedule,
  attemptsCounted: 0,
  lastChance: false,
  retryAfterMs: null,
  nowMs,
  random: 0.5,
  ...change,
});

describe('the retry schedule', () => {
  it('is that of Standard Webhooks by default', () => {
    expect(parseRetrySchedule('0s,5s,5m,30m,2h,5h,10h,14h,20h,24h')).toEqual(defaultRetrySchedule);
  });

  it.each([
    ['0s', [0]],
    ['0s,5s,5m', [0, 5_000, 300_000]],
    [' 0s , 250ms , 1d ', [0, 250, 86_400_000]],
  ])('reads %j', (text, delays) => {
    expect(parseRetrySchedule(text)).toEqual(delays);
  });

  it.each([
    ['', '"", which is not a duration'],
    ['0s,', '"", which is not a duration'],
    ['0s,5', '"5", which is not a duration'],
    ['0s,-5s', '"-5s", which is not a duration'],
    ['0s,8d', 'at most 7d'],
    ['5s,5m', 'starts with 0s'],
    [Array.from({ length: 31 }, () => '0s').join(','), 'at most 30'],
  ])('says what is wrong with %j', (text, words) => {
    expect(parseRetrySchedule(text)).toEqual({ malformed: expect.stringContaining(words) });
  });
});

describe('after an attempt', () => {
  it.each([200, 201, 204, 299])('%d is a success', (status) => {
    expect(decideAfterAttempt(attempt({ status }))).toEqual({ next: 'DELIVERED', why: `status-${status}` });
  });

  it.each([100, 199, 300, 301, 304, 307, 400, 401, 404, 429, 500, 502, 503, 504])('%d is a failure that is tried again', (status) => {
    expect(decideAfterAttempt(attempt({ status }))).toEqual({ next: 'SCHEDULED', why: `status-${status}`, nextAttemptAtMs: nowMs + 5_000, nextAttemptAt: '2026-01-15T12:00:05.000Z' });
  });

  it.each(['timeout', 'target-refused', 'dns-failed'])('no answer (%s) is a failure that is tried again', (error) => {
    expect(decideAfterAttempt(attempt({ status: null, error }))).toMatchObject({ next: 'SCHEDULED', why: error });
  });

  it('a request that we ended ourselves is never the last one, and is made again soon', () => {
    for (const change of [{}, { attemptsCounted: 9 }, { attemptsCounted: 40 }, { lastChance: true }]) {
      expect(decideAfterAttempt(attempt({ status: null, error: 'aborted', ...change }))).toMatchObject({ next: 'SCHEDULED', why: 'aborted', nextAttemptAtMs: nowMs + 5_000 });
    }
  });

  it('410 dead-letters at once, whatever the mode', () => {
    for (const mode of ['AT_LEAST_ONCE', 'ORDERED', 'BEST_EFFORT'] as const) {
      expect(decideAfterAttempt(attempt({ status: 410, mode }))).toEqual({ next: 'DEAD_LETTERED', why: 'status-410', reason: 'endpoint-gone' });
    }
  });

  it('BEST_EFFORT is tried once', () => {
    expect(decideAfterAttempt(attempt({ mode: 'BEST_EFFORT' }))).toMatchObject({ next: 'DEAD_LETTERED', reason: 'best-effort-failed' });
    expect(decideAfterAttempt(attempt({ mode: 'BEST_EFFORT', status: 200 }))).toMatchObject({ next: 'DELIVERED' });
  });

  it('every delay of the schedule is used once, then the delivery is a dead letter', () => {
    const decisions = defaultRetrySchedule.map((_, attemptsCounted) => decideAfterAttempt(attempt({ attemptsCounted })));
    const delays = decisions.map((decision) => (decision.next === 'SCHEDULED' ? decision.nextAttemptAtMs - nowMs : decision));
    expect(delays).toEqual([...defaultRetrySchedule.slice(1), { next: 'DEAD_LETTERED', why: 'status-500', reason: 'attempts-exhausted' }]);
  });

  it('a last chance is exactly one attempt', () => {
    expect(decideAfterAttempt(attempt({ lastChance: true, attemptsCounted: 1 }))).toMatchObject({ next: 'DEAD_LETTERED', reason: 'attempts-exhausted' });
    expect(decideAfterAttempt(attempt({ lastChance: true, status: 204 }))).toMatchObject({ next: 'DELIVERED' });
  });

  it('jitter spreads each delay by 20 % to both sides, and no further', () => {
    const at = (random: number): number => {
      const decision = decideAfterAttempt(attempt({ attemptsCounted: 3, random }));
      return decision.next === 'SCHEDULED' ? decision.nextAttemptAtMs - nowMs : Number.NaN;
    };
    expect(at(0)).toBe(2 * hourMs * 0.8);
    fc.assert(fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => at(random) >= 1.6 * hourMs && at(random) <= 2.4 * hourMs));
  });

  it('the time is said in whole milliseconds, the same in both forms', () => {
    const decision = decideAfterAttempt(attempt({ nowMs: nowMs + 0.9, random: 0.123 }));
    expect(decision).toMatchObject({ nextAttemptAt: new Date(decision.next === 'SCHEDULED' ? decision.nextAttemptAtMs : Number.NaN).toISOString() });
    expect(decision.next === 'SCHEDULED' && Number.isInteger(decision.nextAttemptAtMs)).toBe(true);
  });

  it('Retry-After is a floor', () => {
    expect(decideAfterAttempt(attempt({ status: 429, retryAfterMs: 120_000 }))).toMatchObject({ nextAttemptAtMs: nowMs + 120_000, why: 'status-429, retry-after' });
    expect(decideAfterAttempt(attempt({ status: 429, retryAfterMs: 1_000 }))).toMatchObject({ nextAttemptAtMs: nowMs + 5_000, why: 'status-429' });
  });

  it('Retry-After is obeyed for at most 24 h', () => {
    expect(decideAfterAttempt(attempt({ status: 503, retryAfterMs: 1_000 * hourMs }))).toMatchObject({ nextAttemptAtMs: nowMs + 24 * hourMs });
  });
});
