import type { ApiKeyEvent } from '#access';
import type { ApprovalEvent, ApprovalPolicyEvent, CommandRefused } from '#approvals';
import { type AttemptOutcome, type DeliveryEvent, type TestRequestEvent, type WebhookProbeSent } from '#deliveries';
import { type DomainEvent, formatPrincipal, formatRetrySchedule, type LedgerEvent, placeOf, type RecordedEvent, stored, type Stored } from '#kernel';
import { readPublishedEvent } from '#publishing';
import type { RecoveryEvent } from '#recoveries';
import type { SubscriptionEvent, SubscriptionSettings } from '#subscriptions';
import { cameTo, who } from './words.ts';

type Known = SubscriptionEvent | DeliveryEvent | ApprovalEvent | ApprovalPolicyEvent | LedgerEvent | RecoveryEvent | ApiKeyEvent | TestRequestEvent | WebhookProbeSent | CommandRefused;
type Texts<Event extends DomainEvent<string, object>> = { readonly [Type in Event['type']]: (event: Stored<Extract<Event, { readonly type: Type }>>, id: string) => string };

const because = (reason: string | null): string => (reason === null ? '' : `: "${reason}"`);

const ofSubscriptions: Texts<SubscriptionEvent> = {
  WebhookSubscriptionCreated: (event, id) => `${who(event)} created subscription ${id}: ${wanted(event.data)} to ${event.data.targetUrl} (${event.data.deliveryMode}, ${event.data.status}${options(event.data)}), signed with secret version ${event.data.secret.versionId}.`,
  WebhookSubscriptionUpdated: (event, id) => `${who(event)} set subscription ${id} to ${wanted(event.data)} to ${event.data.targetUrl} (${event.data.deliveryMode}${options(event.data)}).`,
  WebhookSubscriptionPaused: (event, id) => `${who(event)} paused subscription ${id} (${event.data.reason}).`,
  WebhookSubscriptionResumed: (event, id) => `${who(event)} resumed subscription ${id}.`,
  WebhookSubscriptionSecretRotated: (event, id) => `${who(event)} rotated the secret of subscription ${id}: version ${event.data.secret.versionId} signs from now on, ${before(event.data.previous)}.`,
  WebhookSubscriptionDeleted: (event, id) => `${who(event)} deleted subscription ${id}; it can be restored until ${event.data.purgeAt}.`,
  WebhookSubscriptionRestored: (event, id) => `${who(event)} restored subscription ${id}.`,
  WebhookSubscriptionPurged: (event, id) => `${who(event)} purged subscription ${id} and shredded its secrets.`,
};

const wanted = ({ eventPattern, filter }: SubscriptionSettings): string => `"${eventPattern}"${filter === undefined ? '' : ` where ${filter}`}`;

const options = ({ timeoutMs, retryScheduleMs, rateLimitPerSecond, labels = {}, headers = {} }: SubscriptionSettings): string =>
  [
    ...(timeoutMs === undefined ? [] : [`${timeoutMs} ms for a request`]),
    ...(retryScheduleMs === undefined ? [] : [`attempts after ${formatRetrySchedule(retryScheduleMs).join(' ')}`]),
    ...(rateLimitPerSecond === undefined ? [] : [`at most ${rateLimitPerSecond} requests a second`]),
    ...Object.entries(labels).map(([name, value]) => `${name}=${value}`),
    ...Object.keys(headers).map((name) => `header ${name}`),
  ]
    .map((option) => `, ${option}`)
    .join('');

const before = (previous: { readonly versionId: string; readonly graceUntil: string } | null): string =>
  previous === null ? 'the one before no longer' : `the one before (${previous.versionId}) beside it until ${previous.graceUntil}`;

const attempt = (id: string, { data }: { readonly data: AttemptOutcome }): string => `Attempt ${data.attempt} of delivery ${id}, signed with secret version ${data.secretVersionIds.join(' and ')}, came to ${cameTo(data)} after ${Math.round(data.durationMs)} ms`;

const ofDeliveries: Texts<DeliveryEvent> = {
  WebhookDeliveryScheduled: (event, id) => `${who(event)} scheduled delivery ${id} of event ${event.data.eventId} (${event.data.eventType}) to subscription ${event.data.subscriptionId}.`,
  WebhookDeliverySucceeded: (event, id) => `${attempt(id, event)}: it is delivered.`,
  WebhookDeliveryAttemptFailed: (event, id) => `${attempt(id, event)}; the next is due at ${event.data.nextAttemptAt}.`,
  WebhookDeliveryDeadLettered: (event, id) => `${attempt(id, event)}, and the delivery was given up (${event.data.reason}).`,
  WebhookDeliveryDuplicateAttempted: (event, id) => `${attempt(id, event)}; another process had recorded this attempt, so it changed nothing.`,
  WebhookDeliveryReplayRequested: (event, id) => `${who(event)} had delivery ${id} sent again${event.data.resetAttempts ? ', its attempts counted anew' : ''}.`,
};

