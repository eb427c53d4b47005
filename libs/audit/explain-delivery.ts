import { type AttemptOutcome, type DeliveryEvent, type DeliveryState, evolveDelivery, initialDelivery, isCancelled } from '#deliveries';
import { isLedgerEvent, type RecordedEvent, stored, type Stored } from '#kernel';
import { deletionOf, type Moment, type SubscriptionFact } from './explain-history.ts';

export type DeliveryFact = Stored<DeliveryEvent>;
export type AttemptFact = Extract<DeliveryFact, { readonly data: AttemptOutcome }>;
export type ExistingDelivery = Exclude<DeliveryState, { readonly status: 'NONE' }>;

/** A delivery as its own stream and its subscription's say, also where the lists have dropped it. */
export interface FoldedDelivery {
  readonly state: ExistingDelivery;
  readonly facts: readonly DeliveryFact[];
  readonly attempts: readonly AttemptFact[];
  /** What put it where it is: scheduled, replayed, or what came of the last attempt that counts. */
  readonly last: DeliveryFact;
  /** It is open, and this deletion of its subscription ended it. */
  readonly cancelledBy: SubscriptionFact | null;
}

export interface AttemptTold {
  readonly attempt: number;
  readonly startedAt: string;
  readonly status: number | null;
  readonly error: string | null;
  /** What followed: DUPLICATE changed nothing, another process had recorded the same attempt. */
  readonly decision: 'DELIVERED' | 'SCHEDULED' | 'DEAD_LETTERED' | 'DUPLICATE';
}

const decisions: Readonly<Record<AttemptFact['type'], AttemptTold['decision']>> = {
  WebhookDeliverySucceeded: 'DELIVERED',
  WebhookDeliveryAttemptFailed: 'SCHEDULED',
  WebhookDeliveryDeadLettered: 'DEAD_LETTERED',
  WebhookDeliveryDuplicateAttempted: 'DUPLICATE',
};

export const isAttempt = (fact: { readonly type: string }): fact is AttemptFact => Object.hasOwn(decisions, fact.type);

export const attemptTold = ({ type, data: { attempt, startedAt, status, error } }: AttemptFact): AttemptTold => ({ attempt, startedAt, status, error, decision: decisions[type] });

/** Folds a delivery's stream; undefined when nothing was ever scheduled in it. */
export function foldDelivery(stream: readonly RecordedEvent[], subscription: readonly Moment[]): FoldedDelivery | undefined {
  const facts = stream.filter((event) => !isLedgerEvent(event)).map((event) => stored<DeliveryEvent>(event));
  const state = facts.reduce(evolveDelivery, initialDelivery);
  const last = facts.findLast(({ type }) => type !== 'WebhookDeliveryDuplicateAttempted');
  if (state.status === 'NONE' || last === undefined) return undefined;
  return { state, facts, attempts: facts.filter(isAttempt), last, cancelledBy: cancelledBy(state, subscription) };
}

function cancelledBy(state: ExistingDelivery, moments: readonly Moment[]): SubscriptionFact | null {
  const now = moments.at(-1)?.state;
  const subscription = now === undefined || now.status === 'NONE' ? null : now;
  return isCancelled(state, subscription) ? (deletionOf(moments, state.incarnation, state.openedPosition) ?? null) : null;
}
