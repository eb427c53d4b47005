import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { applied, type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());
const last = (): FakeApi['requests'][number] => api.requests.at(-1)!;
const table = { stdout: true } as const;

describe('kf key create', () => {
  const line = 'key create --tenant tnt_demo --actor-type USER --actor-id root --name ci';

  it('asks for a key bound to one actor', async () => {
    const { code } = await kf(words(`${line} --scope site:tnt_demo:write --scope site:tnt_demo.*:read --actor USER:usr_sam --expires-on +90d`), { server: api.url });
    expect(code).toBe(0);
    expect(last().url).toBe('/api/commands/CreateApiKey');
    expect(last().body).toEqual({
      tenant: 'tnt_demo',
      environment: 'production',
      actor: { type: 'USER', id: 'root' },
      payload: { name: 'ci', scopes: ['site:tnt_demo:write', 'site:tnt_demo.*:read'], actor: { type: 'USER', id: 'usr_sam' }, expiresOn: '2027-01-31T10:00:00.000Z' },
    });
  });

  it('asks for a key that speaks for any actor, with the person who answers for it', async () => {
    await kf(words(`${line} --scope admin --any-actor --default-actor SERVICE:ci --owner USER:usr_sam`), { server: api.url });
    expect(last().body['payload']).toEqual({ name: 'ci', scopes: ['admin'], anyActor: true, defaultActor: { type: 'SERVICE', id: 'ci' }, owner: { type: 'USER', id: 'usr_sam' } });
  });

  it("acts as the API key's own actor when nobody is named", async () => {
    api.answers('GET /api/whoami', { body: { actor: { type: 'USER', id: 'root' } } });
    await kf(words('key create --tenant tnt_demo --name ci --scope admin --actor USER:usr_sam'), { server: api.url });
    expect(api.requests.map(({ url }) => url)).toEqual(['/api/whoami', '/api/commands/CreateApiKey']);
    expect(last().body).toMatchObject({ actor: { type: 'USER', id: 'root' } });
  });

  it('prints the key alone with --quiet, and in a table with the note that it is shown once', async () => {
    const made = { body: applied('CreateApiKey', 'key_1', { keyId: 'key_1', secret: 'kf_new' }) };
    api.answers('POST /api/commands/CreateApiKey', made, made);
    const flags = words(`${line} --scope admin --actor USER:usr_sam`);
    expect((await kf([...flags, '--quiet'], { server: api.url })).out).toBe('kf_new\n');
    const shown = await kf(flags, { server: api.url, tty: table });
    expect(shown.out).toMatch(/^Secret +kf_new$/m);
    expect(shown.err).toContain('shown this once');
  });

  it.each([
    ['no scope', '--actor USER:usr_sam', '--scope <scope> is required'],
    ['a malformed scope', '--actor USER:usr_sam --scope site:tnt_demo', '--scope: expected admin or site:'],
    ['an unknown right', '--actor USER:usr_sam --scope site:tnt_demo:grant', '--scope: expected admin or site:'],
    ['neither actor nor any', '--scope admin', 'give either --actor <TYPE:ID> or --any-actor'],
    ['actor and any', '--scope admin --actor USER:usr_sam --any-actor --owner USER:usr_sam', 'give either --actor <TYPE:ID> or --any-actor'],
    ['a default actor of a bound key', '--scope admin --actor USER:usr_sam --default-actor USER:usr_sam', '--default-actor goes with --any-actor only'],
    ['an agent without an owner', '--scope admin --actor AGENT:bot', '--owner <USER:ID> is required'],
    ['any actor without an owner', '--scope admin --any-actor', '--owner <USER:ID> is required'],
    ['an owner that is no person', '--scope admin --actor AGENT:bot --owner SERVICE:ci', '--owner: expected USER:ID'],
    ['half an acting actor', '--scope admin --actor USER:usr_sam --actor-type USER', undefined],
  ])('refuses %s and sends nothing', async (_case, flags, message) => {
    const start = message === undefined ? 'key create --tenant tnt_demo --name ci' : line;
    const { code, err } = await kf(words(`${start} ${flags}`), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain(message ?? '--actor-type and --actor-id go together');
    expect(api.requests).toHaveLength(0);
  });

  it('says that the tenant is missing', async () => {
    const { code, err } = await kf(words('key create --name ci --scope admin --actor USER:usr_sam'), { server: api.url });
    expect({ code, requests: api.requests.length }).toEqual({ code: 2, requests: 0 });
    expect(err).toContain('--tenant <id> is required');
  });

  it('says what to do when the key has no actor of its own', async () => {
    api.answers('GET /api/whoami', { body: { actor: null, defaultActor: null } });
    const { code, err } = await kf(words('key create --tenant tnt_demo --name ci --scope admin --actor USER:usr_sam'), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('give --actor-type and --actor-id');
  });
});

describe('kf key list and revoke', () => {
  it('lists keys', async () => {
    const items = [
      { id: 'key_1', siteId: 'tnt_demo', name: 'ci', actor: null, anyActor: true, owner: { type: 'USER', id: 'usr_sam' }, scopes: ['admin', 'site:*:read'], expiresOn: null, status: 'ACTIVE' },
      { id: 'key_2', siteId: 'tnt_demo.qa', name: 'kim', actor: { type: 'USER', id: 'usr_kim' }, anyActor: false, owner: null, scopes: ['site:t:approve'], expiresOn: '2026-12-01T00:00:00Z', status: 'REVOKED' },
    ];
    api.answers('GET /api/keys', { body: { items, nextCursor: null } });
    const { out } = await kf(words('key list --limit 500'), { server: api.url, tty: table });
    expect(last().url).toBe('/api/keys?limit=500');
    expect(out).toMatch(/^key_1 +ci +tnt_demo +any +USER:usr_sam +admin, site:\*:read +- +ACTIVE$/m);
    expect(out).toMatch(/^key_2 +kim +tnt_demo\.qa +USER:usr_kim +- +site:t:approve +2026-12-01 01:00:00 \+01:00 +REVOKED$/m);
  });

  it.each(['key revoke --key-id key_1', 'key revoke key_1'])('%s ends the key', async (line) => {
    expect((await kf(words(`${line} --tenant tnt_demo --actor-type USER --actor-id root`), { server: api.url })).code).toBe(0);
    expect(last()).toMatchObject({ url: '/api/commands/RevokeApiKey', body: { payload: { keyId: 'key_1' } } });
  });

  it('refuses a limit that is too large, and a revoke without a key', async () => {
    expect((await kf(words('key list --limit 501'), { server: api.url })).err).toContain('--limit: expected a whole number from 1 to 500');
    expect((await kf(words('key revoke --tenant tnt_demo'), { server: api.url })).err).toContain('--key-id <id> is required');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf whoami', () => {
  it('whoami shows the actor and its scopes', async () => {
    const who = { body: { keyId: 'key_1', actor: { type: 'USER', id: 'usr_sam' }, scopes: ['site:tnt_demo:write'] } };
    api.answers('GET /api/whoami', who, who);
    const { out } = await kf(['whoami'], { server: api.url, tty: table });
    expect(out).toMatch(/^Actor +USER:usr_sam$/m);
    expect(out).toMatch(/^Scopes +site:tnt_demo:write$/m);
    expect((await kf(['whoami', '--quiet'], { server: api.url })).out).toBe('USER:usr_sam\n');
  });

  it('takes no arguments', async () => {
    expect((await kf(['whoami', 'now'], { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf projection', () => {
  it('status shows where each stands, and at which event one stopped', async () => {
    const items = [
      { name: 'subscriptions', state: 'RUNNING', position: '42', behindMs: 0, poison: null },
      { name: 'deliveries', state: 'STOPPED', position: '40', behindMs: 9000, poison: { position: '41', eventId: 'e1', error: 'not JSON' } },
    ];
    api.answers('GET /api/projections', { body: { items } });
    const { out } = await kf(words('projection status'), { server: api.url, tty: table });
    expect(out).toMatch(/^subscriptions +RUNNING +42 +0 ms +-$/m);
    expect(out).toMatch(/^deliveries +STOPPED +40 +9000 ms +41: not JSON$/m);
  });

  it('rebuild asks for it', async () => {
    api.answers('POST /api/projections/subscriptions/rebuild', { status: 202, body: { name: 'subscriptions', state: 'REBUILDING' } });
    const { code, out } = await kf(words('projection rebuild subscriptions'), { server: api.url, tty: table });
    expect(code).toBe(0);
    expect(out).toMatch(/^State +REBUILDING$/m);
  });

  it('rebuild needs a name, in the right form', async () => {
    expect((await kf(words('projection rebuild'), { server: api.url })).code).toBe(2);
    expect((await kf(words('projection rebuild ../keys'), { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });

  it('passes a refusal on', async () => {
    api.answers('POST /api/projections/nothing/rebuild', problem('not-found', 404));
    expect(await kf(words('projection rebuild nothing'), { server: api.url })).toMatchObject({ code: 1, out: '' });
  });
});
