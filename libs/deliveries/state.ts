import type { Stored } from '#kernel';
import type { DeadLetterReason, DeliveryEvent } from './events.ts';

type Open = { readonly status: 'PENDING' } | { readonly status: 'SCHEDULED'; readonly nextAttemptAtMs: number };
type Ended = { readonly status: 'DELIVERED' } | { readonly status: 'DEAD_LETTERED'; readonly reason: DeadLetterReason };

/** CANCELLED is not here: it is derived from the deletion of the subscription. */
export type DeliveryState =
  | { readonly status: 'NONE' }
  | ((Open | Ended) & {
      readonly subscriptionId: string;
      readonly incarnation: string;
      readonly eventId: string;
      readonly eventType: string;
      readonly eventStream: string;
      readonly scheduledPosition: string;
      /** Where it was last opened: scheduled, or replayed. A deletion of the subscription after it cancels it. */
      readonly openedPosition: string;
      /** Requests made in all. */
      readonly attempts: number;
      /** Requests that count against the retry schedule: since the last reset. */
      readonly attemptsCounted: number;
      /** After a replay without reset of a dead letter: exactly one more attempt. */
      readonly lastChance: boolean;
      readonly createdAtMs: number;
      readonly updatedAtMs: number;
    });

export const initialDelivery: DeliveryState = { status: 'NONE' };

/** Folds one event of a delivery's stream. An event that cannot follow the state is a broken log: it throws. */
export function evolveDelivery(state: DeliveryState, event: Stored<DeliveryEvent>): DeliveryState {
  if (event.type === 'WebhookDeliveryScheduled') {
    const { subscriptionId, incarnation, eventId, eventType, eventStream } = event.data;
    const times = { createdAtMs: event.recordedAt, updatedAtMs: event.recordedAt };
    return { status: 'PENDING', subscriptionId, incarnation, eventId, eventType, eventStream, scheduledPosition: event.position, openedPosition: event.position, attempts: 0, attemptsCounted: 0, lastChance: false, ...times };
  }
  if (state.status === 'NONE') throw new TypeError(`${event.type} at ${event.position} without a delivery`);
  const { subscriptionId, incarnation, eventId, eventType, eventStream, scheduledPosition, openedPosition, attempts, attemptsCounted, lastChance, createdAtMs } = state;
  const kept = { subscriptionId, incarnation, eventId, eventType, eventStream, scheduledPosition, openedPosition, createdAtMs, updatedAtMs: event.recordedAt };
  const attempted = { ...kept, attempts: attempts + 1, attemptsCounted: attemptsCounted + 1, lastChance };
  switch (event.type) {
    case 'WebhookDeliverySucceeded':
      return { ...attempted, status: 'DELIVERED' };
    case 'WebhookDeliveryAttemptFailed':
      return { ...attempted, status: 'SCHEDULED', nextAttemptAtMs: Date.parse(event.data.nextAttemptAt) };
    case 'WebhookDeliveryDeadLettered':
      return { ...attempted, status: 'DEAD_LETTERED', reason: event.data.reason };
    case 'WebhookDeliveryDuplicateAttempted':
      return { ...state, attempts: attempts + 1 };
    case 'WebhookDeliveryReplayRequested':
      return { ...kept, status: 'PENDING', openedPosition: event.position, attempts, attemptsCounted: event.data.resetAttempts ? 0 : attemptsCounted, lastChance: !event.data.resetAttempts && (state.status === 'DEAD_LETTERED' || lastChance) };
  }
}
