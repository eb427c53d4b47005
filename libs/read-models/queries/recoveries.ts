import type Database from 'better-sqlite3';
import type { DeliveryRow } from '#deliveries';
import { comparePositions, formatInstant, formatSite, type Position, type Principal, type Refusal, type Site } from '#kernel';
import type { EventRow } from '#publishing';
import { type RecoverableStatus, type Recovery, type RecoveryRow, recoveryTable } from '#recoveries';
import { compileMatcher, type SubscriptionVersionRow, subscriptionVersionTable } from '#subscriptions';
import { columnsOf } from '../sql.ts';
import { cancelled, clockSlackMs, type DeliveryStatus, from } from './deliveries.ts';
import { beyondAll, fromCursor, instant, isKey, type Page, pageOf, type Paging, sql } from './statement.ts';

/** A recovery as the outside sees it. Times RFC 3339. */
export interface RecoveryView {
  readonly id: string;
  readonly siteId: string;
  readonly subscriptionId: string;
  readonly status: Recovery['status'];
  readonly since: string;
  readonly until: string;
  readonly statuses: readonly RecoverableStatus[];
  readonly ratePerSecond: number;
  readonly total: number | null;
  readonly recovered: number;
  readonly skipped: number;
  readonly requestedBy: Principal;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly finishedAt: string | null;
  readonly detail: string | null;
}

export function recoveryView(site: Site, id: string, recovery: Recovery): RecoveryView {
  const { subscriptionId, status, statuses, ratePerSecond, total, recovered, skipped, requestedBy, detail } = recovery;
  const times = { createdAt: formatInstant(recovery.createdAtMs), updatedAt: formatInstant(recovery.updatedAtMs), finishedAt: instant(recovery.finishedAtMs) };
  const asked = { since: formatInstant(recovery.sinceMs), until: formatInstant(recovery.untilMs), statuses, ratePerSecond };
  return { id, siteId: formatSite(site), subscriptionId, status, ...asked, total, recovered, skipped, requestedBy, ...times, detail };
}

export interface RecoveryList extends Paging {
  readonly site: Site;
  readonly subscriptionId?: string | undefined;
  readonly status?: Recovery['status'] | undefined;
}

/** Recoveries in the order they were started, newest first. */
export function listRecoveries(database: Database.Database, { site, subscriptionId, status, limit, cursor }: RecoveryList): Page<RecoveryView> | Refusal {
  const after = fromCursor('recoveries', cursor, [beyondAll] as [Position]);
  if (!isKey(after)) return after;
  const rows = sql<RecoveryRow>(
    database,
    `SELECT ${columnsOf(recoveryTable)} FROM recoveries WHERE tenant = @tenant AND environment = @environment AND startedPosition < CAST(@before AS INTEGER)
     AND (@subscriptionId IS NULL OR subscriptionId = @subscriptionId) AND (@status IS NULL OR status = @status) ORDER BY recoveries.startedPosition DESC LIMIT @rows`,
  ).all({ ...site, before: after[0], subscriptionId: subscriptionId ?? null, status: status ?? null, rows: limit + 1 });
  return pageOf('recoveries', rows, limit, (row) => recoveryView(site, row.id, JSON.parse(row.state) as Recovery), (row) => [row.startedPosition]);
}

/** A stretch of the log: after the one position, up to and including the other. */
export interface LogRange {
  readonly after: Position;
  readonly through: Position;
}

/** What was found in a stretch that ends at `through`, which may be before its end when there was much in it. */
export interface Selected<Item> {
  readonly items: readonly Item[];
  readonly through: Position;
}

/** Rows that one query looks at, of whatever it takes: others wait for the thread meanwhile. */
const looksAt = 2_000;

/** What is selected: of one subscription as it was created then, and of a stretch of time in a stretch of the log. */
export interface Selection extends LogRange {
  readonly site: Site;
  readonly subscriptionId: string;
  readonly incarnation: string;
  readonly sinceMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  readonly limit: number;
}

/**
 * The part of a range outside of which the site recorded nothing from `sinceMs` on and before `untilMs`. Found by halving:
 * the log is in the order of the clock, but for the little it may be set back.
 */
export function recordedWithin(database: Database.Database, { site, sinceMs, untilMs, after, through }: Pick<Selection, 'site' | 'sinceMs' | 'untilMs' | 'after' | 'through'>): LogRange {
  const next = sql<Pick<EventRow, 'position' | 'recordedAtMs'>>(
    database,
    `SELECT CAST(position AS TEXT) AS position, recordedAtMs FROM events
     WHERE tenant = ? AND environment = ? AND position > CAST(? AS INTEGER) AND position <= CAST(? AS INTEGER) ORDER BY events.position LIMIT 1`,
  );
  const nextAfter = (position: bigint): Pick<EventRow, 'position' | 'recordedAtMs'> | undefined => next.get(site.tenant, site.environment, String(position), through);
  /** The last event that is older; the start of the range when none is. */
  const lastBefore = (timeMs: number): bigint => {
    let [low, high] = [BigInt(after), BigInt(through)];
    while (low < high) {
      const middle = (low + high) / 2n;
      const event = nextAfter(middle);
      if (event === undefined || event.recordedAtMs >= timeMs) high = middle;
      else low = BigInt(event.position);
    }
    return low;
  };
  return { after: String(lastBefore(sinceMs - clockSlackMs)), through: nextAfter(lastBefore(untilMs + clockSlackMs))?.position ?? through };
}

export interface DeliverySelection extends Selection {
  readonly statuses: readonly Exclude<DeliveryStatus, 'PENDING'>[];
  /** Also what was opened (scheduled or replayed) after this position, whatever its status is by now; null: nothing else. */
  readonly openedAfter: Position | null;
}

