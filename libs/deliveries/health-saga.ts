import { causedBy, type CommandOutput, placeOf, prefixOf, type RecordedEvent, type Saga, stored, type Stored, streamOf } from '#kernel';
import type { PauseReason, SubscriptionEvent } from '#subscriptions';
import type { DeliveryEvent } from './events.ts';

/** A subscription whose attempts have failed without one success since `sinceMs`. */
export type Failing = { readonly sinceMs: number };

/** How long a subscription may fail without one success before it is paused. */
export const defaultSustainedFailureMs = 5 * 24 * 60 * 60 * 1000;

type Outcome = Extract<DeliveryEvent, { type: 'WebhookDeliverySucceeded' | 'WebhookDeliveryAttemptFailed' | 'WebhookDeliveryDeadLettered' }>;

const succeeded: Outcome['type'] = 'WebhookDeliverySucceeded';
const failures: ReadonlySet<string> = new Set(['WebhookDeliveryAttemptFailed', 'WebhookDeliveryDeadLettered'] satisfies Outcome['type'][]);

const isOutcome = (type: string): boolean => type === succeeded || failures.has(type);

/** After each of these a subscription's failures are counted anew. */
const freshStarts: ReadonlySet<string> = new Set([
  'WebhookSubscriptionCreated',
  'WebhookSubscriptionPaused',
  'WebhookSubscriptionResumed',
  'WebhookSubscriptionDeleted',
  'WebhookSubscriptionRestored',
  'WebhookSubscriptionPurged',
] satisfies SubscriptionEvent['type'][]);

/** Somebody changed, paused, deleted or purged it after the attempt: the failure says nothing about what it is now. */
const settledBy = ['precondition-failed', 'subscription-deleted', 'not-found'];

/**
 * Pauses subscriptions whose endpoint is gone (410) or has failed for too long without one success. An instance is a
 * subscription. The command expects the revision that the failed attempt was made with, so that it never pauses one
 * that was resumed or changed since.
 */
export const subscriptionHealth = ({ sustainedFailureMs = defaultSustainedFailureMs }: { readonly sustainedFailureMs?: number } = {}): Saga<Failing, CommandOutput> => ({
  name: 'subscription-health',
  prefixes: [prefixOf('webhookdelivery'), prefixOf('webhooksubscription')],
  // Most attempts succeed, and where nothing is failing that changes nothing.
  wants: ({ type }, open) => failures.has(type) || (open.size > 0 && (type === succeeded || freshStarts.has(type))),
  // Within a text of JSON these quotes would be escaped.
  wantsOrigin: ({ type, data }) => isOutcome(type) && !data.includes('"subscriptionId":'),
  instancesOf: (event, origin) => {
    if (!isOutcome(event.type)) return [event.stream];
    const subscriptionId = receiverOf(event) ?? (origin === null ? undefined : receiverOf(origin));
    return subscriptionId === undefined ? [] : [streamOf('webhooksubscription', placeOf(event.stream).site, subscriptionId)];
  },
  react: (subscription, state, input) => {
    if (input.kind === 'deadline' || !isOutcome(input.event.type)) return { state: null, outputs: [] };
    const outcome = stored<Outcome>(input.event);
    if (outcome.type === 'WebhookDeliverySucceeded') return { state: null, outputs: [] };
    const failing = state ?? { sinceMs: outcome.recordedAt };
    const reason = reasonToPause(outcome, failing, sustainedFailureMs);
    return { state: failing, outputs: reason === undefined ? [] : [pause(subscription, input.event, outcome, reason)] };
  },
  deadlineOf: () => undefined,
});

/** Whose delivery it is, when the event says so: the first of a stream does, outcomes of the first releases do not. */
const receiverOf = (event: RecordedEvent): string | undefined => (JSON.parse(event.data) as { readonly subscriptionId?: string }).subscriptionId;

function reasonToPause(outcome: Stored<Outcome>, { sinceMs }: Failing, sustainedFailureMs: number): PauseReason | undefined {
  if (outcome.type === 'WebhookDeliveryDeadLettered' && outcome.data.reason === 'endpoint-gone') return 'endpoint-gone';
  return outcome.recordedAt - sinceMs >= sustainedFailureMs ? 'sustained-failure' : undefined;
}

function pause(subscription: string, event: RecordedEvent, outcome: Stored<Outcome>, reason: PauseReason): CommandOutput {
  const { site, id } = placeOf(subscription);
  return {
    do: 'command',
    key: `${reason}|${event.id}`,
    site,
    commandType: 'PauseWebhookSubscription',
    payload: { webhookSubscriptionId: id, reason },
    expectedRevision: outcome.data.subscriptionRevision,
    settledBy,
    because: causedBy(event),
  };
}
