import type Database from 'better-sqlite3';
import { timeOrdered } from '#kernel';

/**
 * Ids of deliveries begin with their event's time, so what is old stands at the start of each table: a delivery can't
 * have ended, nor an attempt been made, before its event was published.
 */
const statements: Readonly<Record<string, readonly string[]>> = {
  deliveries: [
    'DELETE FROM attempts WHERE deliveryId < @idBelow AND recordedAtMs < @horizonMs',
    `DELETE FROM deliveries WHERE id < @idBelow AND updatedAtMs < @horizonMs AND (
       status IN ('DELIVERED', 'DEAD_LETTERED')
       OR EXISTS (SELECT 1 FROM purges p WHERE p.tenant = deliveries.tenant AND p.environment = deliveries.environment
                  AND p.subscriptionId = deliveries.subscriptionId AND p.position > deliveries.openedPosition))`,
  ],
  transcripts: ['DELETE FROM transcripts WHERE deliveryId < @idBelow AND recordedAtMs < @horizonMs'],
};

const dayMs = 86_400_000;

/**
 * From when on the log surely still has its transcripts, milliseconds since 1970 UTC. What is older may be gone from the log by
 * the clock, while the read model drops it with the first event of a later day: no replay can find it again.
 */
export function logKeepsFromMs(nowMs: number, latestDays: readonly string[], historyDays: number): number {
  const latestMs = latestDays.flatMap((day) => Date.parse(day) || []).reduce((a, b) => Math.max(a, b), nowMs);
  return Math.floor(latestMs / dayMs) * dayMs - historyDays * dayMs;
}

/** Drops what a projection keeps as history only and is older than the horizon. Answers whether it keeps any. */
export function dropHistory(database: Database.Database, projection: string, horizonMs: number): boolean {
  const own = statements[projection];
  if (own === undefined) return false;
  const idBelow = timeOrdered('dlv', Math.max(0, horizonMs), new Uint8Array(10));
  for (const statement of own) database.prepare(statement).run({ idBelow, horizonMs });
  return true;
}
