import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RefusalList } from '#read-models';
import { type Shell, startShell } from '../../../test/support/http-shell.ts';

let shell: Shell;
afterEach(() => shell.close());

const sam = { type: 'USER', id: 'sam' } as const;
const pause = { webhookSubscriptionId: 'orders' };

describe('a caller who names an actor that the key may not speak for', () => {
  let bound: string;
  beforeEach(async () => {
    shell = await startShell();
    bound = shell.key(['site:acme:write', 'site:acme:approve'], { actor: sam, anyActor: false, defaultActor: null });
  });

  const send = (commandType: string, payload: object, { tenant = 'acme', query = '', id = 'kim' } = {}) =>
    shell.send('POST', `/api/commands/${commandType}${query}`, { key: bound, headers: { 'idempotency-key': 'k1' }, body: { tenant, actor: { type: 'USER', id }, approvalId: 'apr_1', payload } });

  it('is put on record under the key’s own actor, and refused as ever', async () => {
    expect((await send('PauseWebhookSubscription', pause)).body).toMatchObject({ status: 403, type: expect.stringContaining('actor-not-allowed') });
    expect(shell.refused).toMatchObject([{ request: { commandType: 'PauseWebhookSubscription', actor: sam, site: { tenant: 'acme' }, caller: { keyId: expect.stringMatching(/^key_/) }, payload: pause, approvalId: 'apr_1' }, refusal: { refused: 'actor-not-allowed' } }]);
    expect(shell.commands).toEqual([]);
  });

  it('is put on record over REST too', async () => {
    const answer = await shell.send('POST', '/api/webhooks?siteId=acme', { key: bound, headers: { 'kf-actor': 'USER:kim' }, body: { url: 'https://hooks.example.com/orders', events: 'version.*' } });
    expect([answer.status, shell.refused.map(({ request, refusal }) => [request.commandType, request.actor, refusal.refused])]).toEqual([403, [['UpsertWebhookSubscription', sam, 'actor-not-allowed']]]);
  });

  it('writes nothing into a site that the key does not know, or where it lacks the right, and with a dry run', async () => {
    expect((await send('PauseWebhookSubscription', pause, { tenant: 'globex' })).status).toBe(404);
    expect((await send('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true })).status).toBe(403);
    expect((await send('PauseWebhookSubscription', pause, { query: '?dryRun=true' })).status).toBe(403);
    expect((await send('PauseWebhookSubscription', pause, { id: 'sam' })).status).toBe(200);
    expect((await shell.send('POST', '/api/webhooks?siteId=globex', { key: bound, headers: { 'kf-actor': 'USER:kim' }, body: { url: 'https://hooks.example.com/orders', events: 'version.*' } })).status).toBe(404);
    expect(shell.refused).toEqual([]);
  });
});

describe('GET /api/audit/refusals', () => {
  it('answers what was refused, and asks for it as it was asked', async () => {
    const asked: RefusalList[] = [];
    const item = { position: '7', recordedAtMs: Date.UTC(2026, 10, 21), actor: sam, keyId: 'key_1', commandType: 'GrantApproval', resourceId: 'apr_1', code: 'approver-conflict', detail: 'no', correlationId: 'c', suppressed: 3 };
    shell = await startShell({ refusals: { record: () => undefined, list: (list) => (asked.push(list), Promise.resolve({ items: [item], nextCursor: null })) } });
    const auditor = shell.key(['site:acme:audit']);
    const { status, body } = await shell.send('GET', '/api/audit/refusals?siteId=acme&since=2026-11-20T00:00:00Z&until=2026-11-22T00:00:00Z&actor=USER:sam&limit=5&cursor=c', { key: auditor });
    const { recordedAtMs: _at, ...shown } = item;
    expect([status, body]).toEqual([200, { items: [{ ...shown, at: '2026-11-21T00:00:00.000Z' }], nextCursor: null }]);
    expect(asked).toEqual([{ site: { tenant: 'acme', environment: 'production' }, sinceMs: Date.UTC(2026, 10, 20), untilMs: Date.UTC(2026, 10, 22), actor: sam, limit: 5, cursor: 'c' }]);
    expect((await shell.send('GET', '/api/audit/refusals?siteId=acme&actor=sam', { key: auditor })).status).toBe(400);
    expect((await shell.send('GET', '/api/audit/refusals?siteId=acme', { key: shell.key(['site:acme:read', 'site:acme:write']) })).status).toBe(403);
    expect((await shell.send('GET', '/api/audit/refusals?siteId=globex', { key: auditor })).status).toBe(404);
  });
});
