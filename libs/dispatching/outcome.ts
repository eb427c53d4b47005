import type { AttemptDecision, AttemptOutcome, DeliveryTranscript } from '#deliveries';
import { formatInstant, sha256Hex, streamOf } from '#kernel';
import type { EventBody } from './bodies.ts';
import type { AttemptLine, OpenDelivery, SentRequest } from './port.ts';
import type { Finished, OutcomeEvent } from './recorder.ts';

/** One request that ended, with everything it was made of. */
export interface Ended {
  readonly entry: OpenDelivery;
  readonly event: EventBody;
  readonly sent: SentRequest;
  readonly decision: AttemptDecision;
  readonly subscriptionRevision: number;
  readonly secretVersionIds: readonly string[];
  readonly nowMs: number;
}

/** What the log keeps of it. */
export function finishedOf(ended: Ended): Finished {
  const { entry, event, sent, subscriptionRevision, secretVersionIds, nowMs } = ended;
  const attempt = entry.attempts + 1;
  const text = JSON.stringify(transcriptOf(ended));
  const outcome: AttemptOutcome = {
    subscriptionId: entry.subscriptionId,
    attempt,
    startedAt: sent.startedAt,
    durationMs: sent.durationMs,
    status: sent.response?.status ?? null,
    error: sent.error,
    subscriptionRevision,
    secretVersionIds,
    transcriptSha256: sha256Hex(text),
  };
  const { tenant, environment } = entry.site;
  const actor = { actortype: 'SYSTEM', actorid: 'dispatcher' };
  const cause = { correlationid: event.correlationId, causationid: event.causationId };
  const metadata = { recordedat: formatInstant(nowMs), schemaversion: '1', tenant, environment, ...actor, ...cause };
  return { stream: streamOf('webhookdelivery', entry.site, entry.deliveryId), revision: entry.revision, event: eventOf(outcome, ended.decision), metadata, transcript: { deliveryId: entry.deliveryId, attempt, text } };
}

function eventOf(outcome: AttemptOutcome, decision: AttemptDecision): OutcomeEvent {
  switch (decision.next) {
    case 'DELIVERED':
      return { type: 'WebhookDeliverySucceeded', data: outcome };
    case 'SCHEDULED':
      return { type: 'WebhookDeliveryAttemptFailed', data: { ...outcome, nextAttemptAt: decision.nextAttemptAt, why: decision.why } };
    case 'DEAD_LETTERED':
      return { type: 'WebhookDeliveryDeadLettered', data: { ...outcome, reason: decision.reason } };
  }
}

const nextAttemptAtOf = (decision: AttemptDecision): string | null => (decision.next === 'SCHEDULED' ? decision.nextAttemptAt : null);

function transcriptOf({ entry, sent, decision, subscriptionRevision, secretVersionIds }: Ended): DeliveryTranscript {
  return {
    tenant: entry.site.tenant,
    environment: entry.site.environment,
    deliveryId: entry.deliveryId,
    subscriptionId: entry.subscriptionId,
    eventStream: entry.eventStream,
    attempt: entry.attempts + 1,
    startedAt: sent.startedAt,
    durationMs: sent.durationMs,
    request: sent.request,
    response: sent.response,
    error: sent.error,
    timings: sent.timings,
    remoteAddress: sent.remoteAddress,
    decision: { next: decision.next, why: decision.why, nextAttemptAt: nextAttemptAtOf(decision) },
    subscriptionRevision,
    secretVersionIds,
  };
}

/** What the log line of the request says. */
export function lineOf({ entry, event, sent, decision }: Ended): AttemptLine {
  return {
    correlationId: event.correlationId,
    tenant: entry.site.tenant,
    environment: entry.site.environment,
    subscriptionId: entry.subscriptionId,
    deliveryId: entry.deliveryId,
    eventId: entry.eventId,
    eventType: entry.eventType,
    attempt: entry.attempts + 1,
    status: sent.response?.status ?? null,
    error: sent.error,
    durationMs: sent.durationMs,
    remoteAddress: sent.remoteAddress,
    decision: decision.next,
    why: decision.why,
    nextAttemptAt: nextAttemptAtOf(decision),
  };
}

/** The delivery as it waits for its next attempt, once the outcome is recorded; undefined when there is none. */
export function retryOf(entry: OpenDelivery, decision: AttemptDecision, revision: number): OpenDelivery | undefined {
  if (decision.next !== 'SCHEDULED') return undefined;
  return { ...entry, status: 'SCHEDULED', revision, attempts: entry.attempts + 1, attemptsCounted: entry.attemptsCounted + 1, dueAtMs: decision.nextAttemptAtMs };
}