type Candidate = Pick<DeliveryRow, 'id' | 'status' | 'scheduledPosition' | 'openedPosition' | 'createdAtMs'> & { readonly cancelled: number };

/** Deliveries scheduled in a stretch of time, in log order; those of other statuses are passed over. */
export function selectDeliveries(database: Database.Database, selection: DeliverySelection): Selected<{ readonly deliveryId: string; readonly position: Position }> {
  const found = storedStatuses.filter((status) => mayHold(selection, status)).map((status) => candidates(database, selection, status));
  const through = found.map((one) => one.through).reduce((first, one) => (comparePositions(one, first) < 0 ? one : first), selection.through);
  const items = found.flatMap((one) => one.items.filter(({ position }) => comparePositions(position, through) <= 0)).sort((a, b) => comparePositions(a.position, b.position));
  const last = items[selection.limit - 1];
  return last === undefined ? { items, through } : { items: items.slice(0, selection.limit), through: last.position };
}

const storedStatuses: readonly DeliveryRow['status'][] = ['PENDING', 'SCHEDULED', 'DELIVERED', 'DEAD_LETTERED'];

function mayHold({ statuses, openedAfter }: DeliverySelection, status: DeliveryRow['status']): boolean {
  const open = status === 'PENDING' || status === 'SCHEDULED';
  return openedAfter !== null || statuses.some((one) => one === status) || (open && statuses.includes('CANCELLED'));
}

function candidates(database: Database.Database, selection: DeliverySelection, status: DeliveryRow['status']): Selected<{ readonly deliveryId: string; readonly position: Position }> {
  const { site, subscriptionId, incarnation, after, through, limit } = selection;
  const rows = sql<Candidate>(
    database,
    `SELECT d.id, d.status, CAST(d.scheduledPosition AS TEXT) AS scheduledPosition, CAST(d.openedPosition AS TEXT) AS openedPosition, d.createdAtMs, ${cancelled} AS cancelled ${from}
     WHERE d.tenant = ? AND d.environment = ? AND d.subscriptionId = ? AND d.status = ? AND d.scheduledPosition > CAST(? AS INTEGER) AND d.scheduledPosition <= CAST(? AS INTEGER) AND d.incarnation = ?
     ORDER BY d.scheduledPosition`,
  ).iterate(site.tenant, site.environment, subscriptionId, status, after, through, incarnation);
  const items: { deliveryId: string; position: Position }[] = [];
  let looked = 0;
  for (const row of rows) {
    looked += 1;
    if (isSelected(selection, row)) items.push({ deliveryId: row.id, position: row.scheduledPosition });
    if (items.length === limit || looked === looksAt) return { items, through: row.scheduledPosition };
  }
  return { items, through };
}

function isSelected({ sinceMs, untilMs, statuses, openedAfter }: DeliverySelection, row: Candidate): boolean {
  if (row.createdAtMs < sinceMs || row.createdAtMs >= untilMs) return false;
  const status = row.cancelled === 1 ? 'CANCELLED' : row.status;
  return statuses.some((one) => one === status) || (openedAfter !== null && comparePositions(row.openedPosition, openedAfter) > 0);
}

/** A published event that was missed, and the filter that the subscription had for it; null: none. */
export interface MissedEvent {
  readonly stream: string;
  readonly position: Position;
  readonly filter: string | null;
}

/** Events published in a stretch of time while the subscription was paused, and which its pattern of then matches, in log order. */
export function selectMissed(database: Database.Database, selection: Selection): Selected<MissedEvent> {
  const { sinceMs, untilMs, limit, through } = selection;
  const paused = pausedVersions(database, selection);
  const matcher = compileMatcher(paused.map((version) => ({ ...version, status: 'ACTIVE' as const })));
  const items: MissedEvent[] = [];
  let looked = 0;
  for (const { type, position, stream, operational, recordedAtMs } of publishedIn(database, selection, paused)) {
    looked += 1;
    const inTime = recordedAtMs >= sinceMs && recordedAtMs < untilMs;
    const [version] = inTime ? matcher.match({ type, position, operational: operational === 1 }) : [];
    if (version !== undefined) items.push({ stream, position, filter: version.filter });
    if (items.length === limit || looked === looksAt) return { items, through: position };
  }
  return { items, through };
}

const pausedVersions = (database: Database.Database, { site, subscriptionId, incarnation, after, through }: Selection): readonly SubscriptionVersionRow[] =>
  sql<SubscriptionVersionRow>(
    database,
    `SELECT ${columnsOf(subscriptionVersionTable)} FROM subscription_versions WHERE tenant = ? AND environment = ? AND subscriptionId = ? AND incarnation = ? AND status = 'PAUSED'
     AND fromPosition < CAST(? AS INTEGER) AND (toPosition IS NULL OR toPosition > CAST(? AS INTEGER)) ORDER BY subscription_versions.fromPosition`,
  ).all(site.tenant, site.environment, subscriptionId, incarnation, through, after);

type Published = Pick<EventRow, 'position' | 'type' | 'stream' | 'operational' | 'recordedAtMs'>;

function* publishedIn(database: Database.Database, { site, after, through }: Selection, versions: readonly SubscriptionVersionRow[]): Generator<Published> {
  const published = sql<Published>(
    database,
    `SELECT CAST(position AS TEXT) AS position, type, stream, operational, recordedAtMs FROM events WHERE tenant = ? AND environment = ?
     AND position > max(CAST(? AS INTEGER), CAST(? AS INTEGER)) AND position <= min(CAST(? AS INTEGER), CAST(? AS INTEGER)) ORDER BY events.position`,
  );
  for (const { fromPosition, toPosition } of versions) yield* published.iterate(site.tenant, site.environment, after, fromPosition, through, toPosition ?? through);
}
