import type Database from 'better-sqlite3';
import { formatInstant, formatRetrySchedule, formatSite, hiddenValue, type Labels, type Position, type Refusal, type Site } from '#kernel';
import { type EventCountRow, eventCountTable, type MissedRow, missedSoFar, missedTable } from '#publishing';
import { defaultTimeoutMs, type DeliveryMode, type SubscriptionRow, type SubscriptionSettings, type SubscriptionState, subscriptionTable, type SubscriptionVersionRow, subscriptionVersionTable } from '#subscriptions';
import type { SubscriptionVersion } from '../port.ts';
import { columnsOf } from '../sql.ts';
import { fromCursor, instant, isKey, type Page, pageOf, type Paging, sql } from './statement.ts';

/** How a subscription fares. Times RFC 3339. */
export interface SubscriptionHealth {
  readonly lastSuccessAt: string | null;
  readonly consecutiveFailures: number;
  /** The first of the consecutive failures. */
  readonly firstFailureAt: string | null;
  readonly oldestUndeliveredAt: string | null;
  /** Matching events published in the current pause, or in the last one. */
  readonly missedWhilePaused: number;
}

/** Of a subscription that nothing was sent to yet. */
export const untriedHealth: SubscriptionHealth = { lastSuccessAt: null, consecutiveFailures: 0, firstFailureAt: null, oldestUndeliveredAt: null, missedWhilePaused: 0 };

