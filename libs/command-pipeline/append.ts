import { type AppendResult, type EventStore, type ExpectedRevision, OutcomeUnknown, StoreUnavailable, WrongExpectedRevision } from '#event-store';
import { type Clock, type NewEvent, sleep } from '#kernel';

/** How an append ended: written; another writer was first (nothing of ours will ever be written); not known; or surely not sent. */
export type Appended = { readonly written: AppendResult } | 'conflict' | 'unknown' | 'unavailable';

/** First pause between repeats; doubled up to the longest one. */
const firstPauseMs = 20;
const longestPauseMs = 1_000;

/**
 * Appends until the outcome is known or `deadlineMs` (of the monotonic clock) has passed. A repeat is the identical append:
 * same ids, same expected revision. After one unknown outcome nothing short of an answer makes it known again.
 */
export async function appendUntilKnown(store: Pick<EventStore, 'append'>, clock: Clock, stream: string, expected: ExpectedRevision, events: readonly NewEvent[], deadlineMs: number): Promise<Appended> {
  let unknown = false;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    const outcome = await appendOnce(store, stream, expected, events);
    if (typeof outcome === 'object' || outcome === 'conflict') return outcome;
    unknown ||= outcome === 'unknown';
    if (clock.monotonicMs() + pauseMs >= deadlineMs) return unknown ? 'unknown' : 'unavailable';
    await sleep(clock, pauseMs);
  }
}

async function appendOnce(store: Pick<EventStore, 'append'>, stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<Appended> {
  try {
    return { written: await store.append(stream, expected, events) };
  } catch (error) {
    if (error instanceof WrongExpectedRevision) return 'conflict';
    if (error instanceof OutcomeUnknown) return 'unknown';
    if (error instanceof StoreUnavailable) return 'unavailable';
    throw error;
  }
}
