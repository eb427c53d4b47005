import type Database from 'better-sqlite3';
import { type AttemptRow, attemptTable, type DeliveryRow, type DeliveryState, deliveryTable, isCancelled, type TranscriptRow, transcriptTable } from '#deliveries';
import { comparePositions, deliveryId, formatInstant, type Position, type Refusal, type Site } from '#kernel';
import type { SubscriptionState } from '#subscriptions';
import type { DueDelivery } from '../port.ts';
import { columnsOf } from '../sql.ts';
import { beyondAll, fromCursor, instant, isKey, number, type Page, pageOf, type Paging, sql, text } from './statement.ts';

export type DeliveryStatus = 'PENDING' | 'SCHEDULED' | 'DELIVERED' | 'DEAD_LETTERED' | 'CANCELLED';

/** A delivery as the outside sees it. Times RFC 3339. */
export interface DeliveryView {
  readonly id: string;
  readonly subscriptionId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly status: DeliveryStatus;
  readonly reason: string | null;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A recorded request; `outcome` is the event's data as it stands in the log. */
export interface AttemptView {
  readonly type: AttemptRow['type'];
  readonly revision: number;
  readonly recordedAt: string;
  readonly outcome: object;
}

type Joined = DeliveryRow & { readonly cancelled: number; readonly deletedAtMs: number | null };

/** What `isCancelled` says, in SQL: open, but its subscription is gone, is another one by now, or was deleted after this was opened. */
export const cancelled = `(d.status IN ('PENDING', 'SCHEDULED') AND s.id IS NOT NULL AND (
  s.status IN ('DELETED', 'NONE') OR s.incarnation IS NOT d.incarnation OR coalesce(s.deletedPosition, 0) > d.openedPosition))`;
export const from = `FROM deliveries d LEFT JOIN subscriptions s ON s.tenant = d.tenant AND s.environment = d.environment AND s.id = d.subscriptionId`;
const select = `SELECT ${columnsOf(deliveryTable, 'd')}, ${cancelled} AS cancelled, s.deletedAtMs AS deletedAtMs ${from}`;

function view(row: Joined): DeliveryView {
  const { id, subscriptionId, eventId, eventType, attempts } = row;
  const common = { id, subscriptionId, eventId, eventType, attempts, createdAt: formatInstant(row.createdAtMs) };
  return row.cancelled === 1
    ? { ...common, status: 'CANCELLED', reason: 'subscription-deleted', nextAttemptAt: null, updatedAt: formatInstant(Math.max(row.updatedAtMs, row.deletedAtMs ?? 0)) }
    : { ...common, status: row.status, reason: row.reason, nextAttemptAt: instant(row.nextAttemptAtMs), updatedAt: formatInstant(row.updatedAtMs) };
}

type Existing = Exclude<DeliveryState, { status: 'NONE' }>;

/** A delivery's folded state as the outside sees it, beside the state of its subscription, null when that is gone. */
export function deliveryView({ id, state, subscription }: { id: string; state: Existing; subscription: Exclude<SubscriptionState, { status: 'NONE' }> | null }): DeliveryView {
  const { subscriptionId, eventId, eventType, attempts, status } = state;
  const common = { id, subscriptionId, eventId, eventType, attempts, createdAt: formatInstant(state.createdAtMs) };
  if (isCancelled(state, subscription)) {
    const deletedAtMs = subscription?.status === 'DELETED' ? subscription.deletedAtMs : 0;
    return { ...common, status: 'CANCELLED', reason: 'subscription-deleted', nextAttemptAt: null, updatedAt: formatInstant(Math.max(state.updatedAtMs, deletedAtMs)) };
  }
  const reason = state.status === 'DEAD_LETTERED' ? state.reason : null;
  return { ...common, status, reason, nextAttemptAt: state.status === 'SCHEDULED' ? formatInstant(state.nextAttemptAtMs) : null, updatedAt: formatInstant(state.updatedAtMs) };
}

export interface DeliveryList extends Paging {
  readonly site: Site;
  readonly subscriptionId?: string | undefined;
  readonly status?: DeliveryStatus | undefined;
  /** Those of one event: its id, and when it was accepted, from which the ids of its deliveries follow. */
  readonly event?: { readonly eventId: string; readonly recordedAtMs: number } | undefined;
  /** Scheduled at or after, milliseconds since 1970 UTC. */
  readonly sinceMs?: number | undefined;
}

const statuses: readonly DeliveryRow['status'][] = ['PENDING', 'SCHEDULED', 'DELIVERED', 'DEAD_LETTERED'];
const storedAs = (status: DeliveryStatus | undefined): readonly DeliveryRow['status'][] =>
  status === undefined ? statuses : status === 'CANCELLED' ? ['PENDING', 'SCHEDULED'] : [status];

/** Deliveries in the order they were scheduled, newest first. */
export function listDeliveries(database: Database.Database, list: DeliveryList): Page<DeliveryView> | Refusal {
  const after = fromCursor('deliveries', list.cursor, [beyondAll] as [Position]);
  if (!isKey(after)) return after;
  const [before] = after;
  const found = list.event === undefined ? merged(database, list, before) : ofEvent(database, list, list.event, before);
  return pageOf('deliveries', found, list.limit, view, (row) => [row.scheduledPosition]);
}

/** Merges ranges of one index, one per subscription and status; each is read only as far as it can still add to the page. */
function merged(database: Database.Database, list: DeliveryList, before: Position): readonly Joined[] {
  const wanted = list.limit + 1;
  let found: readonly Joined[] = [];
  for (const { newest: first, ...of } of rangesOf(database, list, before)) {
    const until = found[wanted - 1]?.scheduledPosition ?? '0';
    // Nor can those that follow.
    if (comparePositions(first, until) <= 0) break;
    found = newest([...found, ...range(database, list, { ...of, before, until })]).slice(0, wanted);
  }
  return found;
}

interface Range {
  readonly subscriptionId: string;
  readonly status: string;
  /** Where its newest delivery before the page stands, or a place after that. */
  readonly newest: Position;
}

/** By their newest: a page needs no more ranges of a site than it has items, however many subscriptions there are. */
function rangesOf(database: Database.Database, { site, subscriptionId, status }: DeliveryList, before: Position): readonly Range[] {
  if (subscriptionId !== undefined) return storedAs(status).map((stored) => ({ subscriptionId, status: stored, newest: before }));
  return sql<Range>(
    database,
    `WITH ranges AS MATERIALIZED (
       SELECT s.id AS subscriptionId, w.value AS status, (
         SELECT max(d.scheduledPosition) FROM deliveries d
         WHERE d.tenant = s.tenant AND d.environment = s.environment AND d.subscriptionId = s.id AND d.status = w.value AND d.scheduledPosition < CAST(? AS INTEGER)
       ) AS place FROM subscriptions s, json_each(?) w WHERE s.tenant = ? AND s.environment = ?)
     SELECT subscriptionId, status, CAST(place AS TEXT) AS newest FROM ranges WHERE place IS NOT NULL ORDER BY place DESC`,
  ).all(before, JSON.stringify(storedAs(status)), site.tenant, site.environment);
}

const subscriptionsOf = (database: Database.Database, site: Site): readonly string[] =>
  sql<string>(database, 'SELECT id FROM subscriptions WHERE tenant = ? AND environment = ?').pluck().all(site.tenant, site.environment);

const newest = (rows: Joined[]): Joined[] => rows.sort((a, b) => comparePositions(b.scheduledPosition, a.scheduledPosition));

const wantedBy = (list: DeliveryList, row: Joined): boolean =>
  (list.status === undefined || (list.status === 'CANCELLED') === (row.cancelled === 1)) && (list.sinceMs === undefined || row.createdAtMs >= list.sinceMs);

/** Clocks may go back a little: how much older than asked a delivery must be before the rest of a range is taken to be older too. */
export const clockSlackMs = 3_600_000;

function range(database: Database.Database, list: DeliveryList, of: { subscriptionId: string; status: string; before: Position; until: Position }): readonly Joined[] {
  const rows = sql<Joined>(
    database,
    `${select} WHERE d.tenant = ? AND d.environment = ? AND d.subscriptionId = ? AND d.status = ? AND d.scheduledPosition < ? AND d.scheduledPosition > ?
     ORDER BY d.scheduledPosition DESC`,
  ).iterate(list.site.tenant, list.site.environment, of.subscriptionId, of.status, of.before, of.until);
  const taken: Joined[] = [];
  for (const row of rows) {
    if (list.sinceMs !== undefined && row.createdAtMs < list.sinceMs - clockSlackMs) break;
    if (wantedBy(list, row)) taken.push(row);
    if (taken.length > list.limit) break;
  }
  return taken;
}

function ofEvent(database: Database.Database, list: DeliveryList, event: { eventId: string; recordedAtMs: number }, before: Position): readonly Joined[] {
  const subscriptionIds = list.subscriptionId === undefined ? subscriptionsOf(database, list.site) : [list.subscriptionId];
  const one = sql<Joined>(database, `${select} WHERE d.id = ? AND d.tenant = ? AND d.environment = ? AND d.scheduledPosition < ?`);
  const found = subscriptionIds.flatMap((id) => one.get(deliveryId(list.site, event.eventId, id, event.recordedAtMs), list.site.tenant, list.site.environment, before) ?? []);
  return newest(found.filter((row) => storedAs(list.status).includes(row.status) && wantedBy(list, row)));
}

export interface OneDelivery {
  readonly site: Site;
  readonly id: string;
}

export function getDelivery(database: Database.Database, { site, id }: OneDelivery): DeliveryView | undefined {
  const row = sql<Joined>(database, `${select} WHERE d.id = ? AND d.tenant = ? AND d.environment = ?`).get(id, site.tenant, site.environment);
  return row === undefined ? undefined : view(row);
}

const ownedBySite = 'EXISTS (SELECT 1 FROM deliveries d WHERE d.id = ? AND d.tenant = ? AND d.environment = ?)';

/** The recorded requests of a delivery, in the order they were recorded. */
export function getAttempts(database: Database.Database, { site, id }: OneDelivery): readonly AttemptView[] {
  return sql<AttemptRow>(database, `SELECT ${columnsOf(attemptTable)} FROM attempts WHERE deliveryId = ? AND ${ownedBySite} ORDER BY revision`)
    .all(id, id, site.tenant, site.environment)
    .map(({ type, revision, recordedAtMs, outcome }) => ({ type, revision, recordedAt: formatInstant(recordedAtMs), outcome: JSON.parse(outcome) as object }));
}

/** Where the transcripts of a delivery stand in the log. */
export function transcriptPlaces(database: Database.Database, { site, id }: OneDelivery): readonly TranscriptRow[] {
  return sql<TranscriptRow>(database, `SELECT ${columnsOf(transcriptTable)} FROM transcripts WHERE deliveryId = ? AND ${ownedBySite} ORDER BY attempt, recordedAtMs, stream, revision, ordinal`).all(
    id,
    id,
    site.tenant,
    site.environment,
  );
}

/** A place among the open deliveries of one subscription. */
export interface Place {
  readonly dueAtMs: number;
  readonly scheduledPosition: Position;
}

const sameIncarnation = 's.incarnation = d.incarnation AND coalesce(s.deletedPosition, 0) < d.openedPosition';
const columns = columnsOf(deliveryTable, 'd');
const live = "s.status IN ('ACTIVE', 'PAUSED')";

/** Every subscription with open deliveries, paused ones too, and how many of its attempts failed since the last that did not. */
export function lanes(database: Database.Database): readonly { readonly site: Site; readonly subscriptionId: string; readonly failures: number }[] {
  const open = (status: string): string =>
    `EXISTS (SELECT 1 FROM deliveries d WHERE d.tenant = s.tenant AND d.environment = s.environment AND d.subscriptionId = s.id AND d.status = '${status}' AND ${sameIncarnation})`;
  const failures = 'SELECT consecutiveFailures FROM subscription_health h WHERE h.tenant = s.tenant AND h.environment = s.environment AND h.subscriptionId = s.id AND h.incarnation = s.incarnation';
  const rows = sql<{ tenant: string; environment: string; id: string; failures: number }>(database, `SELECT s.tenant, s.environment, s.id, coalesce((${failures}), 0) AS failures FROM subscriptions s WHERE ${live} AND (${open('PENDING')} OR ${open('SCHEDULED')})`).all();
  return rows.map(({ tenant, environment, id, failures }) => ({ site: { tenant, environment }, subscriptionId: id, failures }));
}

export interface OpenFeed {
  readonly site: Site;
  readonly subscriptionId: string;
  readonly status: 'PENDING' | 'SCHEDULED';
  /** `due`, for SCHEDULED only: by the time of the retry, then by position. `log`: by position alone. */
  readonly order: 'due' | 'log';
  /** Exclusive; null for the start. */
  readonly after: Place | null;
  readonly limit: number;
}

const beforeAll: Place = { dueAtMs: -1, scheduledPosition: '0' };

/** The open deliveries of a subscription that is not deleted, after a place, due or not. */
export function openDeliveries(database: Database.Database, { site, subscriptionId, status, order, after, limit }: OpenFeed): readonly DueDelivery[] {
  const { dueAtMs, scheduledPosition } = after ?? beforeAll;
  const start = `SELECT ${columns} ${from} WHERE ${live} AND ${sameIncarnation} AND d.tenant = ${text} AND d.environment = ${text} AND d.subscriptionId = ${text}`;
  const of = [site.tenant, site.environment, subscriptionId] as const;
  // Only SCHEDULED rows have that time; to name the status too would tempt SQLite into the other index and a sort.
  const rows =
    order === 'due' && status === 'SCHEDULED'
      ? sql<DeliveryRow>(database, `${start} AND d.nextAttemptAtMs IS NOT NULL AND (d.nextAttemptAtMs, d.scheduledPosition) > (${number}, ${number}) ORDER BY d.nextAttemptAtMs, d.scheduledPosition LIMIT ${number}`).all(
          ...of,
          dueAtMs,
          scheduledPosition,
          limit,
        )
      : sql<DeliveryRow>(database, `${start} AND d.status = ${text} AND d.scheduledPosition > ${number} ORDER BY d.scheduledPosition LIMIT ${number}`).all(...of, status, scheduledPosition, limit);
  return rows.map(due);
}

const due = (row: DeliveryRow): DueDelivery => ({
  site: { tenant: row.tenant, environment: row.environment },
  deliveryId: row.id,
  subscriptionId: row.subscriptionId,
  incarnation: row.incarnation,
  eventId: row.eventId,
  eventType: row.eventType,
  eventStream: row.eventStream,
  operational: row.operational === 1,
  revision: row.revision,
  attempts: row.attempts,
  attemptsCounted: row.attemptsCounted,
  lastChance: row.lastChance === 1,
  scheduledPosition: row.scheduledPosition,
  openedPosition: row.openedPosition,
  dueAtMs: row.nextAttemptAtMs ?? row.updatedAtMs,
});

/** How many deliveries are open, over all sites, without those of deleted subscriptions. */
export function queueDepth(database: Database.Database): { readonly pending: number; readonly scheduled: number } {
  const count = sql<number>(database, `SELECT coalesce(sum((SELECT count(*) FROM deliveries d WHERE d.tenant = s.tenant AND d.environment = s.environment AND d.subscriptionId = s.id AND d.status = ?)), 0) FROM subscriptions s WHERE s.status IN ('ACTIVE', 'PAUSED')`).pluck();
  return { pending: count.get('PENDING') ?? 0, scheduled: count.get('SCHEDULED') ?? 0 };
}
