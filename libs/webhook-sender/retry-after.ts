const maxWaitMs = 24 * 60 * 60 * 1000;

/**
 * The wait that a `Retry-After` header asks for, in milliseconds, at most 24 hours; null when it is absent or malformed.
 * Seconds, or an HTTP date in any of its three forms (one that has passed is 0). RFC 9110, sections 10.2.3 and 5.6.7.
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null;
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, maxWaitMs);
  if (!/^[A-Z][a-z]{2,8},? /.test(value)) return null;
  // asctime, the oldest form, has no zone; it is always UTC.
  const instant = Date.parse(value.endsWith(' GMT') ? value : `${value} GMT`);
  return Number.isNaN(instant) ? null : Math.min(Math.max(instant - nowMs, 0), maxWaitMs);
}
