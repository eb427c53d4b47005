import { domainEvent, type Position, prefixOf, type Projection, type RecordedEvent, resourceOf, type Rows, type Stored, type Table } from '#kernel';
import type { SubscriptionEvent } from './events.ts';
import { evolveSubscription, initialSubscription, type SubscriptionState } from './state.ts';

/** A subscription as of the last event; `state` is its folded `SubscriptionState` as JSON. Stays with status NONE after a purge. */
export interface SubscriptionRow {
  readonly tenant: string;
  readonly environment: string;
  readonly id: string;
  readonly status: SubscriptionState['status'];
  readonly incarnation: string | null;
  /** How many state-changing events the resource has had. */
  readonly revision: number;
  readonly createdAtMs: number | null;
  /** Where the open row of `subscription_versions` begins. */
  readonly versionFrom: Position | null;
  /** The last deletion of this incarnation, also after a restore: what was open then stays cancelled. */
  readonly deletedPosition: Position | null;
  readonly deletedAtMs: number | null;
  readonly state: string;
}

/** A stretch of the log in which pattern, filter, status and mode were the same: events after `fromPosition` up to `toPosition`. */
export interface SubscriptionVersionRow {
  readonly tenant: string;
  readonly environment: string;
  readonly subscriptionId: string;
  readonly incarnation: string;
  readonly eventPattern: string;
  readonly filter: string | null;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DELETED';
  readonly deliveryMode: string;
  readonly fromPosition: Position;
  readonly toPosition: Position | null;
}

export const subscriptionTable: Table<SubscriptionRow> = {
  name: 'subscriptions',
  columns: {
    tenant: 'text',
    environment: 'text',
    id: 'text',
    status: 'text',
    incarnation: 'text',
    revision: 'integer',
    createdAtMs: 'integer',
    versionFrom: 'position',
    deletedPosition: 'position',
    deletedAtMs: 'integer',
    state: 'text',
  },
  key: ['tenant', 'environment', 'id'],
};

export const subscriptionVersionTable: Table<SubscriptionVersionRow> = {
  name: 'subscription_versions',
  columns: {
    tenant: 'text',
    environment: 'text',
    subscriptionId: 'text',
    incarnation: 'text',
    eventPattern: 'text',
    filter: 'text',
    status: 'text',
    deliveryMode: 'text',
    fromPosition: 'position',
    toPosition: 'position',
  },
  key: ['tenant', 'environment', 'subscriptionId', 'fromPosition'],
};

const types: Record<SubscriptionEvent['type'], true> = {
  WebhookSubscriptionCreated: true,
  WebhookSubscriptionUpdated: true,
  WebhookSubscriptionPaused: true,
  WebhookSubscriptionResumed: true,
  WebhookSubscriptionSecretRotated: true,
  WebhookSubscriptionDeleted: true,
  WebhookSubscriptionRestored: true,
  WebhookSubscriptionPurged: true,
};

/** The subscription event in a recorded one; undefined for a ledger event. Throws for a type it does not know. */
export const subscriptionEvent = (event: RecordedEvent): Stored<SubscriptionEvent> | undefined => domainEvent<SubscriptionEvent>(event, types);

/** Subscriptions as they are, and which configuration held at every place of the log. */
export const subscriptionProjection: Projection = {
  name: 'subscriptions',
  version: 1,
  prefixes: [prefixOf('webhooksubscription')],
  tables: [subscriptionTable, subscriptionVersionTable],
  apply(event, rows) {
    const fact = subscriptionEvent(event);
    if (fact === undefined) return;
    const { site, id } = resourceOf(event);
    const row = rows.get(subscriptionTable, [site.tenant, site.environment, id]);
    const before = row === undefined ? initialSubscription : (JSON.parse(row.state) as SubscriptionState);
    const after = evolveSubscription(before, fact);
    const versionFrom = recordVersion({ ...site, id, versionFrom: row?.versionFrom ?? null }, before, after, fact.position, rows);
    const common = { ...site, id, revision: (row?.revision ?? 0) + 1, versionFrom, deletedAtMs: deletedAtMs(row, fact), state: JSON.stringify(after) };
    rows.put(subscriptionTable, { ...common, ...summary(after) });
  },
};

const summary = (state: SubscriptionState): Pick<SubscriptionRow, 'status' | 'incarnation' | 'createdAtMs' | 'deletedPosition'> =>
  state.status === 'NONE'
    ? { status: 'NONE', incarnation: null, createdAtMs: null, deletedPosition: null }
    : { status: state.status, incarnation: state.incarnation, createdAtMs: state.createdAtMs, deletedPosition: state.lastDeletedPosition };

/** Ends the open version and begins the next where something changed that a version records; answers where the open one begins. */
function recordVersion(open: Pick<SubscriptionRow, 'tenant' | 'environment' | 'id' | 'versionFrom'>, before: SubscriptionState, after: SubscriptionState, position: Position, rows: Rows): Position | null {
  if (sameVersion(before, after)) return open.versionFrom;
  const { tenant, environment, id: subscriptionId } = open;
  const ended = open.versionFrom === null ? undefined : rows.get(subscriptionVersionTable, [tenant, environment, subscriptionId, open.versionFrom]);
  if (ended !== undefined) rows.put(subscriptionVersionTable, { ...ended, toPosition: position });
  if (after.status === 'NONE') return null;
  const { incarnation, eventPattern, filter = null, status, deliveryMode } = after;
  rows.put(subscriptionVersionTable, { tenant, environment, subscriptionId, incarnation, eventPattern, filter, status, deliveryMode, fromPosition: position, toPosition: null });
  return position;
}

const sameVersion = (a: SubscriptionState, b: SubscriptionState): boolean =>
  a.status !== 'NONE' &&
  b.status !== 'NONE' &&
  a.status === b.status &&
  a.incarnation === b.incarnation &&
  a.eventPattern === b.eventPattern &&
  a.filter === b.filter &&
  a.deliveryMode === b.deliveryMode;

function deletedAtMs(row: SubscriptionRow | undefined, fact: Stored<SubscriptionEvent>): number | null {
  if (fact.type === 'WebhookSubscriptionDeleted') return fact.recordedAt;
  return fact.type === 'WebhookSubscriptionCreated' ? null : (row?.deletedAtMs ?? null);
}
