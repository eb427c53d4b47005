import { formatInstant, type RetrySchedule } from '#kernel';
import type { DeliveryMode } from '#subscriptions';
import type { DeadLetterReason } from './events.ts';

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** Standard Webhooks 1.0, "Deliverability and reliability": ten attempts over a little more than three days. */
export const defaultRetrySchedule: RetrySchedule = [0, 5 * secondMs, 5 * minuteMs, 30 * minuteMs, 2 * hourMs, 5 * hourMs, 10 * hourMs, 14 * hourMs, 20 * hourMs, 24 * hourMs];

/** `Retry-After` is obeyed no further than this. */
export const maxRetryAfterMs = 24 * hourMs;
/** Each delay is spread by this share to both sides, so that what failed together does not come back together. */
const jitter = 0.2;
/** After a request that we ended ourselves. */
const afterAbortMs = 5 * secondMs;

export interface FinishedAttempt {
  /** HTTP status, or null when no answer came. */
  readonly status: number | null;
  /** The sender's code when no answer came. */
  readonly error: string | null;
  readonly mode: DeliveryMode;
  readonly schedule: RetrySchedule;
  /** Requests that counted against the schedule before this one. */
  readonly attemptsCounted: number;
  /** A dead letter that was replayed without a reset: this attempt is its only one. */
  readonly lastChance: boolean;
  /** What the receiver asked for by `Retry-After`, or null. */
  readonly retryAfterMs: number | null;
  readonly nowMs: number;
  /** At least 0, less than 1. */
  readonly random: number;
}

export type AttemptDecision =
  | { readonly next: 'DELIVERED'; readonly why: string }
  | { readonly next: 'SCHEDULED'; readonly why: string; readonly nextAttemptAtMs: number; readonly nextAttemptAt: string }
  | { readonly next: 'DEAD_LETTERED'; readonly why: string; readonly reason: DeadLetterReason };

/**
 * What follows from one request. Success is 2xx alone; a redirect is a failure; 410 is the receiver's last word; every
 * other failure is tried again along the schedule, not before `Retry-After` (capped at 24 h) has passed. A request that we ended
 * ourselves (`aborted`) is never the last one.
 */
export function decideAfterAttempt(attempt: FinishedAttempt): AttemptDecision {
  const { status, error } = attempt;
  const why = status === null ? (error ?? 'no-answer') : `status-${status}`;
  return status !== null && status >= 200 && status < 300 ? { next: 'DELIVERED', why } : afterFailure(attempt, why);
}

function afterFailure(attempt: FinishedAttempt, why: string): AttemptDecision {
  if (attempt.status === 410) return { next: 'DEAD_LETTERED', why, reason: 'endpoint-gone' };
  if (attempt.mode === 'BEST_EFFORT') return { next: 'DEAD_LETTERED', why, reason: 'best-effort-failed' };
  if (attempt.error === 'aborted') return scheduled(attempt, why, afterAbortMs);
  const delayMs = attempt.schedule[attempt.attemptsCounted + 1];
  if (attempt.lastChance || delayMs === undefined) return { next: 'DEAD_LETTERED', why, reason: 'attempts-exhausted' };
  return scheduled(attempt, why, delayMs);
}

function scheduled({ retryAfterMs, nowMs, random }: FinishedAttempt, why: string, delayMs: number): AttemptDecision {
  const jitteredMs = Math.round(delayMs * (1 - jitter + 2 * jitter * random));
  const floorMs = Math.min(retryAfterMs ?? 0, maxRetryAfterMs);
  // Whole milliseconds: the written time must not be another one.
  const nextAttemptAtMs = Math.floor(nowMs + Math.max(jitteredMs, floorMs));
  return { next: 'SCHEDULED', why: floorMs > jitteredMs ? `${why}, retry-after` : why, nextAttemptAtMs, nextAttemptAt: formatInstant(nextAttemptAtMs) };
}
