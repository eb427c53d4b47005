import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyHome, type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

const subscription = { id: 'whs_1', siteId: 'acme', events: ['claim.**'], url: 'https://example.com/hook', status: 'ACTIVE', revision: 3 };
const changed = { subscription, commandId: 'c1', outcome: 'APPLIED', revision: 4, position: '42' };

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
  api.answers('PATCH /api/webhooks/whs_1', { body: changed });
  api.answers('GET /api/webhooks/whs_1', { body: subscription });
});
afterEach(() => api.close());

const update = 'webhook update whs_1 --url https://example.com/new';

describe('the site of an operator verb', () => {
  it('is the one typed', async () => {
    expect((await kf(words('webhook get whs_1 --site acme.staging'), { server: api.url })).code).toBe(0);
    expect(api.requests.map(({ url }) => url)).toEqual(['/api/webhooks/whs_1?siteId=acme.staging']);
  });

  it('is always production when no environment is typed, whatever the profile says', async () => {
    const variables = { XDG_CONFIG_HOME: emptyHome() };
    await kf(words('profile set demo --environment staging'), { variables });
    await kf(words('webhook get whs_1 --site acme'), { server: api.url, variables });
    expect(api.requests[0]?.url).toBe('/api/webhooks/whs_1?siteId=acme');
  });

  it("is the profile's when none is typed", async () => {
    const variables = { XDG_CONFIG_HOME: emptyHome() };
    await kf(words('profile set demo --site acme.staging'), { variables });
    await kf(words('webhook get whs_1'), { server: api.url, variables });
    await kf(words('webhook get whs_1 --site other'), { server: api.url, variables });
    expect(api.requests.map(({ url }) => url)).toEqual(['/api/webhooks/whs_1?siteId=acme.staging', '/api/webhooks/whs_1?siteId=other']);
  });

  it("is else the API key's only one", async () => {
    api.answers('GET /api/whoami', { body: { siteId: 'acme.staging' } });
    expect((await kf(words(update), { server: api.url })).code).toBe(0);
    expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /api/whoami', 'PATCH /api/webhooks/whs_1?siteId=acme.staging']);
  });

  it.each(['webhook get whs_1', 'webhook list', 'webhook create --url https://example.com/ --events a.b', update, 'webhook delete whs_1 --yes', 'webhook restore whs_1', 'webhook rotate-secret whs_1', 'webhook deliveries whs_1', 'webhook delivery get whs_1 dlv_1', 'webhook retry whs_1 dlv_1', 'webhook recover whs_1 --since 2h', 'webhook recoveries', 'webhook cancel-recovery rec_1', 'webhook probe --url https://example.com/ --event a.b', 'deliveries'])(
    'when nobody says: kf %s exits 2 and sends nothing else',
    async (line) => {
      api.answers('GET /api/whoami', { body: { siteId: null } });
      const { code, out, err } = await kf(words(line), { server: api.url });
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain('--site <siteId> is required');
      expect(api.requests.map(({ url }) => url)).toEqual(['/api/whoami']);
    },
  );

  it('malformed exits 2 and sends nothing', async () => {
    for (const bad of ['Acme', 'a.b.c', 'acme.', '']) expect((await kf(['webhook', 'list', '--site', bad], { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });

  it('can not be typed as a tenant', async () => {
    expect((await kf(words('webhook list --tenant acme'), { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });

  it('that can not be asked for is exit code 1', async () => {
    api.answers('GET /api/whoami', { drops: true });
    expect((await kf(words('webhook list'), { server: api.url })).code).toBe(1);
  });
});

describe('who acts on an operator verb', () => {
  const headers = (): unknown => api.requests.at(-1)?.headers;

  it("is left to the API key when nobody is named", async () => {
    await kf(words(`${update} --site acme`), { server: api.url });
    expect(headers()).not.toHaveProperty('kf-actor');
    expect(headers()).not.toHaveProperty('kf-on-behalf-of');
  });

  it('is sent as typed, with the chain nearest first', async () => {
    await kf(words(`${update} --site acme --actor-type AGENT --actor-id bot --on-behalf-of USER:kim --on-behalf-of USER:lee,SERVICE:x`), { server: api.url });
    expect(headers()).toMatchObject({ 'kf-actor': 'AGENT:bot', 'kf-on-behalf-of': 'USER:kim, USER:lee, SERVICE:x' });
  });

  it("is the profile's when it has one", async () => {
    const variables = { XDG_CONFIG_HOME: emptyHome() };
    await kf(words('profile set demo --site acme --actor USER:sam'), { variables });
    await kf(words(update), { server: api.url, variables });
    expect(headers()).toMatchObject({ 'kf-actor': 'USER:sam' });
  });

  it('half named is exit code 2, and nothing is sent', async () => {
    for (const line of [update, 'webhook delete whs_1 --site acme', 'webhook probe --site acme --url https://example.com/ --event a.b', 'webhook cancel-recovery rec_1 --site acme']) {
      expect(await kf(words(`${line} --actor-type USER`), { server: api.url, tty: { stdin: true, stderr: true } })).toMatchObject({ code: 2, err: expect.stringContaining('go together') });
    }
    expect(api.requests).toHaveLength(0);
  });
});

describe('the idempotency key of an operator verb', () => {
  it('is made and printed before the request', async () => {
    api.answers('PATCH /api/webhooks/whs_2', { drops: true });
    const { code, err } = await kf(words('webhook update whs_2 --site acme --paused'), { server: api.url });
    const key = /^Idempotency key: (req_[0-9a-z]{26})$/m.exec(err)?.[1];
    expect(code).toBe(1);
    expect(api.requests[0]?.headers['idempotency-key']).toBe(key);
    expect(err).toContain(`  kf webhook update whs_2 --site acme --paused --idempotency-key ${key ?? '?'}\n`);
  });

  it('is the one typed, and then not repeated', async () => {
    const { err } = await kf(words(`${update} --site acme --idempotency-key k1`), { server: api.url });
    expect(api.requests[0]?.headers['idempotency-key']).toBe('k1');
    expect(err).toBe('');
  });

  it('that was used before is told', async () => {
    api.answers('POST /api/webhooks/whs_1/rotate-secret', { body: { ...changed, secret: null }, headers: { 'idempotency-replayed': 'true' } });
    const { code, out, err } = await kf(words('webhook rotate-secret whs_1 --site acme --idempotency-key k1'), { server: api.url });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ secret: null });
    expect(err).toContain('used before');
  });

  it('is not sent where nothing changes', async () => {
    await kf(words('webhook get whs_1 --site acme'), { server: api.url });
    expect(api.requests[0]?.headers).not.toHaveProperty('idempotency-key');
  });
});

describe('a refused operator verb', () => {
  it('that needs an approval says what to type next: the request, the grant by somebody else, the line again', async () => {
    const approvalRequest = { tenant: 'acme', environment: 'production', actor: { type: 'USER', id: 'sam', onBehalfOf: [{ type: 'USER', id: 'kim' }] }, payload: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', expiresOn: '2026-11-02T14:00:00.000Z' } };
    api.answers('POST /api/webhooks/whs_1/rotate-secret', problem('approval-required', 403, { approvalRequest, unmet: [], candidates: [] }));
    const { code, out, err } = await kf(words('webhook rotate-secret whs_1 --site acme --idempotency-key k1'), { server: api.url });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain("  kf approval request --tenant acme --environment production --actor-type USER --actor-id sam --on-behalf-of USER:kim --command-type RotateWebhookSubscriptionSecret --resource-id whs_1 --expires-on 2026-11-02T14:00:00.000Z --reason 'why it is needed'\n");
    expect(err).toContain('  kf approval grant --tenant acme --environment production --approval-id <approval id> --actor-type USER --actor-id <approver>\n');
    expect(err).toContain('  kf webhook rotate-secret whs_1 --site acme --idempotency-key k1\n');
    expect(err.indexOf('approval request')).toBeLessThan(err.indexOf('approval grant'));
  });

  it('that no approval could allow suggests none', async () => {
    api.answers('POST /api/webhooks/whs_1/recover', problem('approval-required', 403));
    const { err } = await kf(words('webhook recover whs_1 --site acme --since 2h'), { server: api.url });
    expect(err).toContain('Detail of approval-required.');
    expect(err).not.toContain('kf approval');
  });

  it('without a template names the command and the resource all the same', async () => {
    api.answers('DELETE /api/webhooks/whs_1', problem('approval-denied', 403));
    const { err } = await kf(words('webhook delete whs_1 --yes --site acme --idempotency-key k1'), { server: api.url });
    expect(err).toContain("--actor-type USER --actor-id '<you>' --command-type DeleteWebhookSubscription --resource-id whs_1 --expires-on +4h");
  });

  it('repeats times that were typed relative to now in full', async () => {
    api.answers('POST /api/webhooks/whs_1/recover', problem('outcome-unknown', 503));
    const { err } = await kf(words('webhook recover whs_1 --site acme --since=2h --until -30m --idempotency-key k1'), { server: api.url });
    expect(err).toContain('  kf webhook recover whs_1 --site acme --since 2026-11-02T08:00:00.000Z --until 2026-11-02T09:30:00.000Z --idempotency-key k1\n');
  });
});
