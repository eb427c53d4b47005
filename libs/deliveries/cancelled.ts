import { comparePositions } from '#kernel';
import type { SubscriptionState } from '#subscriptions';
import type { DeliveryState } from './state.ts';

/**
 * Whether a delivery is CANCELLED: open, but its subscription (null: purged) is deleted, is another one by now, or was deleted
 * after this was opened. Lists say the same in SQL.
 */
export function isCancelled({ status, incarnation, openedPosition }: Exclude<DeliveryState, { status: 'NONE' }>, subscription: Exclude<SubscriptionState, { status: 'NONE' }> | null): boolean {
  if (status !== 'PENDING' && status !== 'SCHEDULED') return false;
  if (subscription === null || subscription.status === 'DELETED' || subscription.incarnation !== incarnation) return true;
  return subscription.lastDeletedPosition !== null && comparePositions(subscription.lastDeletedPosition, openedPosition) > 0;
}
