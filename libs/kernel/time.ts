const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * An RFC 3339 date-time with an offset as milliseconds since 1970 UTC, or undefined when the text is not one
 * (also for a day that does not exist, which `Date.parse` would move to the next month).
 */
export function parseInstant(text: string): number | undefined {
  if (!rfc3339.test(text)) return undefined;
  const instant = Date.parse(text.toUpperCase());
  if (Number.isNaN(instant)) return undefined;
  const [year, month, day] = text.slice(0, 10).split('-').map(Number);
  const lastDay = new Date(Date.UTC(year ?? 0, month ?? 0, 0)).getUTCDate();
  return (day ?? 0) <= lastDay ? instant : undefined;
}

/** Milliseconds since 1970 UTC as RFC 3339 in UTC with milliseconds: the one form of time in events and answers. */
export function formatInstant(instantMs: number): string {
  // Much of what is written in one go has the same time, and printing it takes longer than comparing.
  if (instantMs !== last.ms) last = { ms: instantMs, text: new Date(instantMs).toISOString() };
  return last.text;
}

let last = { ms: 0, text: new Date(0).toISOString() };

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time written with its unit (`250ms`, `30s`, `5m`, `2h`, `7d`) in milliseconds, or undefined when malformed. */
export function parseDuration(text: string): number | undefined {
  const [, count = '', unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  return count === '' ? undefined : Number(count) * (unitMs[unit] ?? 1);
}

/** A length of time in milliseconds, written in the largest unit in which it is whole (`0s`, `90s`, `2h`). */
export function formatDuration(lengthMs: number): string {
  const [unit = 'ms', ms = 1] = lengthMs === 0 ? ['s'] : (Object.entries(unitMs).findLast(([, size]) => lengthMs % size === 0) ?? []);
  return `${lengthMs / ms}${unit}`;
}
