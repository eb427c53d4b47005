import { acceptedFilter, EventData } from '#event-filter';
import { comparePositions, formatInstant, formatSite, type Position } from '#kernel';
import { patternMatches } from '#subscriptions';
import { attemptTold, type DeliveryFact, foldDelivery, type FoldedDelivery } from './explain-delivery.ts';
import type { Because, ExplainFacts, Explanation, ExplanationCode } from './explain-facts.ts';
import { type Moment, momentAt, momentsOf, type SubscriptionFact } from './explain-history.ts';
import { notesOn } from './explain-notes.ts';
import { actorIn, cameTo, where, who } from './words.ts';

/** What was found, before it is dressed as an answer. */
export interface Verdict {
  readonly code: ExplanationCode;
  readonly sentence: string;
  readonly because: SubscriptionFact | DeliveryFact | null;
}

/**
 * Why the event was, or was not, delivered to the subscription, as the log says. What the subscription was for the event
 * decides (fan-out's own rule: what a change did holds for the events after it); what became of it since is in the notes.
 */
export function explain(facts: ExplainFacts): Explanation {
  const { eventId, subscriptionId, published } = facts;
  const moments = momentsOf(facts.subscription);
  const then = published === undefined ? undefined : momentAt(moments, published.position);
  const delivery = foldDelivery(facts.delivery, moments);
  const { code, sentence, because } = verdictOf(facts, moments, then, delivery);
  return {
    eventId,
    webhookSubscriptionId: subscriptionId,
    code,
    sentence,
    event: published === undefined ? null : { type: published.type, position: published.position, recordedAt: formatInstant(published.recordedAtMs) },
    subscription: asOfEvent(then),
    because: because === null ? null : becauseOf(because),
    now: nowOf(moments.at(-1)),
    ...ofDelivery(delivery, moments.at(-1)),
    notes: published === undefined ? [] : notesOn(facts, published, { moments, then, delivery, code }),
  };
}

function ofDelivery(delivery: FoldedDelivery | undefined, now: Moment | undefined): Pick<Explanation, 'delivered' | 'delivery' | 'attempts'> {
  if (delivery === undefined) return { delivered: false, delivery: null, attempts: [] };
  const { attempts, state } = delivery;
  const subscription = now === undefined || now.state.status === 'NONE' ? null : now.state;
  return { delivered: attempts.some(({ type }) => type === 'WebhookDeliverySucceeded'), delivery: { state, subscription }, attempts: attempts.map(attemptTold) };
}

function asOfEvent(then: Moment | undefined): Explanation['subscription'] {
  if (then === undefined || then.state.status === 'NONE') return null;
  const { status, eventPattern, filter = null } = then.state;
  return { status, eventPattern, filter, revision: then.revision };
}

function nowOf(moment: Moment | undefined): Explanation['now'] {
  if (moment === undefined || moment.state.status === 'NONE') return null;
  const { status, eventPattern } = moment.state;
  return { status, eventPattern };
}

const becauseOf = (fact: SubscriptionFact | DeliveryFact): Because => ({
  type: fact.type,
  position: fact.position,
  at: formatInstant(fact.recordedAt),
  actor: actorIn(fact.metadata),
  commandId: fact.metadata['commandid'] ?? null,
});

function verdictOf(facts: ExplainFacts, moments: readonly Moment[], then: Moment | undefined, delivery: FoldedDelivery | undefined): Verdict {
  const { site, eventId, subscriptionId, published } = facts;
  const never = (what: string): Verdict => ({ code: 'never-existed', because: null, sentence: `There never was ${what} in site ${formatSite(site)}.` });
  if (published === undefined) return never(`an event ${eventId}`);
  if (moments.length === 0) return never(`a webhook subscription ${subscriptionId}`);
  const event = `Event ${eventId} (${published.type}, position ${published.position})`;
  return delivery === undefined ? unscheduled(facts, published, moments, then, event) : scheduled(delivery, subscriptionId, event);
}

function scheduled({ state, last, cancelledBy, attempts }: FoldedDelivery, subscriptionId: string, event: string): Verdict {
  const counted = attempts.findLast(({ type }) => type !== 'WebhookDeliveryDuplicateAttempted')?.data;
  const outcome = counted === undefined ? '' : `attempt ${counted.attempt}, started at ${counted.startedAt}, came to ${cameTo(counted)}`;
  if (cancelledBy !== null) {
    return { code: 'cancelled', because: cancelledBy, sentence: `${event} is not delivered to ${subscriptionId} any more: its delivery was open when ${who(cancelledBy)} deleted the subscription ${where(cancelledBy)}.` };
  }
  switch (state.status) {
    case 'DELIVERED':
      return { code: 'delivered', because: last, sentence: `${event} was delivered to ${subscriptionId}: ${outcome}.` };
    case 'DEAD_LETTERED':
      return { code: 'dead-lettered', because: last, sentence: `${event} was given up for ${subscriptionId} after ${times(state.attempts)} (${state.reason}): ${outcome}.` };
    case 'SCHEDULED':
      return { code: 'retry-scheduled', because: last, sentence: `${event} is to be sent to ${subscriptionId} again at ${formatInstant(state.nextAttemptAtMs)}: ${outcome}.` };
    case 'PENDING':
      return { code: 'pending', because: last, sentence: `${event} waits to be sent to ${subscriptionId}: ${openedBy(last)}.` };
  }
}

