import { comparePositions, type Decider, type Decision, type Position, refuse } from '#kernel';
import type { DeliveryEvent } from './events.ts';
import { type DeliveryState, evolveDelivery, initialDelivery } from './state.ts';

/** `ReplayWebhookDelivery` with everything its decision needs to know beside the delivery itself. */
export interface ReplayDelivery {
  readonly webhookDeliveryId: string;
  readonly resetAttempts: boolean;
  /** Also send again what was delivered. */
  readonly includeDelivered: boolean;
  /** Also open again what was cancelled by a deletion that was undone; what a deletion in force has cancelled stays so. */
  readonly includeCancelled: boolean;
  /** A request of it is under way, or its outcome is not recorded yet. */
  readonly inFlight: boolean;
  readonly subscription: {
    readonly status: 'NONE' | 'ACTIVE' | 'PAUSED' | 'DELETED';
    /** Id of the creation event, null when there is none. */
    readonly incarnation: string | null;
    /** Where the subscription was last deleted, also when it was restored since: what was open then stays cancelled. */
    readonly lastDeletedAt: Position | null;
  };
}

export type ReplayDecision = Decision<DeliveryEvent, { readonly webhookDeliveryId: string; readonly status: 'PENDING' }, 'not-found' | 'delivery-not-replayable'>;

/**
 * Moves a delivery that waits for a retry or was given up (or, when asked, was delivered or cancelled) back to PENDING.
 * PENDING: nothing to do. `not-found`: no such delivery. `delivery-not-replayable`: cancelled with its subscription, in flight,
 * or delivered.
 */
export function decideReplay(state: DeliveryState, command: ReplayDelivery): ReplayDecision {
  const { webhookDeliveryId, resetAttempts } = command;
  if (state.status === 'NONE') return refuse('not-found', `There is no webhook delivery ${webhookDeliveryId} in this tenant and environment.`);
  const cancelled = whyCancelled(state, command.subscription);
  const hindrance = whyNot(state, command, cancelled);
  if (hindrance !== undefined) return refuse('delivery-not-replayable', `Webhook delivery ${webhookDeliveryId} ${hindrance}.`);
  const result = { webhookDeliveryId, status: 'PENDING' } as const;
  if (state.status === 'PENDING' && cancelled === undefined) return { events: [], result };
  return { events: [{ type: 'WebhookDeliveryReplayRequested', data: { subscriptionId: state.subscriptionId, resetAttempts, manual: state.status === 'DELIVERED' } }], result };
}

export const replayDecider: Decider<DeliveryState, ReplayDelivery, DeliveryEvent> = { initialState: initialDelivery, evolve: evolveDelivery, decide: decideReplay };

function whyNot(state: Existing, command: ReplayDelivery, cancelled: Cancelled | undefined): string | undefined {
  if (cancelled !== undefined && !(cancelled.undone && command.includeCancelled)) return `is CANCELLED: ${cancelled.why}`;
  if (command.inFlight) return 'is in flight: a request of it is under way';
  if (state.status === 'DELIVERED' && !command.includeDelivered) return 'was DELIVERED; includeDelivered sends it again';
  return undefined;
}

type Existing = Exclude<DeliveryState, { status: 'NONE' }>;

interface Cancelled {
  readonly why: string;
  /** The deletion that cancelled it was undone. */
  readonly undone: boolean;
}

function whyCancelled(state: Existing, { status, incarnation, lastDeletedAt }: ReplayDelivery['subscription']): Cancelled | undefined {
  if (status === 'DELETED' || status === 'NONE') return { why: 'its subscription was deleted', undone: false };
  if (incarnation !== state.incarnation) return { why: 'it belongs to an earlier subscription of this id, which was deleted', undone: false };
  const open = state.status === 'PENDING' || state.status === 'SCHEDULED';
  if (open && lastDeletedAt !== null && comparePositions(lastDeletedAt, state.openedPosition) > 0) return { why: 'its subscription was deleted since, and restored', undone: true };
  return undefined;
}