const ofApprovals: Texts<ApprovalEvent> = {
  ApprovalRequested: (event) => `${who(event)} asked for approval of ${event.data.binding.commandType} on ${event.data.binding.resourceId}, by ${event.data.policy.minApprovals} and until ${event.data.expiresOn}${because(event.data.reason)}.`,
  ApprovalVoteCast: ({ data }) => `${formatPrincipal(data.voter)}${data.asserted ? ', as a trusted front end says,' : ''} voted to grant it${because(data.reason)}.`,
  ApprovalGranted: () => 'With that it had the votes it needs and was granted.',
  ApprovalDenied: ({ data }) => `${formatPrincipal(data.voter)}${data.asserted ? ', as a trusted front end says,' : ''} denied it${because(data.reason)}.`,
  ApprovalWithdrawn: (event) => `${who(event)} withdrew it${because(event.data.reason)}.`,
  ApprovalRevoked: ({ data }) => `${formatPrincipal(data.by)} revoked it${because(data.reason)}.`,
  ApprovalUseMirrored: ({ data }) => `Its use by command ${data.commandId} at position ${data.position} was noted with it.`,
  ApprovalExpired: () => 'It expired.',
  ApprovalInvalidated: ({ data }) => `It became invalid: ${data.cause === 'policy-changed' ? 'the policy' : 'the resource'} had changed.`,
  ApprovalDueReminded: () => 'The decision was due, and was not made yet.',
};

const policy = (event: Stored<ApprovalPolicyEvent>, id: string, how: string): string =>
  `${who(event)} set the policy of ${id}${how}: ${event.data.required ? `${event.data.minApprovals} approval${event.data.minApprovals === 1 ? '' : 's'} required` : 'no approval required'}.`;

const ofPolicies: Texts<ApprovalPolicyEvent> = {
  ApprovalPolicySet: (event, id) => policy(event, id, ''),
  ApprovalPolicyOverridden: (event, id) => policy(event, id, ' past its own gate, with the root key'),
};

const ofLedger: Texts<LedgerEvent> = {
  CommandClaimed: (event, id) => `${who(event)} sent command ${id}: ${event.data.commandType} on ${event.data.resourceId}.`,
  CommandExecuted: ({ data }) => `Command ${data.commandId} (${data.commandType} on ${data.resourceId}) ${data.outcome === 'APPLIED' ? 'took effect' : 'changed nothing'}${data.approvalId === null ? '' : `, with approval ${data.approvalId}`}.`,
  ApprovalConsumed: ({ data }) => `Command ${data.commandId} used approval ${data.approvalId} up, in the same append as its effect.`,
  ApprovalFenced: ({ data }, id) => `Approval ${data.approvalId} was barred from ${id}.`,
};

const ofRecoveries: Texts<RecoveryEvent> = {
  WebhookRecoveryStarted: (event) => `${who(event)} began to recover what subscription ${event.data.subscriptionId} did not get from ${event.data.since} until ${event.data.until} (${event.data.statuses.join(', ')}), at most ${event.data.ratePerSecond} a second.`,
  WebhookRecoveryProgressed: ({ data }) => `So far ${data.recovered} of ${data.total} were sent again, ${data.skipped} could not be.`,
  WebhookRecoveryFinished: ({ data }) => `It ended: ${data.recovered} were sent again, ${data.skipped} could not be${data.detail === null ? '' : ` (${data.detail})`}.`,
  WebhookRecoveryCancelled: (event) => `${who(event)} cancelled it.`,
};

const ofKeys: Texts<ApiKeyEvent> = {
  ApiKeyCreated: (event, id) => `${who(event)} made API key ${id} ("${event.data.name}") with ${event.data.scopes.join(', ')}.`,
  ApiKeyRevoked: (event, id) => `${who(event)} revoked API key ${id}.`,
};

const ofTrials: Texts<TestRequestEvent | WebhookProbeSent | CommandRefused> = {
  CommandRefused: (event) => `${who(event)} was refused ${event.data.commandType}${event.data.resourceId === null ? '' : ` on ${event.data.resourceId}`} (${event.data.code}).`,
  WebhookTestRequested: (event) => `${who(event)} had subscription ${event.data.subscriptionId} sent a synthetic event (${event.data.eventType}).`,
  WebhookProbeSent: (event) => `${who(event)} had a probe sent to ${event.data.url} (${event.data.eventType}), which came to ${cameTo(event.data)}.`,
};

const texts: Texts<Known> = { ...ofSubscriptions, ...ofDeliveries, ...ofApprovals, ...ofPolicies, ...ofLedger, ...ofRecoveries, ...ofKeys, ...ofTrials };

/** One plain sentence about an event of a site's record; of a type that this does not know, that it was recorded. `id`: of its resource. */
export function sentenceOf(event: RecordedEvent, id: string = placeOf(event.stream).id): string {
  if (event.type === 'EventPublished') return published(event);
  if (!Object.hasOwn(texts, event.type)) return `${event.type} was recorded.`;
  // The table joins a type and what it says; a look-up by name loses that.
  const text = texts[event.type as Known['type']] as (event: Stored<Known>, id: string) => string;
  return text(stored<Known>(event), id);
}

function published(event: RecordedEvent): string {
  const { eventId, type } = readPublishedEvent(event);
  return `${who(event)} published event ${eventId} (${type}).`;
}
