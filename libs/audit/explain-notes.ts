import { acceptedFilter, EventData } from '#event-filter';
import { formatInstant, formatSite } from '#kernel';
import { type LiveSubscription, patternMatches, type SubscriptionEvent } from '#subscriptions';
import type { ExplainFacts, ExplanationCode } from './explain-facts.ts';
import type { FoldedDelivery } from './explain-delivery.ts';
import { changesAfter, type Moment } from './explain-history.ts';
import { where, who } from './words.ts';

interface Found {
  readonly moments: readonly Moment[];
  readonly then: Moment | undefined;
  readonly delivery: FoldedDelivery | undefined;
  readonly code: ExplanationCode;
}

type Published = NonNullable<ExplainFacts['published']>;

/** More changes than these are counted, not told. */
const changesTold = 5;

/** What stands beside the sentence: what else holds, what changed since, and what can be done. The most useful first. */
export function notesOn(facts: ExplainFacts, published: Published, found: Found): readonly string[] {
  const now = found.moments.at(-1);
  return [...remedies(facts, published, found, now), ...besides(facts, published, found, now), ...ofDelivery(facts, found, now), ...changesSince(published, found)];
}

function remedies({ site, subscriptionId, deliveryId }: ExplainFacts, published: Published, found: Found, now: Moment | undefined): readonly string[] {
  const lives = stillLives(found, now);
  switch (found.code) {
    case 'paused':
      return lives ? [`To have it delivered after all, with everything else missed since: kf webhook recover ${subscriptionId} --since ${formatInstant(published.recordedAtMs)} --status MISSED --site ${formatSite(site)}`] : ['The subscription of then is deleted, so it cannot be recovered.'];
    case 'dead-lettered':
      return lives ? [`To have it sent once more: kf webhook retry ${subscriptionId} ${deliveryId} --site ${formatSite(site)}`] : [];
    case 'cancelled':
      return lives ? [`To have it delivered after all: kf webhook recover ${subscriptionId} --since ${formatInstant(published.recordedAtMs)} --status CANCELLED --site ${formatSite(site)}`] : [];
    case 'delivered':
    case 'pending':
    case 'retry-scheduled':
    case 'pattern-mismatch':
    case 'filter-mismatch':
    case 'created-later':
    case 'deleted':
    case 'purged':
    case 'not-scheduled-yet':
    case 'never-existed':
      return [];
  }
}

/** The subscription that it was for, not another one that has the id by now. */
function stillLives({ then, delivery }: Found, now: Moment | undefined): boolean {
  if (now === undefined || !isLive(now.state)) return false;
  const of = delivery?.state ?? then?.state;
  return of !== undefined && of.status !== 'NONE' && of.incarnation === now.state.incarnation;
}

const isLive = (state: Moment['state']): state is LiveSubscription => state.status === 'ACTIVE' || state.status === 'PAUSED';

/** What would have kept it away besides, and what would or would not keep it away today. */
function besides({ syntheticFor }: ExplainFacts, published: Published, { then, code }: Found, now: Moment | undefined): readonly string[] {
  if (syntheticFor !== null) return ['It is a synthetic event, made to try one subscription; no pattern is asked.'];
  const today = patternNow(now, published);
  switch (code) {
    case 'pattern-mismatch':
      return [...(today?.matches === true ? [`Today's pattern, "${today.pattern}", would match it.`] : []), ...alsoPaused(then)];
    case 'filter-mismatch':
      return [...filterNow(now, published), ...alsoPaused(then)];
    case 'paused':
      return today?.matches === false ? [`Today's pattern, "${today.pattern}", would not match it; the one for that event decides.`] : [];
    case 'delivered':
    case 'pending':
    case 'retry-scheduled':
    case 'dead-lettered':
    case 'cancelled':
    case 'created-later':
    case 'deleted':
    case 'purged':
    case 'not-scheduled-yet':
    case 'never-existed':
      return [];
  }
}

function patternNow(now: Moment | undefined, published: Published): { readonly pattern: string; readonly matches: boolean } | undefined {
  if (now === undefined || now.state.status === 'NONE') return undefined;
  const { eventPattern: pattern } = now.state;
  return { pattern, matches: patternMatches(pattern, published) };
}

function filterNow(now: Moment | undefined, { dataText }: Published): readonly string[] {
  if (now === undefined || !isLive(now.state)) return [];
  const { filter } = now.state;
  if (filter === undefined) return ['Today it has no filter.'];
  const verdict = acceptedFilter(filter).judge(new EventData(dataText));
  return 'wants' in verdict && verdict.wants ? [`Today's filter, ${filter}, would be true of it.`] : [];
}

