import type { Position, Principal, RecordedEvent, Site } from '#kernel';
import type { PublishedEvent } from '#publishing';
import type { SubscriptionState } from '#subscriptions';
import type { AttemptTold, ExistingDelivery } from './explain-delivery.ts';

export const explanationCodes = ['delivered', 'pending', 'retry-scheduled', 'dead-lettered', 'cancelled', 'pattern-mismatch', 'filter-mismatch', 'paused', 'created-later', 'deleted', 'purged', 'not-scheduled-yet', 'never-existed'] as const;
export type ExplanationCode = (typeof explanationCodes)[number];

/** What the log says about one event and one subscription of a site. */
export interface ExplainFacts {
  readonly site: Site;
  readonly eventId: string;
  readonly subscriptionId: string;
  /** Undefined: it was never published here. */
  readonly published: Pick<PublishedEvent, 'type' | 'operational' | 'position' | 'recordedAtMs' | 'dataText'> | undefined;
  /** The event was made to try this one subscription: nothing is matched and nobody else gets it. Null: it was published. */
  readonly syntheticFor: string | null;
  /** The whole stream of the subscription. */
  readonly subscription: readonly RecordedEvent[];
  readonly deliveryId: string;
  /** The whole stream of the delivery; none while nothing is scheduled. */
  readonly delivery: readonly RecordedEvent[];
  /** The delivery ended so long ago that the lists do not have it any more. */
  readonly historyDropped: boolean;
  readonly fanOut: {
    /** Every delivery of events up to here is scheduled; null: this process does not run it. */
    readonly scheduledUpTo: Position | null;
    /** Why it could not read the event, where it could not. */
    readonly parked: string | null;
  };
}

export interface Because {
  readonly type: string;
  readonly position: Position;
  readonly at: string;
  readonly actor: Principal | null;
  readonly commandId: string | null;
}

/** Why an event was, or was not, delivered to a subscription. */
export interface Explanation {
  readonly eventId: string;
  readonly webhookSubscriptionId: string;
  readonly code: ExplanationCode;
  /** Whether an attempt of it ever succeeded. */
  readonly delivered: boolean;
  /** One plain sentence. */
  readonly sentence: string;
  readonly event: { readonly type: string; readonly position: Position; readonly recordedAt: string } | null;
  /** As of the event; null where there was none. */
  readonly subscription: { readonly status: string; readonly eventPattern: string; readonly filter: string | null; readonly revision: number } | null;
  /** The event of the log that put it there. */
  readonly because: Because | null;
  /** The subscription as it is now; null when there is none (any more). */
  readonly now: { readonly status: string; readonly eventPattern: string } | null;
  /** As its stream says, also where the lists have dropped it; beside its subscription as it is now, which may have cancelled it. */
  readonly delivery: { readonly state: ExistingDelivery; readonly subscription: Exclude<SubscriptionState, { status: 'NONE' }> | null } | null;
  readonly attempts: readonly AttemptTold[];
  readonly notes: readonly string[];
}
