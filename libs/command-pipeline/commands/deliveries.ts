import { decideReplay, type DeliveryEvent, type DeliveryState, evolveDelivery, initialDelivery, type ReplayDelivery } from '#deliveries';
import { refuse, streamOf } from '#kernel';
import type { CommandDefinition, Context } from '../definition.ts';
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
  prepare: async (context, { state }) => {
    const { request, resourceId, world } = context;
    if (await isDropped(context, state)) return refuse('not-found', `There is no webhook delivery ${resourceId} in this tenant and environment.`);
    return {
      webhookDeliveryId: resourceId,
      resetAttempts: flag(request.payload, 'resetAttempts'),
      includeDelivered: flag(request.payload, 'includeDelivered'),
      // Only a recovery asks for it; over HTTP the member does not exist.
      includeCancelled: request.caller === null && flag(request.payload, 'includeCancelled'),
      inFlight: world.isInFlight(resourceId),
      subscription: state.status === 'NONE' ? nobody : await subscriptionOf(context, state.subscriptionId),
    };
  },
  decide: decideReplay,
};

type Subscription = ReplayDelivery['subscription'];

const nobody: Subscription = { status: 'NONE', incarnation: null, lastDeletedAt: null };

async function subscriptionOf({ aggregates, request }: Context, id: string): Promise<Subscription> {
  const { state } = await aggregates.load(streamOf('webhooksubscription', request.site, id), subscriptionFold);
  return state.status === 'NONE' ? nobody : { status: state.status, incarnation: state.incarnation, lastDeletedAt: state.lastDeletedPosition };
}

/** Younger than this it can't have been dropped, and the read model that knows may be behind. */
const alwaysKeptMs = 24 * 60 * 60 * 1000;

const isDropped = async ({ request, resourceId, world, nowMs }: Context, state: DeliveryState): Promise<boolean> =>
  state.status !== 'NONE' && nowMs - state.updatedAtMs > alwaysKeptMs && !(await world.isKept(request.site, resourceId));

export const deliveryCommands = [replay] as const;