const alsoPaused = (then: Moment | undefined): readonly string[] =>
  then?.state.status === 'PAUSED' ? [`The subscription was paused as well, by ${who(then.statusBy)} ${where(then.statusBy)}.`] : [];

function ofDelivery({ historyDropped, site, subscriptionId }: ExplainFacts, { then, delivery, code }: Found, now: Moment | undefined): readonly string[] {
  if (delivery === undefined) return [];
  const isOpen = code === 'pending' || code === 'retry-scheduled';
  return [
    ...(isOpen && now?.state.status === 'PAUSED' ? [`Nothing is sent while the subscription is paused, as it is since ${who(now.statusBy)} paused it ${where(now.statusBy)}: kf webhook update ${subscriptionId} --paused=false --site ${formatSite(site)}`] : []),
    ...afterAll(delivery, then),
    ...delivery.facts.flatMap((fact) => (fact.type === 'WebhookDeliveryReplayRequested' && fact !== delivery.last ? [`${who(fact)} had it sent again ${where(fact)}.`] : [])).slice(-changesTold),
    ...(historyDropped ? ['It ended so long ago that lists and transcripts do not have it any more; the log keeps what came of it.'] : []),
    ...otherIncarnation(delivery, now),
  ];
}

/** Scheduled although nobody would have been sent it when it was published: a recovery did that. */
function afterAll({ facts }: FoldedDelivery, then: Moment | undefined): readonly string[] {
  const [first] = facts;
  if (first === undefined || then === undefined || then.state.status !== 'PAUSED') return [];
  return [`The subscription was paused for that event (by ${who(then.statusBy)} ${where(then.statusBy)}), and it was recovered: ${who(first)} scheduled it ${where(first)}.`];
}

function otherIncarnation({ state }: FoldedDelivery, now: Moment | undefined): readonly string[] {
  if (now === undefined || (now.state.status !== 'NONE' && now.state.incarnation === state.incarnation)) return [];
  return now.state.status === 'NONE' ? [`The subscription was purged ${where(now.statusBy)}.`] : ['It was scheduled for an earlier subscription of this id, which was purged; the one that has the id today is another.'];
}

/** Status, pattern and filter since, where they tell why the answer today would be another. */
function changesSince(published: Published, { moments, then, code }: Found): readonly string[] {
  if (code === 'delivered' || code === 'created-later') return [];
  const changes = changesAfter(moments, published.position).filter(([{ fact }]) => code !== 'cancelled' || fact.type !== 'WebhookSubscriptionDeleted');
  const told = changes.slice(0, changesTold).map(([moment, before]) => `Later, ${where(moment.fact)}, ${who(moment.fact)} ${changed(moment, before ?? then)}.`);
  return changes.length > changesTold ? [...told, `${changes.length - changesTold} more changes of status, pattern or filter followed.`] : told;
}

function changed({ fact, state }: Moment, before: Moment | undefined): string {
  switch (fact.type) {
    case 'WebhookSubscriptionCreated':
      return `created a subscription of this id${before === undefined ? '' : ' anew, which is another one'} (${fact.data.status}, "${fact.data.eventPattern}")`;
    case 'WebhookSubscriptionUpdated':
      return updated(fact.data, before?.state);
    case 'WebhookSubscriptionPaused':
      return `paused the subscription (${fact.data.reason})`;
    case 'WebhookSubscriptionResumed':
      return 'resumed the subscription';
    case 'WebhookSubscriptionDeleted':
      return 'deleted the subscription';
    case 'WebhookSubscriptionRestored':
      return `restored the subscription (${state.status})`;
    case 'WebhookSubscriptionPurged':
      return 'purged the subscription';
    case 'WebhookSubscriptionSecretRotated':
      return 'rotated the secret';
  }
}

type Settings = Extract<SubscriptionEvent, { readonly type: 'WebhookSubscriptionUpdated' }>['data'];

/** A filter is told without quotes: it has some itself. */
function updated({ eventPattern, filter }: Settings, before: Moment['state'] | undefined): string {
  if (before === undefined || before.status === 'NONE') return `changed the pattern to "${eventPattern}"`;
  const pattern = before.eventPattern === eventPattern ? [] : [`the pattern from "${before.eventPattern}" to "${eventPattern}"`];
  const narrowed = before.filter === filter ? [] : [`the filter from ${before.filter ?? 'none'} to ${filter ?? 'none'}`];
  return `changed ${[...pattern, ...narrowed].join(' and ')}`;
}
