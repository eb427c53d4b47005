import { type Decision, deliveryId, type DomainEvent, type JsonObject, type Site } from '#kernel';
import { refuseMissing, type SubscriptionState } from '#subscriptions';

/** The first event of a `probe-<site>.<tst id>` stream: somebody wants to see one delivery to one subscription. */
export type TestRequestEvent = DomainEvent<
  'WebhookTestRequested',
  {
    readonly subscriptionId: string;
    readonly incarnation: string;
    readonly deliveryId: string;
    /** Of the synthetic event, which is in no `event-` stream, so nobody else gets it. */
    readonly eventId: string;
    readonly eventType: string;
    readonly data: JsonObject;
  }
>;

export type TestRequestState = { readonly status: 'NONE' } | { readonly status: 'REQUESTED' };

export const initialTest: TestRequestState = { status: 'NONE' };

/** Whatever stands in such a stream, its name is taken. */
export const evolveTest = (): TestRequestState => ({ status: 'REQUESTED' });

/** The type of the synthetic event when the request names none. */
export const defaultTestEvent = 'webhook.test';

/** `TestWebhookSubscription` with everything its decision needs to know. */
export interface RequestTest {
  readonly site: Site;
  readonly webhookSubscriptionId: string;
  readonly subscription: SubscriptionState;
  readonly eventId: string;
  readonly eventType: string;
  /** The event's own time: part of what its delivery is called. */
  readonly nowMs: number;
}

type TestDecision = Decision<
  TestRequestEvent,
  { readonly webhookSubscriptionId: string; readonly status: 'ACTIVE' | 'PAUSED'; readonly deliveryId: string; readonly eventId: string },
  'not-found' | 'subscription-deleted'
>;

/**
 * Asks for one synthetic event to one subscription, whatever its pattern. While the subscription is PAUSED, as the result
 * says, the delivery waits. `not-found`, `subscription-deleted`: there is nobody to send it to.
 */
export function decideTest(state: TestRequestState, { site, webhookSubscriptionId, subscription, eventId, eventType, nowMs }: RequestTest): TestDecision {
  if (subscription.status === 'NONE' || subscription.status === 'DELETED') return refuseMissing(webhookSubscriptionId, subscription);
  const { incarnation, status } = subscription;
  const id = deliveryId(site, eventId, webhookSubscriptionId, nowMs);
  const result = { webhookSubscriptionId, status, deliveryId: id, eventId };
  if (state.status === 'REQUESTED') return { events: [], result };
  const data = { test: true, webhookSubscriptionId, message: 'A test of this webhook subscription. Nothing has happened.' };
  return { events: [{ type: 'WebhookTestRequested', data: { subscriptionId: webhookSubscriptionId, incarnation, deliveryId: id, eventId, eventType, data } }], result };
}
