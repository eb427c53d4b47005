import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProjectionStatus } from '#read-models';
import { rootKeyText, type Shell, startShell } from '../../../test/support/http-shell.ts';

let shell: Shell;
beforeAll(async () => {
  shell = await startShell();
});
afterAll(() => shell.close());

const running: ProjectionStatus = { name: 'api-keys', state: 'RUNNING', position: '10', behindMs: 0, poison: null };
beforeEach(() => {
  shell.commands.length = 0;
  shell.published.length = 0;
  shell.projections = [running];
});

describe('the site of a request', () => {
  const list = (query: string, key: string) => shell.send('GET', `/api/approvals${query}`, { key });

  it('may be left out when the key has exactly one', async () => {
    expect((await list('', shell.key(['site:acme:read', 'site:acme.production:write']))).status).toBe(200);
    for (const scopes of [['site:acme.*:read'], ['site:*:read'], ['site:acme:read', 'site:other:read'], ['admin']]) {
      const { status, body } = await list('', shell.key(scopes));
      expect([scopes, status, body['type']]).toEqual([scopes, 400, 'https://countersign.dev/problems/site-required']);
    }
  });

  it('means production when it names no environment', async () => {
    const key = shell.key(['site:acme:read']);
    expect((await list('?siteId=acme.production', key)).status).toBe(200);
    expect((await list('?siteId=acme.staging', key)).status).toBe(404);
  });

  it.each(['?siteId=', '?siteId=Acme', '?siteId=a.b.c', '?siteId=acme&siteId=other'])('%p is malformed', async (query) => {
    const { status, body } = await list(query, rootKeyText);
    expect([status, body['errors']]).toEqual([400, [{ path: 'siteId', message: expect.any(String) }]]);
  });
});

describe('whom a key speaks for', () => {
  const pause = (key: string, actor: object) => shell.send('POST', '/api/commands/PauseWebhookSubscription', { key, headers: { 'idempotency-key': 'k' }, body: { tenant: 'acme', actor, payload: { webhookSubscriptionId: 'orders' } } });
  const publish = (key: string, headers: Record<string, string>) => shell.send('POST', '/api/events?siteId=acme', { key, headers, body: { type: 'a.b', data: 1 } });
  const boundKey = (): string => shell.key(['site:acme:write'], { actor: { type: 'USER', id: 'sam' }, anyActor: false, defaultActor: null });

  it('a bound key acts as its actor only', async () => {
    const key = boundKey();
    expect((await pause(key, { type: 'USER', id: 'Sam', onBehalfOf: [{ type: 'USER', id: 'ann' }] })).status).toBe(200);
    expect(shell.commands[0]).toMatchObject({ actor: { type: 'USER', id: 'sam', onBehalfOf: [{ type: 'USER', id: 'ann' }] }, caller: { boundTo: { type: 'USER', id: 'sam' } } });
    const { status, body } = await pause(key, { type: 'USER', id: 'ann' });
    expect([status, body['type'], shell.commands]).toEqual([403, 'https://countersign.dev/problems/actor-not-allowed', [expect.anything()]]);
  });

  it('an any-actor key acts as whoever is named', async () => {
    expect((await pause(shell.key(['site:acme:write']), { type: 'CONNECTOR', id: 'c' })).status).toBe(200);
    expect(shell.commands[0]).toMatchObject({ actor: { type: 'CONNECTOR', id: 'c' }, caller: { boundTo: null, owner: { type: 'USER', id: 'sam' } } });
  });

  it('on REST the actor is the key’s own, its default, or named in headers', async () => {
    await publish(boundKey(), { 'kf-actor': 'USER:sam' });
    await publish(shell.key(['site:acme:write']), {});
    await publish(shell.key(['site:acme:write']), { 'kf-actor': 'AGENT:bot:7', 'kf-on-behalf-of': 'USER:ann, SERVICE:x' });
    await publish(rootKeyText, {});
    expect(shell.published.map(({ publisher }) => publisher.actor)).toEqual([
      { type: 'USER', id: 'sam' },
      { type: 'SERVICE', id: 'registry' },
      { type: 'AGENT', id: 'bot:7', onBehalfOf: [{ type: 'USER', id: 'ann' }, { type: 'SERVICE', id: 'x' }] },
      { type: 'USER', id: 'root' },
    ]);
    expect((await publish(boundKey(), { 'kf-actor': 'USER:ann' })).status).toBe(403);
    expect((await publish(shell.key(['site:acme:write'], { defaultActor: null }), {})).status).toBe(403);
    for (const headers of [{ 'kf-actor': 'sam' }, { 'kf-actor': 'ROBOT:x' }, { 'kf-on-behalf-of': 'USER:a,,USER:b' }, { 'kf-on-behalf-of': Array(33).fill('USER:a').join() }]) expect((await publish(rootKeyText, headers)).status).toBe(400);
  });
});

describe('how fresh keys are', () => {
  const whoAmI = (key: string) => shell.send('GET', '/api/whoami', { key });

  it('a remembered key is forgotten when a commit touches any key', async () => {
    const key = shell.key(['site:acme:read']);
    expect((await whoAmI(key)).status).toBe(200);
    const [id, record] = [...shell.keys].at(-1) ?? [];
    if (id === undefined || record === undefined) throw new Error('no key');
    shell.keys.set(id, { ...record, revokedAtMs: 1 });
    expect((await whoAmI(key)).status).toBe(200);
    shell.commit({ position: '11', events: [{ stream: 'event-acme.production.e', revision: 0, position: '11', id: 'e', type: 'EventPublished', data: '1', metadata: {} }] });
    expect((await whoAmI(key)).status).toBe(200);
    shell.commit({ position: '12', events: [{ stream: `apikey-acme.production.${id}`, revision: 1, position: '12', id: 'r', type: 'ApiKeyRevoked', data: '{}', metadata: {} }] });
    expect((await whoAmI(key)).status).toBe(401);
  });

  it('a key expires by the clock, also when it is remembered', async () => {
    const key = shell.key(['site:acme:read'], { expiresOnMs: shell.clock.now() + 1_000 });
    expect((await whoAmI(key)).status).toBe(200);
    await shell.clock.advance(1_000);
    expect((await whoAmI(key)).status).toBe(401);
  });

  it.each([
    [{ ...running, state: 'STOPPED' as const }, 503],
    [{ ...running, behindMs: 5_001 }, 503],
    [{ ...running, behindMs: 5_000 }, 200],
    [{ ...running, state: 'REBUILDING' as const }, 200],
  ])('with their read model %p a key is %i', async (status, expected) => {
    const key = shell.key(['site:acme:read']);
    await whoAmI(key);
    shell.projections = [status];
    const { status: answered, body } = await whoAmI(key);
    expect(answered).toBe(expected);
    if (expected === 503) expect(body['type']).toBe('https://countersign.dev/problems/store-unavailable');
    expect((await whoAmI(rootKeyText)).status).toBe(200);
  });

  it('never shows the text of a key, in no log line and no list', async () => {
    const key = shell.key(['admin']);
    await whoAmI(key);
    const { text } = await shell.send('GET', '/api/keys', { key });
    for (const seen of [text, shell.logLines.join('')]) for (const secret of [key, rootKeyText, key.split('_')[2] ?? '']) expect(seen).not.toContain(secret);
  });
});
