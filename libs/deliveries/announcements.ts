import { type Announcements, placeOf, stored } from '#kernel';
import type { DeliveryEvent } from './events.ts';

type Scheduled = Extract<DeliveryEvent, { type: 'WebhookDeliveryScheduled' }>;
type DeadLettered = Extract<DeliveryEvent, { type: 'WebhookDeliveryDeadLettered' }>;

/** What subscribers are told about deliveries. Nothing about the delivery of such an announcement itself: it would feed itself. */
export const deliveryAnnouncements = {
  WebhookDeliveryDeadLettered: (event, origin) => {
    const { subscriptionId, eventId, eventType, operational } = stored<Scheduled>(origin).data;
    if (operational) return null;
    const { reason, attempt } = stored<DeadLettered>(event).data;
    return { type: 'webhook.delivery.dead_lettered', data: { webhookDeliveryId: placeOf(event.stream).id, webhookSubscriptionId: subscriptionId, eventId, eventType, reason, attempts: attempt } };
  },
} satisfies Announcements;
