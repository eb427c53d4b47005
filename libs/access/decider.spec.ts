import { describe, expect, it } from '@jest/globals';
import { isRefusal, type Stored } from '#kernel';
import { type ApiKeyCommand, apiKeyDecider, type ApiKeyEvent, type CreateApiKey, initialApiKey } from './index.ts';

const nowMs = Date.parse('2026-11-01T12:00:00Z');
const sam = { type: 'USER', id: 'sam' } as const;
const bot = { type: 'AGENT', id: 'bot' } as const;
const create: CreateApiKey = { do: 'create', keyId: 'key_1', nowMs, name: 'sam at home', scopes: ['site:acme:read'], actor: sam, createdBy: null, keySha256: 'ab'.repeat(32) };
const created: ApiKeyEvent = {
  type: 'ApiKeyCreated',
  data: { name: 'sam at home', scopes: ['site:acme:read'], actor: sam, anyActor: false, defaultActor: null, owner: null, createdBy: null, expiresOn: null, keySha256: 'ab'.repeat(32) },
};
const revoke: ApiKeyCommand = { do: 'revoke', keyId: 'key_1' };

const given = (...history: ApiKeyEvent[]) => ({
  when: (command: ApiKeyCommand) => {
    const at = (event: ApiKeyEvent, revision: number): Stored<ApiKeyEvent> => ({ ...event, id: 'e', stream: 'apikey-acme.production.key_1', revision, position: String(revision), recordedAt: nowMs, metadata: {} });
    const decision = apiKeyDecider.decide(history.map(at).reduce((state, event) => apiKeyDecider.evolve(state, event), initialApiKey), command);
    return {
      then: (...events: ApiKeyEvent[]) => expect(decision).toMatchObject({ events }),
      thenNothing: () => expect(decision).toMatchObject({ events: [] }),
      thenRefused: (code: string, path?: string) => {
        expect(isRefusal(decision) && decision.refused).toBe(code);
        if (path !== undefined) expect(decision).toMatchObject({ members: { errors: [{ path }] } });
      },
    };
  },
});

describe('CreateApiKey', () => {
  it('records a key bound to one actor, by the hash of its text', () => void given().when(create).then(created));

  it('records a key for any actor, with a default one and an owner', () => {
    const { actor, ...rest } = create;
    given()
      .when({ ...rest, anyActor: true, defaultActor: bot, owner: sam })
      .then({ ...created, data: { ...created.data, actor: null, anyActor: true, defaultActor: bot, owner: sam } });
  });

  it('writes the expiry in UTC', () => {
    given()
      .when({ ...create, expiresOn: '2026-12-01T02:00:00+02:00' })
      .then({ ...created, data: { ...created.data, expiresOn: '2026-12-01T00:00:00.000Z' } });
  });

  it.each(['AGENT', 'CONNECTOR', 'SERVICE'] as const)('refuses a key of a %s without an owner', (type) => {
    given().when({ ...create, actor: { type, id: 'x' } }).thenRefused('validation-failed', 'payload.owner');
  });

  it('refuses an any-actor key without an owner', () => {
    const { actor, ...rest } = create;
    given().when({ ...rest, anyActor: true }).thenRefused('validation-failed', 'payload.owner');
  });

  it('refuses an owner who is not a person', () => given().when({ ...create, actor: bot, owner: bot }).thenRefused('validation-failed', 'payload.owner'));
  it('refuses both an actor and any actor', () => given().when({ ...create, anyActor: true, owner: sam }).thenRefused('validation-failed', 'payload.actor'));

  it('refuses neither an actor nor any actor', () => {
    const { actor, ...rest } = create;
    given().when(rest).thenRefused('validation-failed', 'payload.actor');
  });

  it('refuses a default actor of a bound key', () => given().when({ ...create, defaultActor: bot }).thenRefused('validation-failed', 'payload.defaultActor'));
  it('refuses a malformed scope', () => given().when({ ...create, scopes: ['admin', 'site:Acme:read'] }).thenRefused('validation-failed', 'payload.scopes[1]'));
  it('refuses a key without scopes', () => given().when({ ...create, scopes: [] }).thenRefused('validation-failed', 'payload.scopes'));
  it('refuses an expiry that is not after now', () => given().when({ ...create, expiresOn: '2026-11-01T12:00:00Z' }).thenRefused('validation-failed', 'payload.expiresOn'));
  it('refuses an expiry that is not a time', () => given().when({ ...create, expiresOn: 'tomorrow' }).thenRefused('validation-failed', 'payload.expiresOn'));
  it('refuses an id that is taken', () => given(created).when(create).thenRefused('concurrent-modification'));
});

describe('RevokeApiKey', () => {
  it('records that the key is revoked', () => void given(created).when(revoke).then({ type: 'ApiKeyRevoked', data: {} }));
  it('has nothing to do when it is revoked already', () => given(created, { type: 'ApiKeyRevoked', data: {} }).when(revoke).thenNothing());
  it('refuses an unknown key', () => given().when(revoke).thenRefused('not-found'));
});
