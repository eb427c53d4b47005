import { formatDuration, parseDuration } from './time.ts';

/** Delays before each attempt in milliseconds; as many attempts as there are entries. The first is 0: at once. */
export type RetrySchedule = readonly number[];

export const maxAttempts = 30;
export const maxRetryDelayMs = 7 * 24 * 60 * 60 * 1_000;

/**
 * The schedule of its written form (`0s,5s,5m`), or what is wrong with it, in words. Limits: 1 to 30 attempts, the first
 * at once (`0s`), at most 7 days between two; units `ms`, `s`, `m`, `h`, `d`.
 */
export function parseRetrySchedule(text: string): RetrySchedule | { readonly malformed: string } {
  const items = text.split(',').map((item) => item.trim());
  if (items.length > maxAttempts) return { malformed: `has ${items.length} attempts; at most ${maxAttempts} are allowed` };
  const delays: number[] = [];
  for (const item of items) {
    const delayMs = parseDuration(item);
    if (delayMs === undefined) return { malformed: `has "${item}", which is not a duration such as 0s, 250ms, 5s, 5m, 2h or 1d` };
    if (delayMs > maxRetryDelayMs) return { malformed: `has "${item}"; at most 7d may lie between two attempts` };
    delays.push(delayMs);
  }
  if (delays[0] !== 0) return { malformed: `starts with "${items[0]}"; the first attempt is made at once, so a schedule starts with 0s` };
  return delays;
}

/** The written form of a schedule: each delay in the largest unit in which it is whole. */
export const formatRetrySchedule = (schedule: RetrySchedule): readonly string[] => schedule.map(formatDuration);
