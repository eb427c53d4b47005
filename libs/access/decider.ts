import { type Decider, type Decision, formatInstant, formatPrincipal, parseInstant, type Principal, refuse, type Stored } from '#kernel';
import type { ApiKeyEvent } from './events.ts';
import { parseScope } from './scopes.ts';

/** `NONE` before the creation. A revoked key stays: its id never comes back. */
export type ApiKeyState = { readonly status: 'NONE' } | { readonly status: 'ACTIVE' | 'REVOKED'; readonly name: string };

export const initialApiKey: ApiKeyState = { status: 'NONE' };

export interface CreateApiKey {
  readonly do: 'create';
  readonly keyId: string;
  readonly nowMs: number;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly actor?: Principal;
  readonly anyActor?: boolean;
  readonly defaultActor?: Principal;
  readonly owner?: Principal;
  /** Who makes it; null: the root key. */
  readonly createdBy: Principal | null;
  /** RFC 3339. */
  readonly expiresOn?: string;
  /** SHA-256 of the text of the key that will be shown, hex. */
  readonly keySha256: string;
}

export interface RevokeApiKey {
  readonly do: 'revoke';
  readonly keyId: string;
}

export type ApiKeyCommand = CreateApiKey | RevokeApiKey;

/** Folds one event of a key's stream. */
export function evolveApiKey(state: ApiKeyState, event: Stored<ApiKeyEvent>): ApiKeyState {
  switch (event.type) {
    case 'ApiKeyCreated':
      return { status: 'ACTIVE', name: event.data.name };
    case 'ApiKeyRevoked':
      if (state.status === 'NONE') throw new TypeError(`${event.type} at ${event.position} without a key`);
      return { ...state, status: 'REVOKED' };
  }
}

/** What a command does to a key. Refuses with `validation-failed` (every rule that is broken, with its path), `concurrent-modification` and `not-found`. */
export function decideApiKey(state: ApiKeyState, command: ApiKeyCommand): Decision<ApiKeyEvent> {
  return command.do === 'create' ? create(state, command) : revoke(state, command.keyId);
}

export const apiKeyDecider: Decider<ApiKeyState, ApiKeyCommand, ApiKeyEvent> = { initialState: initialApiKey, evolve: evolveApiKey, decide: decideApiKey };

function create(state: ApiKeyState, command: CreateApiKey): Decision<ApiKeyEvent> {
  const errors = brokenRules(command);
  if (errors.length > 0) return refuse('validation-failed', 'The key cannot be made as asked.', { errors });
  if (state.status !== 'NONE') return refuse('concurrent-modification', `There is a key ${command.keyId} already.`);
  const data = createdKey(command);
  return { events: [{ type: 'ApiKeyCreated', data }], result: { keyId: command.keyId, name: data.name, scopes: data.scopes, expiresOn: data.expiresOn } };
}

function createdKey({ name, scopes, actor, anyActor = false, defaultActor, owner, createdBy, expiresOn, keySha256 }: CreateApiKey): Extract<ApiKeyEvent, { type: 'ApiKeyCreated' }>['data'] {
  const expiry = expiresOn === undefined ? null : formatInstant(parseInstant(expiresOn) ?? NaN);
  return { name, scopes, actor: plain(actor), anyActor, defaultActor: plain(defaultActor), owner: plain(owner), createdBy: plain(createdBy), expiresOn: expiry, keySha256 };
}

function revoke(state: ApiKeyState, keyId: string): Decision<ApiKeyEvent> {
  if (state.status === 'NONE') return refuse('not-found', `There is no API key ${keyId}.`);
  const events: ApiKeyEvent[] = state.status === 'REVOKED' ? [] : [{ type: 'ApiKeyRevoked', data: {} }];
  return { events, result: { keyId, status: 'REVOKED' } };
}

const plain = (principal: Principal | null | undefined): Principal | null => (principal === null || principal === undefined ? null : { type: principal.type, id: principal.id });

interface BrokenRule {
  readonly path: string;
  readonly message: string;
}

const brokenRules = (command: CreateApiKey): readonly BrokenRule[] => [...actorRules(command), ...ownerRules(command), ...scopeRules(command), ...expiryRules(command)];

function actorRules({ actor, anyActor = false, defaultActor }: CreateApiKey): BrokenRule[] {
  if ((actor !== undefined) === anyActor) return [{ path: 'payload.actor', message: 'give either the one actor of the key, or anyActor: true' }];
  return defaultActor !== undefined && !anyActor ? [{ path: 'payload.defaultActor', message: 'only a key with anyActor: true has a default actor' }] : [];
}

function ownerRules({ actor, anyActor = false, owner }: CreateApiKey): BrokenRule[] {
  if (owner !== undefined && owner.type !== 'USER') return [{ path: 'payload.owner', message: `must be a USER, not ${formatPrincipal(owner)}` }];
  const needed = anyActor || (actor !== undefined && ['AGENT', 'CONNECTOR', 'SERVICE'].includes(actor.type));
  return needed && owner === undefined ? [{ path: 'payload.owner', message: 'is required: the USER who answers for a key of an AGENT, CONNECTOR or SERVICE, or of any actor' }] : [];
}

function scopeRules({ scopes }: CreateApiKey): BrokenRule[] {
  if (scopes.length === 0) return [{ path: 'payload.scopes', message: 'a key needs at least one scope' }];
  return scopes.flatMap((scope, index) =>
    parseScope(scope) === undefined ? [{ path: `payload.scopes[${index}]`, message: 'must be admin or site:<site>:<read|write|approve|audit>, where <site> is a site, <tenant>.* or *' }] : [],
  );
}

function expiryRules({ expiresOn, nowMs }: CreateApiKey): BrokenRule[] {
  const expiry = expiresOn === undefined ? undefined : parseInstant(expiresOn);
  if (expiresOn !== undefined && expiry === undefined) return [{ path: 'payload.expiresOn', message: 'must be an RFC 3339 time with an offset' }];
  return expiry !== undefined && expiry <= nowMs ? [{ path: 'payload.expiresOn', message: `must be after now (${formatInstant(nowMs)})` }] : [];
}
