import type Database from 'better-sqlite3';
import { type RefusalRow, refusalTable } from '#approvals';
import { formatPrincipal, parsePrincipal, type Position, type Principal, type Refusal, type Site } from '#kernel';
import { columnsOf } from '../sql.ts';
import { clockSlackMs } from './deliveries.ts';
import { beyondAll, fromCursor, isKey, type Page, pageOf, type Paging, sql } from './statement.ts';

/** A refused attempt at a gated command or a vote. Times are milliseconds since 1970 UTC. */
export interface RefusalItem extends Omit<RefusalRow, 'tenant' | 'environment' | 'actor' | 'actorFolded'> {
  readonly actor: Principal | null;
}

export interface RefusalList extends Paging {
  readonly site: Site;
  /** Recorded at or after, milliseconds since 1970 UTC. */
  readonly sinceMs?: number | undefined;
  /** Recorded at or before. */
  readonly untilMs?: number | undefined;
  readonly actor?: Principal | undefined;
}

/** Refusals of a site, newest first. */
export function listRefusals(database: Database.Database, list: RefusalList): Page<RefusalItem> | Refusal {
  const after = fromCursor('refusals', list.cursor, [beyondAll] as [Position]);
  if (!isKey(after)) return after;
  return pageOf('refusals', read(database, list, after[0]), list.limit, item, (row) => [row.position]);
}

function read(database: Database.Database, { site, actor, limit, ...window }: RefusalList, before: Position): readonly RefusalRow[] {
  const byActor = actor === undefined ? '' : 'AND actorFolded = @actor ';
  const rows = sql<RefusalRow>(database, `SELECT ${columnsOf(refusalTable)} FROM refusals WHERE tenant = @tenant AND environment = @environment ${byActor}AND position < CAST(@before AS INTEGER) ORDER BY refusals.position DESC`);
  const taken: RefusalRow[] = [];
  for (const row of rows.iterate({ ...site, before, ...(actor === undefined ? {} : { actor: formatPrincipal(actor).toLowerCase() }) })) {
    if (isBefore(window, row, clockSlackMs)) break;
    if (!isBefore(window, row, 0) && !isAfter(window, row)) taken.push(row);
    if (taken.length > limit) break;
  }
  return taken;
}

type Window = Pick<RefusalList, 'sinceMs' | 'untilMs'>;

const isBefore = ({ sinceMs = -Infinity }: Window, { recordedAtMs }: RefusalRow, slackMs: number): boolean => recordedAtMs < sinceMs - slackMs;
const isAfter = ({ untilMs = Infinity }: Window, { recordedAtMs }: RefusalRow): boolean => recordedAtMs > untilMs;

function item({ tenant: _tenant, environment: _environment, actorFolded: _folded, actor, ...row }: RefusalRow): RefusalItem {
  return { ...row, actor: actor === null ? null : (parsePrincipal(actor) ?? null) };
}
