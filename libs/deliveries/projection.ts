import { domainEvent, type Position, prefixOf, type Projection, type RecordedEvent, resourceOf, type Rows, type Site, type Stored, storedUnread, type Table } from '#kernel';
import type { DeliveryEvent } from './events.ts';
import { type DeliveryState, evolveDelivery, initialDelivery } from './state.ts';

/** A delivery as of its last event. CANCELLED is not here: it is derived where it is read, from its subscription's deletion. */
export interface DeliveryRow {
  readonly id: string;
  readonly tenant: string;
  readonly environment: string;
  readonly subscriptionId: string;
  readonly incarnation: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly eventStream: string;
  readonly operational: number;
  readonly status: Exclude<DeliveryState['status'], 'NONE'>;
  readonly reason: string | null;
  readonly attempts: number;
  readonly attemptsCounted: number;
  readonly lastChance: number;
  /** Of its stream: what the next append expects. */
  readonly revision: number;
  readonly scheduledPosition: Position;
  /** Where it was last opened: scheduled, or replayed. A deletion of its subscription after it cancels it. */
  readonly openedPosition: Position;
  /** Only while SCHEDULED, so that what succeeds at once never enters its index. */
  readonly nextAttemptAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** One recorded request; `outcome` is the event's data (`AttemptOutcome` and what was decided). */
export interface AttemptRow {
  readonly deliveryId: string;
  /** Of the delivery's stream: two processes may have made the same attempt. */
  readonly revision: number;
  readonly type: DeliveryEvent['type'];
  readonly recordedAtMs: number;
  readonly outcome: string;
}

/** How an incarnation of a subscription has fared. */
export interface SubscriptionHealthRow {
  readonly tenant: string;
  readonly environment: string;
  readonly subscriptionId: string;
  readonly incarnation: string;
  readonly lastSuccessAtMs: number | null;
  readonly consecutiveFailures: number;
  /** The first of the consecutive failures. */
  readonly firstFailureAtMs: number | null;
}

/** A subscription was purged here: its open deliveries from before are history and go with it. */
export interface PurgeRow {
  readonly tenant: string;
  readonly environment: string;
  readonly subscriptionId: string;
  readonly position: Position;
}

export const deliveryTable: Table<DeliveryRow> = {
  name: 'deliveries',
  columns: {
    id: 'text',
    tenant: 'text',
    environment: 'text',
    subscriptionId: 'text',
    incarnation: 'text',
    eventId: 'text',
    eventType: 'text',
    eventStream: 'text',
    operational: 'integer',
    status: 'text',
    reason: 'text',
    attempts: 'integer',
    attemptsCounted: 'integer',
    lastChance: 'integer',
    revision: 'integer',
    scheduledPosition: 'position',
    openedPosition: 'position',
    nextAttemptAtMs: 'integer',
    createdAtMs: 'integer',
    updatedAtMs: 'integer',
  },
  key: ['id'],
  indexes: [
    { columns: ['tenant', 'environment', 'subscriptionId', 'status', 'scheduledPosition'] },
    { columns: ['tenant', 'environment', 'subscriptionId', 'nextAttemptAtMs', 'scheduledPosition'], present: 'nextAttemptAtMs' },
  ],
};

export const attemptTable: Table<AttemptRow> = {
  name: 'attempts',
  columns: { deliveryId: 'text', revision: 'integer', type: 'text', recordedAtMs: 'integer', outcome: 'text' },
  key: ['deliveryId', 'revision'],
  historyBy: 'recordedAtMs',
};

export const subscriptionHealthTable: Table<SubscriptionHealthRow> = {
  name: 'subscription_health',
  columns: {
    tenant: 'text',
    environment: 'text',
    subscriptionId: 'text',
    incarnation: 'text',
    lastSuccessAtMs: 'integer',
    consecutiveFailures: 'integer',
    firstFailureAtMs: 'integer',
  },
  key: ['tenant', 'environment', 'subscriptionId', 'incarnation'],
};

export const purgeTable: Table<PurgeRow> = {
  name: 'purges',
  columns: { tenant: 'text', environment: 'text', subscriptionId: 'text', position: 'position' },
  key: ['tenant', 'environment', 'subscriptionId'],
};

const types: Record<DeliveryEvent['type'], true> = {
  WebhookDeliveryScheduled: true,
  WebhookDeliverySucceeded: true,
  WebhookDeliveryAttemptFailed: true,
  WebhookDeliveryDeadLettered: true,
  WebhookDeliveryDuplicateAttempted: true,
  WebhookDeliveryReplayRequested: true,
};

/** Deliveries, their attempts, and from both the health of subscriptions. */
export const deliveryProjection: Projection = {
  name: 'deliveries',
  version: 1,
  prefixes: [prefixOf('webhookdelivery'), prefixOf('webhooksubscription')],
  tables: [deliveryTable, attemptTable, subscriptionHealthTable, purgeTable],
  apply(event, rows) {
    if (event.stream.startsWith(prefixOf('webhooksubscription'))) return purged(event, rows);
    // What a request came to is kept as it stands, and most of it is never asked for.
    const fact = domainEvent<DeliveryEvent>(event, types, storedUnread);
    if (fact === undefined) return trackRevision(event, rows);
    const { site, id } = resourceOf(event);
    const before = rowBefore(fact, id, rows);
    // Without a row the delivery ended longer ago than history is kept: what still happens to it is history too.
    if (before === undefined && fact.type !== 'WebhookDeliveryScheduled') return;
    const after = deliveryRow(site, id, before, fact);
    rows.put(deliveryTable, after);
    if (fact.type === 'WebhookDeliveryScheduled' || fact.type === 'WebhookDeliveryReplayRequested') return;
    rows.put(attemptTable, { deliveryId: id, revision: fact.revision, type: fact.type, recordedAtMs: fact.recordedAt, outcome: event.data });
    if (fact.type !== 'WebhookDeliveryDuplicateAttempted') recordHealth(after, fact, rows);
  },
};

/** A delivery begins with being scheduled, so nothing is looked up then. */
const rowBefore = (fact: Stored<DeliveryEvent>, id: string, rows: Rows): DeliveryRow | undefined => (fact.type === 'WebhookDeliveryScheduled' ? undefined : rows.get(deliveryTable, [id]));

function purged(event: RecordedEvent, rows: Rows): void {
  if (event.type !== 'WebhookSubscriptionPurged') return;
  const { site, id } = resourceOf(event);
  rows.put(purgeTable, { ...site, subscriptionId: id, position: event.position });
}

/** A receipt in a delivery's stream changes nothing about it, but the next append has to follow it. */
function trackRevision(event: RecordedEvent, rows: Rows): void {
  const row = rows.get(deliveryTable, [resourceOf(event).id]);
  if (row !== undefined) rows.put(deliveryTable, { ...row, revision: event.revision });
}

function deliveryRow(site: Site, id: string, before: DeliveryRow | undefined, fact: Stored<DeliveryEvent>): DeliveryRow {
  const after = evolveDelivery(before === undefined ? initialDelivery : deliveryState(before), fact);
  if (after.status === 'NONE') throw new TypeError(`${fact.type} at ${fact.position} left no delivery`);
  const { subscriptionId, incarnation, eventId, eventType, eventStream, scheduledPosition, attempts, attemptsCounted, createdAtMs, updatedAtMs } = after;
  return {
    id,
    tenant: site.tenant,
    environment: site.environment,
    subscriptionId,
    incarnation,
    eventId,
    eventType,
    eventStream,
    operational: fact.type === 'WebhookDeliveryScheduled' ? Number(fact.data.operational) : (before?.operational ?? 0),
    status: after.status,
    reason: after.status === 'DEAD_LETTERED' ? after.reason : null,
    attempts,
    attemptsCounted,
    lastChance: Number(after.lastChance),
    revision: fact.revision,
    scheduledPosition,
    openedPosition: after.openedPosition,
    nextAttemptAtMs: after.status === 'SCHEDULED' ? after.nextAttemptAtMs : null,
    createdAtMs,
    updatedAtMs,
  };
}

function deliveryState(row: DeliveryRow): DeliveryState {
  const { subscriptionId, incarnation, eventId, eventType, eventStream, scheduledPosition, openedPosition, attempts, attemptsCounted, createdAtMs, updatedAtMs } = row;
  const kept = { subscriptionId, incarnation, eventId, eventType, eventStream, scheduledPosition, openedPosition, attempts, attemptsCounted, lastChance: row.lastChance === 1, createdAtMs, updatedAtMs };
  switch (row.status) {
    case 'PENDING':
    case 'DELIVERED':
      return { ...kept, status: row.status };
    case 'SCHEDULED':
      return { ...kept, status: row.status, nextAttemptAtMs: row.nextAttemptAtMs ?? row.updatedAtMs };
    case 'DEAD_LETTERED':
      return { ...kept, status: row.status, reason: row.reason as Extract<DeliveryState, { status: 'DEAD_LETTERED' }>['reason'] };
  }
}

function recordHealth(delivery: DeliveryRow, fact: Stored<DeliveryEvent>, rows: Rows): void {
  const { tenant, environment, subscriptionId, incarnation } = delivery;
  const before = rows.get(subscriptionHealthTable, [tenant, environment, subscriptionId, incarnation]);
  const key = { tenant, environment, subscriptionId, incarnation };
  if (fact.type === 'WebhookDeliverySucceeded') {
    rows.put(subscriptionHealthTable, { ...key, lastSuccessAtMs: fact.recordedAt, consecutiveFailures: 0, firstFailureAtMs: null });
  } else {
    rows.put(subscriptionHealthTable, {
      ...key,
      lastSuccessAtMs: before?.lastSuccessAtMs ?? null,
      consecutiveFailures: (before?.consecutiveFailures ?? 0) + 1,
      firstFailureAtMs: before?.firstFailureAtMs ?? fact.recordedAt,
    });
  }
}