/** A subscription as the outside sees it. */
export interface SubscriptionView {
  readonly id: string;
  readonly siteId: string;
  readonly events: readonly string[];
  /** Null: all of the matching events. */
  readonly filter: string | null;
  readonly url: string;
  readonly description: string | null;
  readonly deliveryMode: DeliveryMode;
  readonly timeoutMs: number;
  /** Null: the server's. */
  readonly retrySchedule: readonly string[] | null;
  /** Requests in a second; null: as many as can be. */
  readonly rateLimit: number | null;
  readonly labels: Labels;
  /** Their names, each with `[redacted]`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DELETED';
  readonly pausedReason: string | null;
  readonly secret: { readonly kind: string; readonly versionId: string; readonly graceUntil: string | null };
  readonly health: Omit<SubscriptionHealth, 'firstFailureAt'>;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly purgeAt: string | null;
}

/** A subscription's folded state and what belongs beside it, as the outside sees it. */
export function subscriptionView(of: { site: Site; id: string; revision: number; state: Exclude<SubscriptionState, { status: 'NONE' }>; health: SubscriptionHealth; nowMs: number }): SubscriptionView {
  const { state, health } = of;
  const grace = state.previousSecret;
  const { firstFailureAt: _, ...shownHealth } = health;
  return {
    id: of.id,
    siteId: formatSite(of.site),
    ...settingsView(state),
    status: state.status,
    pausedReason: state.status === 'PAUSED' ? state.pausedReason : null,
    secret: { kind: state.secret.kind, versionId: state.secret.versionId, graceUntil: grace !== null && of.nowMs < grace.graceUntilMs ? formatInstant(grace.graceUntilMs) : null },
    health: shownHealth,
    revision: of.revision,
    createdAt: formatInstant(state.createdAtMs),
    updatedAt: formatInstant(state.updatedAtMs),
    purgeAt: state.status === 'DELETED' ? formatInstant(state.purgeAtMs) : null,
  };
}

const settingsView = (settings: SubscriptionSettings) => ({
  events: settings.eventPattern.split(','),
  filter: settings.filter ?? null,
  url: settings.targetUrl,
  description: settings.description,
  deliveryMode: settings.deliveryMode,
  timeoutMs: settings.timeoutMs ?? defaultTimeoutMs,
  retrySchedule: settings.retryScheduleMs === undefined ? null : formatRetrySchedule(settings.retryScheduleMs),
  rateLimit: settings.rateLimitPerSecond ?? null,
  labels: settings.labels ?? {},
  headers: namesAlone(settings),
});

const namesAlone = ({ headers = {} }: SubscriptionSettings): Readonly<Record<string, string>> => Object.fromEntries(Object.keys(headers).map((name) => [name, hiddenValue]));

const columns = columnsOf(subscriptionTable);

function view(database: Database.Database, row: SubscriptionRow, nowMs: number): SubscriptionView {
  const site = { tenant: row.tenant, environment: row.environment };
  const state = JSON.parse(row.state) as Exclude<SubscriptionState, { status: 'NONE' }>;
  return subscriptionView({ site, id: row.id, revision: row.revision, state, health: health(database, row), nowMs });
}

function health(database: Database.Database, row: SubscriptionRow): SubscriptionHealth {
  const { tenant, environment, id, incarnation } = row;
  const fared = sql<{ lastSuccessAtMs: number | null; consecutiveFailures: number; firstFailureAtMs: number | null }>(
    database,
    'SELECT lastSuccessAtMs, consecutiveFailures, firstFailureAtMs FROM subscription_health WHERE tenant = ? AND environment = ? AND subscriptionId = ? AND incarnation = ?',
  ).get(tenant, environment, id, incarnation);
  return {
    lastSuccessAt: instant(fared?.lastSuccessAtMs ?? null),
    consecutiveFailures: fared?.consecutiveFailures ?? 0,
    firstFailureAt: instant(fared?.firstFailureAtMs ?? null),
    oldestUndeliveredAt: row.status === 'DELETED' ? null : instant(oldestUndelivered(database, row)),
    missedWhilePaused: missed(database, { tenant, environment }, id),
  };
}

/** When the oldest open delivery was scheduled, milliseconds since 1970 UTC. */
function oldestUndelivered(database: Database.Database, row: SubscriptionRow): number | null {
  const oldest = sql<number>(
    database,
    `SELECT createdAtMs FROM deliveries WHERE tenant = ? AND environment = ? AND subscriptionId = ? AND status = ?
     AND incarnation = ? AND openedPosition > ? ORDER BY scheduledPosition LIMIT 1`,
  ).pluck();
  const found = ['PENDING', 'SCHEDULED'].flatMap((status) => oldest.get(row.tenant, row.environment, row.id, status, row.incarnation, row.deletedPosition ?? '0') ?? []);
  return found.length === 0 ? null : Math.min(...found);
}

function missed(database: Database.Database, { tenant, environment }: Site, id: string): number {
  const row = sql<MissedRow>(database, `SELECT ${columnsOf(missedTable)} FROM missed_while_paused WHERE tenant = ? AND environment = ? AND subscriptionId = ?`).get(tenant, environment, id);
  if (row === undefined) return 0;
  const counts = row.counting === 1 ? sql<EventCountRow>(database, `SELECT ${columnsOf(eventCountTable)} FROM event_counts WHERE tenant = ? AND environment = ?`).all(tenant, environment) : [];
  return missedSoFar(row, counts);
}

export interface SubscriptionList extends Paging {
  readonly site: Site;
  readonly includeDeleted: boolean;
  /** Only those with this label. */
  readonly label?: readonly [name: string, value: string] | undefined;
  readonly nowMs: number;
}

/** The value, where in a folded state it stands, and the value again. A label's name has no character that a path gives a meaning inside quotes. */
const labelled = (label: SubscriptionList['label']): readonly (string | null)[] => (label === undefined ? [null, '$', null] : [label[1], `$.labels."${label[0]}"`, label[1]]);

export function listSubscriptions(database: Database.Database, { site, includeDeleted, label, nowMs, limit, cursor }: SubscriptionList): Page<SubscriptionView> | Refusal {
  const after = fromCursor('subscriptions', cursor, [Number.MAX_SAFE_INTEGER, ''] as [number, string]);
  if (!isKey(after)) return after;
  const rows = sql<SubscriptionRow>(
    database,
    `SELECT ${columns} FROM subscriptions WHERE tenant = ? AND environment = ? AND status IN ('ACTIVE', 'PAUSED', ?)
     AND (createdAtMs, id) < (?, ?) AND (? IS NULL OR json_extract(state, ?) = ?) ORDER BY createdAtMs DESC, id DESC LIMIT ?`,
  ).all(site.tenant, site.environment, includeDeleted ? 'DELETED' : '', ...after, ...labelled(label), limit + 1);
  return pageOf('subscriptions', rows, limit, (row) => view(database, row, nowMs), (row) => [row.createdAtMs ?? 0, row.id]);
}

const rowOf = (database: Database.Database, site: Site, id: string): SubscriptionRow | undefined =>
  sql<SubscriptionRow>(database, `SELECT ${columns} FROM subscriptions WHERE tenant = ? AND environment = ? AND id = ? AND status <> 'NONE'`).get(site.tenant, site.environment, id);

export function getSubscription(database: Database.Database, { site, id, nowMs }: { site: Site; id: string; nowMs: number }): SubscriptionView | undefined {
  const row = rowOf(database, site, id);
  return row === undefined ? undefined : view(database, row, nowMs);
}

/** What stands beside the folded state of a subscription that was read from its stream. */
export function subscriptionHealth(database: Database.Database, { site, id }: { site: Site; id: string }): SubscriptionHealth {
  const row = rowOf(database, site, id);
  return row === undefined ? untriedHealth : health(database, row);
}

/** The versions that held for some event after `from` and up to `to`: of all subscriptions of the site, or of some. */
export function subscriptionVersions(
  database: Database.Database,
  { site, overlapping: [from, to], subscriptionIds }: { site: Site; overlapping: readonly [from: Position, to: Position]; subscriptionIds?: readonly string[] | undefined },
): readonly SubscriptionVersion[] {
  const some = subscriptionIds === undefined ? [] : [JSON.stringify(subscriptionIds)];
  const rows = sql<SubscriptionVersionRow>(
    database,
    `SELECT ${columnsOf(subscriptionVersionTable)} FROM subscription_versions WHERE tenant = ? AND environment = ?
     AND fromPosition < ? AND (toPosition IS NULL OR toPosition > ?)${some.length === 0 ? '' : ' AND subscriptionId IN (SELECT value FROM json_each(?))'}`,
  ).all(site.tenant, site.environment, to, from, ...some);
  return rows.map(({ tenant, environment, deliveryMode, ...version }) => ({ site: { tenant, environment }, ...version, deliveryMode: deliveryMode as DeliveryMode }));
}

/** When the oldest delivery that is still open was scheduled, over all sites, milliseconds since 1970 UTC. */
export function oldestUndeliveredAt(database: Database.Database): number | null {
  const rows = sql<SubscriptionRow>(database, `SELECT ${columns} FROM subscriptions WHERE status IN ('ACTIVE', 'PAUSED')`).all();
  const found = rows.flatMap((row) => oldestUndelivered(database, row) ?? []);
  return found.length === 0 ? null : found.reduce((a, b) => Math.min(a, b));
}