const times = (attempts: number): string => (attempts === 1 ? '1 attempt' : `${attempts} attempts`);

const openedBy = (last: DeliveryFact): string =>
  last.type === 'WebhookDeliveryReplayRequested' ? `${who(last)} had it sent again ${where(last)}, and that attempt has not come to an end yet` : `${who(last)} scheduled its delivery ${where(last)}, and its first attempt has not come to an end yet`;

type Published = NonNullable<ExplainFacts['published']>;

function unscheduled(facts: ExplainFacts, published: Published, moments: readonly Moment[], then: Moment | undefined, event: string): Verdict {
  const not = `${event} was not delivered to ${facts.subscriptionId}`;
  if (facts.syntheticFor !== null) return synthetic(facts.syntheticFor, facts.subscriptionId, not);
  if (then === undefined) return createdLater(moments, not);
  const { state, statusBy, patternBy } = then;
  const put = `${who(statusBy)} ${where(statusBy)}`;
  if (state.status === 'NONE') return { code: 'purged', because: statusBy, sentence: `${not}: the subscription had been purged by ${put}.` };
  if (state.status === 'DELETED') return { code: 'deleted', because: statusBy, sentence: `${not}: the subscription had been deleted by ${put}.` };
  if (!patternMatches(state.eventPattern, published)) return { code: 'pattern-mismatch', because: patternBy, sentence: `${not}: ${mismatch(published, state.eventPattern)}; ${who(patternBy)} set that pattern ${where(patternBy)}.` };
  const filtered = filterMismatch(then, published, not);
  if (filtered !== undefined) return filtered;
  if (state.status === 'PAUSED') return { code: 'paused', because: statusBy, sentence: `${not}: the subscription was paused (${state.pausedReason}) by ${put}.` };
  return { code: 'not-scheduled-yet', because: statusBy, sentence: `${event} is not scheduled for ${facts.subscriptionId} yet: the subscription was ACTIVE and its pattern "${state.eventPattern}" matched; ${fanOutStands(facts.fanOut, published.position)}.` };
}

function filterMismatch({ state, filterBy }: Moment, { dataText }: Published, not: string): Verdict | undefined {
  if (state.status === 'NONE' || state.filter === undefined) return undefined;
  const verdict = acceptedFilter(state.filter).judge(new EventData(dataText));
  if ('wants' in verdict && verdict.wants) return undefined;
  const why = 'wants' in verdict ? 'is not true of its data' : `cannot be told of its data (${verdict.failed})`;
  return { code: 'filter-mismatch', because: filterBy, sentence: `${not}: its filter for that event, ${state.filter}, ${why}; ${who(filterBy)} set that filter ${where(filterBy)}.` };
}

const synthetic = (syntheticFor: string, subscriptionId: string, not: string): Verdict =>
  syntheticFor === subscriptionId
    ? { code: 'not-scheduled-yet', because: null, sentence: `${not} yet: it was made to try that subscription, and its delivery is about to be scheduled.` }
    : { code: 'pattern-mismatch', because: null, sentence: `${not}: it was made to try another subscription, ${syntheticFor}, and goes to that one only.` };

function createdLater([first]: readonly Moment[], not: string): Verdict {
  if (first === undefined) throw new TypeError('a subscription without a first moment');
  return { code: 'created-later', because: first.fact, sentence: `${not}: the subscription was created later, ${where(first.fact)} by ${who(first.fact)}.` };
}

function mismatch(published: { readonly type: string; readonly operational: boolean }, eventPattern: string): string {
  const excluded = published.operational && patternMatches(eventPattern, { type: published.type, operational: false });
  return excluded
    ? `it is an operational event, and those reach only patterns that name them: no glob of "${eventPattern}" that matches has a literal first segment`
    : `its pattern for that event, "${eventPattern}", does not match`;
}

function fanOutStands({ scheduledUpTo, parked }: ExplainFacts['fanOut'], position: Position): string {
  if (parked !== null) return `fan-out could not read the event (${parked}) and tries again after a restart`;
  if (scheduledUpTo === null) return 'this process does not schedule deliveries, so it cannot say how far that is';
  return comparePositions(scheduledUpTo, position) < 0 ? `deliveries are scheduled up to position ${scheduledUpTo} so far` : `deliveries are scheduled up to position ${scheduledUpTo}, so this must not be: look at kf status`;
}
