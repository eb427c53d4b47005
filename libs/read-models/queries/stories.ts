import type Database from 'better-sqlite3';
import type { AttemptRow, DeliveryRow } from '#deliveries';
import type { Position, Site } from '#kernel';
import { beyondAll, sql } from './statement.ts';

export interface SignedAttemptsOf {
  readonly site: Site;
  readonly subscriptionId: string;
  readonly status: DeliveryRow['status'];
  /** Attempts signed with any of these. */
  readonly secretVersionIds: readonly string[];
  /** Deliveries scheduled before this position; null: from the latest on. */
  readonly before: Position | null;
  /** How many deliveries are looked at. */
  readonly limit: number;
}

export interface SignedAttempts {
  readonly attempts: readonly { readonly deliveryId: string; readonly secretVersionIds: readonly string[] }[];
  /** How many deliveries were looked at. */
  readonly looked: number;
  /** Where to go on; null: that was all. */
  readonly next: Position | null;
}

/** Which recorded requests of a subscription's deliveries of a status were signed with some versions of its secret, the latest deliveries first. */
export function signedAttempts(database: Database.Database, { site, subscriptionId, status, secretVersionIds, before, limit }: SignedAttemptsOf): SignedAttempts {
  const deliveries = sql<{ id: string; scheduledPosition: Position }>(
    database,
    `SELECT id, CAST(scheduledPosition AS TEXT) AS scheduledPosition FROM deliveries
     WHERE tenant = ? AND environment = ? AND subscriptionId = ? AND status = ? AND deliveries.scheduledPosition < CAST(? AS INTEGER)
     ORDER BY deliveries.scheduledPosition DESC LIMIT ?`,
  ).all(site.tenant, site.environment, subscriptionId, status, before ?? beyondAll, limit);
  const outcomes = sql<Pick<AttemptRow, 'outcome'>>(database, 'SELECT outcome FROM attempts WHERE deliveryId = ? ORDER BY revision');
  const attempts = deliveries.flatMap(({ id: deliveryId }) =>
    outcomes.all(deliveryId).flatMap(({ outcome }) => {
      const signedWith = (JSON.parse(outcome) as { readonly secretVersionIds: readonly string[] }).secretVersionIds;
      return signedWith.some((versionId) => secretVersionIds.includes(versionId)) ? [{ deliveryId, secretVersionIds: signedWith }] : [];
    }),
  );
  return { attempts, looked: deliveries.length, next: deliveries.length < limit ? null : (deliveries.at(-1)?.scheduledPosition ?? null) };
}

/** Ids of what a site published, operational events left out, the latest first: after those before a position. */
export function publishedIds(database: Database.Database, { site, before, limit }: { readonly site: Site; readonly before: Position | null; readonly limit: number }): readonly { readonly eventId: string; readonly position: Position }[] {
  return sql<{ eventId: string; position: Position }>(
    database,
    `SELECT eventId, CAST(position AS TEXT) AS position FROM events
     WHERE tenant = ? AND environment = ? AND events.position < CAST(? AS INTEGER) AND operational = 0 ORDER BY events.position DESC LIMIT ?`,
  ).all(site.tenant, site.environment, before ?? beyondAll, limit);
}
