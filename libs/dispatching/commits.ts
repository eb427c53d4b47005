import type { DeliveryEvent, DeliveryState } from '#deliveries';
import { parseStream, prefixOf, type RecordedEvent, type Site, stored } from '#kernel';
import type { SubscriptionEvent } from '#subscriptions';
import type { OpenDelivery } from './port.ts';

/** What a committed event means to the dispatcher. */
export type Seen =
  | { readonly kind: 'published' }
  | { readonly kind: 'scheduled'; readonly entry: OpenDelivery }
  /** Something happened to a delivery that was there already. */
  | { readonly kind: 'moved'; readonly deliveryId: string }
  | { readonly kind: 'subscription'; readonly site: Site; readonly subscriptionId: string; readonly change: SubscriptionEvent['type'] }
  | { readonly kind: 'nothing' };

const published = prefixOf('event');
const delivery = prefixOf('webhookdelivery');
const subscription = prefixOf('webhooksubscription');
const nothing: Seen = { kind: 'nothing' };
const subscriptionChanges: ReadonlySet<string> = new Set([
  'WebhookSubscriptionCreated',
  'WebhookSubscriptionUpdated',
  'WebhookSubscriptionPaused',
  'WebhookSubscriptionResumed',
  'WebhookSubscriptionSecretRotated',
  'WebhookSubscriptionDeleted',
  'WebhookSubscriptionRestored',
  'WebhookSubscriptionPurged',
] satisfies SubscriptionEvent['type'][]);

const isSubscriptionChange = (type: string): type is SubscriptionEvent['type'] => subscriptionChanges.has(type);

/** Something happened to a delivery that was there already. */
export const isMove = ({ stream, type }: RecordedEvent): boolean => type !== 'WebhookDeliveryScheduled' && stream.startsWith(delivery);

export function see(event: RecordedEvent): Seen {
  if (event.stream.startsWith(delivery)) return seeDelivery(event);
  if (event.stream.startsWith(published)) return { kind: 'published' };
  if (!event.stream.startsWith(subscription) || !isSubscriptionChange(event.type)) return nothing;
  const parsed = parseStream(event.stream);
  return parsed === undefined ? nothing : { kind: 'subscription', site: parsed.site, subscriptionId: parsed.id, change: event.type };
}

function seeDelivery(event: RecordedEvent): Seen {
  if (!isMove(event)) return seeScheduled(event);
  return { kind: 'moved', deliveryId: event.stream.slice(event.stream.lastIndexOf('.') + 1) };
}

/** Whose delivery an event of its stream is about, when it says so: outcomes do. */
export function whoseOf({ stream, data }: RecordedEvent): { readonly site: Site; readonly subscriptionId: string } | undefined {
  const parsed = parseStream(stream);
  const { subscriptionId } = JSON.parse(data) as { readonly subscriptionId?: string };
  return parsed === undefined || subscriptionId === undefined ? undefined : { site: parsed.site, subscriptionId };
}

function seeScheduled(event: RecordedEvent): Seen {
  const parsed = parseStream(event.stream);
  if (parsed === undefined) return nothing;
  const { data, recordedAt, revision, position } = stored<Extract<DeliveryEvent, { type: 'WebhookDeliveryScheduled' }>>(event);
  const { subscriptionId, incarnation, eventId, eventType, eventStream } = data;
  const counters = { attempts: 0, attemptsCounted: 0, lastChance: false };
  const names = { site: parsed.site, deliveryId: parsed.id, subscriptionId, incarnation, eventId, eventType, eventStream };
  return { kind: 'scheduled', entry: { ...names, ...counters, status: 'PENDING', revision, scheduledPosition: position, openedPosition: position, dueAtMs: recordedAt } };
}

/** The delivery as it waits, by its stream; undefined when it waits for nothing. */
export function waitingOf(site: Site, deliveryId: string, state: DeliveryState, revision: number): OpenDelivery | undefined {
  if (state.status !== 'PENDING' && state.status !== 'SCHEDULED') return undefined;
  const { status, subscriptionId, incarnation, eventId, eventType, eventStream, attempts, attemptsCounted, lastChance, scheduledPosition, openedPosition } = state;
  const dueAtMs = state.status === 'PENDING' ? state.updatedAtMs : state.nextAttemptAtMs;
  return { status, site, deliveryId, subscriptionId, incarnation, eventId, eventType, eventStream, revision, attempts, attemptsCounted, lastChance, scheduledPosition, openedPosition, dueAtMs };
}
