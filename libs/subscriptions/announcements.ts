import { type Announcement, type Announcements, type JsonObject, placeOf, type RecordedEvent, stored } from '#kernel';
import type { SubscriptionEvent } from './events.ts';

type Event<Type extends SubscriptionEvent['type']> = Extract<SubscriptionEvent, { type: Type }>;

const announce =
  (type: string, more: (event: RecordedEvent) => JsonObject = () => ({})) =>
  (event: RecordedEvent): Announcement => ({ type, data: { webhookSubscriptionId: placeOf(event.stream).id, ...more(event) } });

/** What subscribers are told about subscriptions. */
export const subscriptionAnnouncements = {
  WebhookSubscriptionCreated: announce('webhook.subscription.created'),
  WebhookSubscriptionUpdated: announce('webhook.subscription.updated'),
  WebhookSubscriptionPaused: announce('webhook.subscription.paused', (event) => ({ reason: stored<Event<'WebhookSubscriptionPaused'>>(event).data.reason })),
  WebhookSubscriptionResumed: announce('webhook.subscription.resumed'),
  WebhookSubscriptionSecretRotated: announce('webhook.subscription.secret_rotated'),
  WebhookSubscriptionDeleted: announce('webhook.subscription.deleted', (event) => ({ purgeAt: stored<Event<'WebhookSubscriptionDeleted'>>(event).data.purgeAt })),
  WebhookSubscriptionRestored: announce('webhook.subscription.restored'),
  WebhookSubscriptionPurged: announce('webhook.subscription.purged'),
} satisfies Announcements & Record<SubscriptionEvent['type'], unknown>;
