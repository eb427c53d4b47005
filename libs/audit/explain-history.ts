import { comparePositions, isLedgerEvent, type Position, type RecordedEvent, stored, type Stored } from '#kernel';
import { evolveSubscription, initialSubscription, type SubscriptionEvent, type SubscriptionState } from '#subscriptions';

export type SubscriptionFact = Stored<SubscriptionEvent>;

/** A subscription right after one of its facts, and to which facts its status, its pattern and its filter go back. */
export interface Moment {
  readonly fact: SubscriptionFact;
  readonly state: SubscriptionState;
  readonly revision: number;
  readonly statusBy: SubscriptionFact;
  readonly patternBy: SubscriptionFact;
  readonly filterBy: SubscriptionFact;
}

/** The moments of a subscription, from its stream as it stands in the log. Receipts and fences are none. */
export function momentsOf(stream: readonly RecordedEvent[]): readonly Moment[] {
  const moments: Moment[] = [];
  for (const event of stream) if (!isLedgerEvent(event)) moments.push(nextMoment(moments, stored<SubscriptionEvent>(event)));
  return moments;
}

function nextMoment(moments: readonly Moment[], fact: SubscriptionFact): Moment {
  const before = moments.at(-1);
  const state = evolveSubscription(before?.state ?? initialSubscription, fact);
  const patternBy = before !== undefined && samePattern(before.state, state) ? before.patternBy : fact;
  const filterBy = before !== undefined && sameFilter(before.state, state) ? before.filterBy : fact;
  return { fact, state, revision: moments.length + 1, statusBy: statusBy(fact, state, moments), patternBy, filterBy };
}

/** Who paused it counts, also after it was deleted and restored in between. */
function statusBy(fact: SubscriptionFact, { status }: SubscriptionState, before: readonly Moment[]): SubscriptionFact {
  const last = before.at(-1);
  if (last?.state.status === status) return last.statusBy;
  if (fact.type !== 'WebhookSubscriptionRestored' || status !== 'PAUSED') return fact;
  return before.findLast(({ state }) => state.status === 'PAUSED')?.statusBy ?? fact;
}

const samePattern = (a: SubscriptionState, b: SubscriptionState): boolean =>
  a.status !== 'NONE' && b.status !== 'NONE' && a.incarnation === b.incarnation && a.eventPattern === b.eventPattern;

const sameFilter = (a: SubscriptionState, b: SubscriptionState): boolean =>
  a.status !== 'NONE' && b.status !== 'NONE' && a.incarnation === b.incarnation && a.filter === b.filter;

/** As it is for an event at the position: what a fact changes holds for the events after it. Undefined before its first fact. */
export const momentAt = (moments: readonly Moment[], position: Position): Moment | undefined => moments.findLast(({ fact }) => comparePositions(fact.position, position) < 0);

/** The moments after an event at the position at which status, pattern or filter changed, each with the one before it. */
export const changesAfter = (moments: readonly Moment[], position: Position): readonly (readonly [Moment, Moment | undefined])[] =>
  moments.flatMap((moment, index) => {
    const before = moments[index - 1];
    const changed = before === undefined || before.state.status !== moment.state.status || !samePattern(before.state, moment.state) || !sameFilter(before.state, moment.state);
    return changed && comparePositions(moment.fact.position, position) > 0 ? [[moment, before] as const] : [];
  });

/** The deletion that cancelled what was open of an incarnation: the first after it was opened, else the last there was. */
export function deletionOf(moments: readonly Moment[], incarnation: string, openedPosition: Position): SubscriptionFact | undefined {
  const deletions = moments.filter(({ fact, state }) => fact.type === 'WebhookSubscriptionDeleted' && state.status === 'DELETED' && state.incarnation === incarnation).map(({ fact }) => fact);
  return deletions.find(({ position }) => comparePositions(position, openedPosition) > 0) ?? deletions.at(-1);
}
