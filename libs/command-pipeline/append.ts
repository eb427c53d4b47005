import { type Append, appendInTurn, type AppendResult, type EventStore, type ExpectedRevision, OutcomeUnknown, StoreUnavailable, WrongExpectedRevision } from '#event-store';
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
  return await untilKnown(clock, deadlineMs, async () => await store.append(stream, expected, events).then(written, outcomeOf));
}

/** As `appendUntilKnown`: an append that is only written behind another, the claim. `bound`: the claim was refused, and so nothing is written. */
export async function appendBehindUntilKnown(store: Pick<EventStore, 'append' | 'appendInTurn'>, clock: Clock, claim: Append, behind: Append, deadlineMs: number): Promise<Appended | 'bound'> {
  return await untilKnown(clock, deadlineMs, async () => {
    const [claimed, result = claimed] = await appendInTurn(store, [claim, behind]);
    if (result === undefined) throw new TypeError('the store answered nothing');
    if (!(result instanceof Error)) return written(result);
    const outcome = outcomeOf(result);
    return outcome === 'conflict' && result === claimed ? 'bound' : outcome;
  });
}

async function untilKnown<Outcome>(clock: Clock, deadlineMs: number, once: () => Promise<Outcome | 'unknown' | 'unavailable'>): Promise<Outcome | 'unknown' | 'unavailable'> {
  let unknown = false;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    const outcome = await once();
    if (outcome !== 'unknown' && outcome !== 'unavailable') return outcome;
    unknown ||= outcome === 'unknown';
    if (clock.monotonicMs() + pauseMs >= deadlineMs) return unknown ? 'unknown' : 'unavailable';
    await sleep(clock, pauseMs);
  }
}

const written = (result: AppendResult): Appended => ({ written: result });

function outcomeOf(error: unknown): Exclude<Appended, object> {
  if (error instanceof WrongExpectedRevision) return 'conflict';
  if (error instanceof OutcomeUnknown) return 'unknown';
  if (error instanceof StoreUnavailable) return 'unavailable';
  throw error;
}
