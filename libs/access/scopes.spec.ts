import { describe, expect, it } from '@jest/globals';
import { bindActor, grants, isAdmin, keyIdOf, keySha256, knowsSite, makeKeyText, onlySite, parseScope, type Right, type Scope } from './index.ts';

const scopes = (...texts: string[]): Scope[] => texts.map((text) => parseScope(text) ?? malformed(text));
const malformed = (text: string): never => {
  throw new Error(`${text} is malformed`);
};
const production = { tenant: 't', environment: 'production' };
const staging = { tenant: 't', environment: 'staging' };
const other = { tenant: 'u', environment: 'production' };

describe('scopes', () => {
  it.each([
    ['site:t:read', [true, false, false]],
    ['site:t.production:read', [true, false, false]],
    ['site:t.staging:read', [false, true, false]],
    ['site:t.*:read', [true, true, false]],
    ['site:*:read', [true, true, true]],
    ['admin', [false, false, false]],
  ])('%s reads in t, t.staging and u: %p', (scope, expected) => {
    expect([production, staging, other].map((site) => grants(scopes(scope), site, 'read'))).toEqual(expected);
    expect([production, staging, other].map((site) => knowsSite(scopes(scope), site))).toEqual(expected);
  });

  it('no right includes another, and admin includes none', () => {
    const all: Right[] = ['read', 'write', 'approve', 'audit'];
    for (const right of all) expect(all.filter((wanted) => grants(scopes(`site:t:${right}`), production, wanted))).toEqual([right]);
    expect(all.filter((wanted) => grants(scopes('admin'), production, wanted))).toEqual([]);
    expect(isAdmin(scopes('admin'))).toBe(true);
    expect(isAdmin(scopes('site:*:write'))).toBe(false);
  });

  it.each(['', 'Admin', 'site:t', 'site::read', 'site:T:read', 'site:*.x:read', 'site:t.*.y:read', 'site:t:read:more', 'site:t:own', 'site:.*:read', 'site:**:read'])('%p is malformed', (text) => {
    expect(parseScope(text)).toBeUndefined();
  });

  it('knows when they name exactly one site', () => {
    expect(onlySite(scopes('site:t:read', 'site:t.production:write', 'admin'))).toEqual(production);
    for (const several of [['admin'], ['site:t.*:read'], ['site:*:read'], ['site:t:read', 'site:u:read'], ['site:t:read', 'site:t.staging:read']]) {
      expect(onlySite(scopes(...several))).toBeUndefined();
    }
  });
});

describe('the text of a key', () => {
  const keyId = 'key_01jd4x8qk6m0v7h2w9y3z5a1bc';

  it('names its record and holds 256 random bits', () => {
    const text = makeKeyText(keyId, new Uint8Array(32).fill(7));
    expect(text.reveal()).toMatch(/^kf_01jd4x8qk6m0v7h2w9y3z5a1bc_[0-9a-z]{52}$/);
    expect(keyIdOf(text.reveal())).toBe(keyId);
    expect(keySha256(text)).toMatch(/^[0-9a-f]{64}$/);
    expect(() => makeKeyText(keyId, new Uint8Array(16))).toThrow();
  });

  it.each(['', 'kf_', 'kf_x_y', 'Bearer', `kf_${'0'.repeat(26)}_${'0'.repeat(51)}`, `kf_${'0'.repeat(26)}_${'0'.repeat(53)}`])('%p is not the text of a key', (text) => {
    expect(keyIdOf(text)).toBeUndefined();
  });
});

describe('who a key may act for', () => {
  const sam = { type: 'USER', id: 'sam' } as const;
  const bound = { boundTo: sam, defaultActor: null };
  const any = { boundTo: null, defaultActor: null };

  it('a bound key acts as its actor, whatever the letter case, and keeps on behalf of', () => {
    expect(bindActor(bound, undefined)).toEqual(sam);
    expect(bindActor(bound, { type: 'USER', id: 'SAM' })).toEqual(sam);
    expect(bindActor(bound, { ...sam, onBehalfOf: [{ type: 'USER', id: 'ann' }] })).toEqual({ ...sam, onBehalfOf: [{ type: 'USER', id: 'ann' }] });
  });

  it('a bound key may not act as another', () => {
    expect(bindActor(bound, { type: 'USER', id: 'ann' })).toMatchObject({ refused: 'actor-not-allowed' });
    expect(bindActor(bound, { type: 'AGENT', id: 'sam' })).toMatchObject({ refused: 'actor-not-allowed' });
  });

  it('an any-actor key acts as the named one, else as its default', () => {
    expect(bindActor(any, { type: 'SERVICE', id: 'x' })).toEqual({ type: 'SERVICE', id: 'x' });
    expect(bindActor({ ...any, defaultActor: sam }, undefined)).toEqual(sam);
    expect(bindActor(any, undefined)).toMatchObject({ refused: 'actor-not-allowed' });
  });
});
