import type Database from 'better-sqlite3';
import { type ApiKeyRow, apiKeyTable, grants, parseScope } from '#access';
import { formatPrincipal, type Principal, type Refusal, samePrincipal, type Site } from '#kernel';
import { columnsOf } from '../sql.ts';
import { fromCursor, isKey, type Page, pageOf, type Paging, sql } from './statement.ts';

export interface ApiKeyItem {
  readonly id: string;
  /** Where it was made; what it may do is in the scopes. */
  readonly site: Site;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly actor: Principal | null;
  readonly anyActor: boolean;
  readonly defaultActor: Principal | null;
  readonly owner: Principal | null;
  /** Null: made with the root key. */
  readonly createdBy: Principal | null;
  readonly expiresOnMs: number | null;
  readonly keySha256: string;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
}

const select = `SELECT ${columnsOf(apiKeyTable)} FROM api_keys`;

const principal = (json: string | null): Principal | null => (json === null ? null : (JSON.parse(json) as Principal));

const item = ({ tenant, environment, boundTo: _, scopes, actor, anyActor, defaultActor, owner, createdBy, ...row }: ApiKeyRow): ApiKeyItem => ({
  ...row,
  site: { tenant, environment },
  scopes: JSON.parse(scopes) as string[],
  actor: principal(actor),
  anyActor: anyActor === 1,
  defaultActor: principal(defaultActor),
  owner: principal(owner),
  createdBy: principal(createdBy),
});

/** The key of an id, also when it was revoked or has expired: that is for the caller to see. */
export function getApiKey(database: Database.Database, { keyId }: { keyId: string }): ApiKeyItem | undefined {
  const row = sql<ApiKeyRow>(database, `${select} WHERE id = ?`).get(keyId);
  return row === undefined ? undefined : item(row);
}

export function listApiKeys(database: Database.Database, { limit, cursor }: Paging): Page<ApiKeyItem> | Refusal {
  const after = fromCursor('keys', cursor, [Number.MAX_SAFE_INTEGER, ''] as [number, string]);
  if (!isKey(after)) return after;
  const rows = sql<ApiKeyRow>(database, `${select} WHERE (createdAtMs, id) < (?, ?) ORDER BY createdAtMs DESC, id DESC LIMIT ?`).all(...after, limit + 1);
  return pageOf('keys', rows, limit, item, (row) => [row.createdAtMs, row.id]);
}

const boundKeys = (database: Database.Database): readonly ApiKeyItem[] => sql<ApiKeyRow>(database, `${select} WHERE anyActor = 0 ORDER BY createdAtMs, id`).all().map(item);

const liveBoundKeys = (database: Database.Database, nowMs: number): readonly ApiKeyItem[] =>
  sql<ApiKeyRow>(database, `${select} WHERE revokedAtMs IS NULL AND (expiresOnMs IS NULL OR expiresOnMs > ?) AND anyActor = 0 ORDER BY createdAtMs, id`).all(nowMs).map(item);

/** Every USER with a live key bound to them that may approve in the site, each once. */
export function approversOf(database: Database.Database, { site, nowMs }: { site: Site; nowMs: number }): readonly Principal[] {
  return distinct(
    liveBoundKeys(database, nowMs).flatMap(({ actor, scopes }) => (actor?.type === 'USER' && grants(scopes.flatMap((text) => parseScope(text) ?? []), site, 'approve') ? [actor] : [])),
  );
}

/**
 * The owners of every key that was ever bound to a principal, each once. Those of revoked and expired keys too: whoever
 * answered for a machine could else end its key and then approve what it asked for.
 */
export function ownersOf(database: Database.Database, { principal: of }: { principal: Principal }): readonly Principal[] {
  return distinct(boundKeys(database).flatMap(({ actor, owner }) => (actor !== null && samePrincipal(actor, of) && owner !== null ? [owner] : [])));
}

const distinct = (principals: readonly Principal[]): readonly Principal[] => [...new Map(principals.map((one) => [formatPrincipal(one).toLowerCase(), one])).values()];
