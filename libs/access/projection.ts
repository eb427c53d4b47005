import { domainEvent, type Principal, prefixOf, type Projection, resourceOf, type Table } from '#kernel';
import type { ApiKeyEvent } from './events.ts';

/** A key as it is. Principals and scopes are JSON; `boundTo` is the actor it is bound to as `TYPE:id` in lower case. */
export interface ApiKeyRow {
  readonly id: string;
  readonly tenant: string;
  readonly environment: string;
  readonly name: string;
  readonly scopes: string;
  readonly actor: string | null;
  readonly boundTo: string | null;
  readonly anyActor: number;
  readonly defaultActor: string | null;
  readonly owner: string | null;
  readonly createdBy: string | null;
  readonly expiresOnMs: number | null;
  readonly keySha256: string;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
}

export const apiKeyTable: Table<ApiKeyRow> = {
  name: 'api_keys',
  columns: {
    id: 'text',
    tenant: 'text',
    environment: 'text',
    name: 'text',
    scopes: 'text',
    actor: 'text',
    boundTo: 'text',
    anyActor: 'integer',
    defaultActor: 'text',
    owner: 'text',
    createdBy: 'text',
    expiresOnMs: 'integer',
    keySha256: 'text',
    revision: 'integer',
    createdAtMs: 'integer',
    revokedAtMs: 'integer',
  },
  key: ['id'],
};

const types: Record<ApiKeyEvent['type'], true> = { ApiKeyCreated: true, ApiKeyRevoked: true };

/** API keys: who may do what. */
export const apiKeyProjection: Projection = {
  name: 'api-keys',
  version: 1,
  prefixes: [prefixOf('apikey')],
  tables: [apiKeyTable],
  apply(event, rows) {
    const fact = domainEvent<ApiKeyEvent>(event, types);
    if (fact === undefined) return;
    const { site, id } = resourceOf(event);
    const row = rows.get(apiKeyTable, [id]);
    if (fact.type === 'ApiKeyRevoked') {
      if (row === undefined) throw new TypeError(`${fact.type} at ${fact.position} without a key`);
      rows.put(apiKeyTable, { ...row, revision: row.revision + 1, revokedAtMs: fact.recordedAt });
      return;
    }
    const { name, scopes, actor, anyActor, defaultActor, owner, createdBy = null, expiresOn, keySha256 } = fact.data;
    rows.put(apiKeyTable, {
      id,
      ...site,
      name,
      scopes: JSON.stringify(scopes),
      actor: principalJson(actor),
      boundTo: actor === null ? null : `${actor.type}:${actor.id}`.toLowerCase(),
      anyActor: Number(anyActor),
      defaultActor: principalJson(defaultActor),
      owner: principalJson(owner),
      createdBy: principalJson(createdBy),
      expiresOnMs: expiresOn === null ? null : Date.parse(expiresOn),
      keySha256,
      revision: 1,
      createdAtMs: fact.recordedAt,
      revokedAtMs: null,
    });
  },
};

const principalJson = (principal: Principal | null): string | null => (principal === null ? null : JSON.stringify(principal));
