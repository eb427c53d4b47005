import { decideReplay, type DeliveryEvent, type DeliveryState, evolveDelivery, initialDelivery, type ReplayDelivery } from '#deliveries';
import { streamOf } from '#kernel';
import type { CommandDefinition } from '../definition.ts';
import { flag } from '../payload.ts';
import { subscriptionFold } from './subscriptions.ts';

export const deliveryFold = { initialState: initialDelivery, evolve: evolveDelivery };

const replay: CommandDefinition<DeliveryState, ReplayDelivery, DeliveryEvent> = {
  type: 'ReplayWebhookDelivery',
  category: 'webhookdelivery',
  idMember: 'webhookDeliveryId',
  fold: () => deliveryFold,
  gates: () => ['ReplayWebhookDelivery'],
  // A delivery id never comes back, so the id itself is the incarnation.
  incarnation: (state) => (state.status === 'NONE' ? 'NONE' : state.eventStream),
  prepare: async ({ request, resourceId, world, aggregates }, { state }) => {
    const subscriptionId = state.status === 'NONE' ? undefined : state.subscriptionId;
    const subscription = subscriptionId === undefined ? undefined : (await aggregates.load(streamOf('webhooksubscription', request.site, subscriptionId), subscriptionFold)).state;
    const exists = subscription !== undefined && subscription.status !== 'NONE';
    return {
      webhookDeliveryId: resourceId,
      resetAttempts: flag(request.payload, 'resetAttempts'),
      includeDelivered: flag(request.payload, 'includeDelivered'),
      inFlight: world.isInFlight(resourceId),
      subscription: {
        status: subscription?.status ?? 'NONE',
        incarnation: exists ? subscription.incarnation : null,
        lastDeletedAt: exists ? subscription.lastDeletedPosition : null,
      },
    };
  },
  decide: decideReplay,
};

export const deliveryCommands = [replay] as const;
