import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import type { CommandType } from '#contracts';
import type { ProjectionStatus } from '#read-models';
import { rootKeyText, type SendOptions, type Shell, startShell } from '../../../test/support/http-shell.ts';
import { catalogue } from '../commands/catalogue.ts';

const openapi = parse(readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8')) as { readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly requestBody?: { readonly content: { readonly 'application/json': { readonly example: object } } } }>>>> };

type To = 'everybody' | 'keys' | 'administrators' | 'site';

interface Route {
  readonly name: string;
  readonly method: string;
  readonly to: To;
  /** Each of these alone opens it, in the site. */
  readonly needs: readonly string[];
  readonly url: (siteId: string) => string;
  readonly options?: (siteId: string) => SendOptions;
}

const inQuery = (path: string) => (siteId: string) => `${path}?siteId=${siteId}`;
const plain = (path: string) => () => path;
const site = (name: string, path: string, needs: readonly string[], more: Partial<Route> = {}): Route => ({ name, method: 'GET', to: 'site', needs, url: inQuery(path), ...more });
const open = (path: string): Route => ({ name: path, method: 'GET', to: 'everybody', needs: [], url: plain(path) });
const administrators = (name: string, path: string, method = 'GET'): Route => ({ name, method, to: 'administrators', needs: ['admin'], url: plain(path) });

const commandRoute = (type: string): Route => {
  const path = `/api/commands/${type}`;
  const example = openapi.paths[path]?.['post']?.requestBody?.content['application/json'].example;
  const [tenantOf, environmentOf] = [(siteId: string) => siteId.split('.')[0], (siteId: string) => siteId.split('.')[1] ?? 'production'];
  return {
    name: path,
    method: 'POST',
    to: 'site',
    needs: catalogue[type as CommandType].needs,
    url: plain(path),
    options: (siteId) => ({ headers: { 'idempotency-key': type === 'PublishEvent' ? 'evt-4711' : 'k1' }, body: { ...example, tenant: tenantOf(siteId), environment: environmentOf(siteId) } }),
  };
};

const routes: readonly Route[] = [
  ...Object.keys(catalogue).map(commandRoute),
  site('/api/commands/{commandId}', '/api/commands/c1', ['read']),
  site('/api/events', '/api/events', ['write'], { method: 'POST', options: () => ({ body: { type: 'version.published', data: 1 } }) }),
  site('/api/events/{eventId}', '/api/events/e1', ['read']),
  site('/api/approvals', '/api/approvals', ['read', 'approve']),
  site('/api/approvals/{approvalId}', '/api/approvals/apr_1', ['read', 'approve']),
  site('/api/approval-policies', '/api/approval-policies', ['read', 'approve', 'admin']),
  site('/api/approval-policies/{commandType}', '/api/approval-policies/PauseWebhookSubscription', ['read', 'approve', 'admin']),
  site('/api/webhooks/{subscriptionId}/deliveries', '/api/webhooks/orders/deliveries', ['read']),
  site('/api/webhooks/{subscriptionId}/deliveries/{deliveryId}', '/api/webhooks/orders/deliveries/dlv_1', ['read']),
  site('/api/webhooks/{subscriptionId}/deliveries/{deliveryId}/retry', '/api/webhooks/orders/deliveries/dlv_1/retry', ['write'], { method: 'POST' }),
  site('/api/deliveries', '/api/deliveries', ['read']),
  site('/api/webhooks', '/api/webhooks', ['read']),
  site('/api/webhooks', '/api/webhooks', ['write'], { method: 'POST', options: () => ({ body: { url: 'https://hooks.example.com/orders', events: ['version.*'] } }) }),
  site('/api/webhooks/{subscriptionId}', '/api/webhooks/orders', ['read']),
  site('/api/webhooks/{subscriptionId}', '/api/webhooks/orders', ['write'], { method: 'PATCH', options: () => ({ body: { status: 'PAUSED' } }) }),
  site('/api/webhooks/{subscriptionId}', '/api/webhooks/orders', ['write'], { method: 'DELETE' }),
  site('/api/webhooks/{subscriptionId}/restore', '/api/webhooks/orders/restore', ['write'], { method: 'POST' }),
  site('/api/webhooks/{subscriptionId}/rotate-secret', '/api/webhooks/orders/rotate-secret', ['write'], { method: 'POST' }),
  site('/api/webhooks/{subscriptionId}/recover', '/api/webhooks/orders/recover', ['write'], { method: 'POST', options: () => ({ body: { since: '2026-11-20T00:00:00Z' } }) }),
  site('/api/webhooks/{subscriptionId}/test', '/api/webhooks/orders/test', ['write'], { method: 'POST' }),
  site('/api/recoveries', '/api/recoveries', ['read']),
  site('/api/recoveries/{recoveryId}', '/api/recoveries/rec_1', ['read']),
  administrators('/api/keys', '/api/keys'),
  administrators('/api/projections', '/api/projections'),
  administrators('/api/projections/{name}/rebuild', '/api/projections/api-keys/rebuild', 'POST'),
  { name: '/api/whoami', method: 'GET', to: 'keys', needs: [], url: plain('/api/whoami') },
  { name: '/api/status', method: 'GET', to: 'keys', needs: [], url: plain('/api/status') },
  ...['/health/live', '/health/ready', '/metrics', '/openapi.yaml'].map(open),
];

const named = routes.map((route): [string, Route] => [`${route.method} ${route.name}`, route]);
const closed = named.filter(([, { to }]) => to !== 'everybody');
const ofSites = named.filter(([, { to }]) => to === 'site');
const rights = ['read', 'write', 'approve', 'audit'];
const scopesOf = (need: string, siteId: string): string => (need === 'admin' ? 'admin' : `site:${siteId}:${need}`);

let shell: Shell;
beforeAll(async () => {
  // Whatever a route would find is there, so that a 404 is about access alone.
  shell = await startShell({
    current: {
      head: () => Promise.resolve('10'),
      approval: () => Promise.reject(new Error('found')),
      policy: () => Promise.reject(new Error('found')),
      command: () => Promise.reject(new Error('found')),
      subscription: () => Promise.reject(new Error('found')),
      delivery: () => Promise.reject(new Error('found')),
      recovery: () => Promise.reject(new Error('found')),
      wireBody: () => Promise.resolve(null),
    },
    reads: {
      apiKeyById: (keyId) => Promise.resolve(shell.keys.get(keyId)),
      listApiKeys: () => Promise.resolve({ items: [], nextCursor: null }),
      listApprovals: () => Promise.resolve({ items: [], nextCursor: null }),
      listSubscriptions: () => Promise.reject(new Error('found')),
      listRecoveries: () => Promise.reject(new Error('found')),
      subscriptionHealth: () => Promise.reject(new Error('found')),
      listDeliveries: () => Promise.reject(new Error('found')),
      delivery: () => Promise.reject(new Error('found')),
      transcripts: () => Promise.resolve([]),
      event: () => Promise.reject(new Error('found')),
    },
  });
});
afterAll(() => shell.close());

const running: ProjectionStatus = { name: 'api-keys', state: 'RUNNING', position: '10', behindMs: 0, poison: null };
beforeEach(() => {
  shell.commands.length = 0;
  shell.published.length = 0;
  shell.projections = [running];
});

const send = (route: Route, key: string | null, siteId = 'acme') => shell.send(route.method, route.url(siteId), { ...route.options?.(siteId), key });
/** Past the door: what happens behind it is not the matter here. */
const isIn = (status: number): boolean => status === 200 || status === 201 || status === 500;
const nothingHappened = (): void => expect([shell.commands, shell.published]).toEqual([[], []]);

describe('every route', () => {
  it('is in this table', () => {
    const documented = Object.entries(openapi.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    expect(named.map(([name]) => name).sort()).toEqual(documented.sort());
  });

  it.each(named.filter(([, { to }]) => to === 'everybody'))('%s is open without a key, and does not care for a wrong one', async (_name, route) => {
    expect((await send(route, null)).status).toBe(200);
    expect((await send(route, 'nonsense')).status).toBe(200);
  });

  it.each(closed)('%s without a key is 401', async (_name, route) => {
    const { status, headers, body } = await send(route, null);
    expect([status, headers['www-authenticate'], body['type']]).toEqual([401, 'Bearer', 'https://countersign.dev/problems/unauthenticated']);
    nothingHappened();
  });

  it.each(closed)('%s with an unknown, revoked or expired key is 401', async (_name, route) => {
    const all = ['admin', 'site:acme:read', 'site:acme:write', 'site:acme:approve'];
    const good = shell.key(all);
    for (const key of [`${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`, 'kf_root_x', 'x'.repeat(300), shell.key(all, { revokedAtMs: 1 }), shell.key(all, { expiresOnMs: shell.clock.now() })]) {
      expect((await send(route, key)).status).toBe(401);
    }
    nothingHappened();
  });

  it.each(ofSites)('%s of a site that the key has no scope for is 404, the same as for a site that does not exist', async (_name, route) => {
    const key = shell.key(rights.map((right) => `site:other:${right}`));
    const [foreign, nowhere] = [await send(route, key, 'acme'), await send(route, key, 'nowhere.staging')];
    expect([foreign.status, nowhere.status]).toEqual([404, 404]);
    const { correlationId: _a, ...first } = foreign.body;
    const { correlationId: _b, ...second } = nowhere.body;
    expect(first).toEqual(second);
    nothingHappened();
  });

  it.each(ofSites)('%s is 403 without the scope, in a site that the key knows', async (_name, route) => {
    const others = rights.filter((right) => !route.needs.includes(right)).map((right) => `site:acme:${right}`);
    const { status, body } = await send(route, shell.key(others));
    expect([status, body['type']]).toEqual([403, 'https://countersign.dev/problems/forbidden']);
    nothingHappened();
  });

  it.each(ofSites)('%s opens with each of the scopes it takes', async (_name, route) => {
    for (const need of route.needs) {
      expect(isIn((await send(route, shell.key([scopesOf(need, 'acme')]))).status)).toBe(true);
      if (need === 'admin') continue;
      expect(isIn((await send(route, shell.key([scopesOf(need, '*')]))).status)).toBe(true);
      expect(isIn((await send(route, shell.key([scopesOf(need, 'acme.*')]), 'acme.staging')).status)).toBe(true);
      expect((await send(route, shell.key([scopesOf(need, 'acme')]), 'acme.staging')).status).toBe(404);
    }
  });

  it.each(named.filter(([, { to }]) => to === 'administrators'))('%s is for administrators only', async (_name, route) => {
    expect((await send(route, shell.key(rights.map((right) => `site:*:${right}`)))).status).toBe(403);
    expect((await send(route, shell.key(['admin']))).status).toBe(200);
  });

  it.each(closed)('%s opens with the root key', async (_name, route) => expect(isIn((await send(route, rootKeyText)).status)).toBe(true));
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
