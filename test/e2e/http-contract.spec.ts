import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type Answer, type Api, type Asked, demo, kim, sam, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { routes } from '../support/routes.ts';

jest.setTimeout(30_000);

let installation: Installation;
let inbox: Inbox;
let api: Api;

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s' });
  api = installation.root;
}, 60_000);
afterAll(async () => {
  await inbox?.close();
  await installation?.end();
});

const upsert = { eventPattern: 'a.b', targetUrl: 'https://127.0.0.1:9/', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
const upsertPath = '/api/commands/UpsertWebhookSubscription';
const key = { 'idempotency-key': 'k-1' };
const command = (payload: object = upsert, more: object = {}): Asked => ({ headers: key, body: { tenant: demo, actor: sam, ...more, payload } });
const publishPath = `/api/events?siteId=${demo}`;

/** Every answer that is no success has this form. RFC 9457. */
function isProblem(answer: Answer, status: number, slug: string): void {
  expect([answer.status, answer.headers.get('content-type')?.split(';')[0]]).toEqual([status, 'application/problem+json']);
  expect(answer.body).toMatchObject({ type: `https://countersign.dev/problems/${slug}`, title: expect.stringMatching(/\S/), status, detail: expect.stringMatching(/\S/), instance: expect.stringMatching(/^\/[^?]*$/), correlationId: answer.headers.get('x-correlation-id') });
  expect(answer.headers.get('cache-control')).toBe('no-store');
}

describe('a request that is not as it should be is answered with a problem', () => {
  it.each<[string, string, string, Asked, number, string, RegExp]>([
    ['an unknown path', 'GET', '/api/nothing', {}, 404, 'not-found', /\/api\/nothing/],
    ['an unknown path outside the API', 'GET', '/', {}, 404, 'not-found', /./],
    ['another method', 'DELETE', upsertPath, {}, 405, 'method-not-allowed', /POST/],
    ['another method on a list', 'PUT', '/api/keys', command(), 405, 'method-not-allowed', /GET/],
    ['another media type', 'POST', upsertPath, { headers: { ...key, 'content-type': 'text/plain' }, text: '{}' }, 415, 'unsupported-media-type', /application\/json/],
    ['a form', 'POST', upsertPath, { headers: { ...key, 'content-type': 'application/x-www-form-urlencoded' }, text: 'a=b' }, 415, 'unsupported-media-type', /application\/json/],
    ['no body', 'POST', upsertPath, { headers: { ...key, 'content-type': 'application/json' } }, 400, 'validation-failed', /body/],
    ['malformed JSON', 'POST', upsertPath, { headers: key, text: '{"tenant": "tnt_demo",}' }, 400, 'validation-failed', /not JSON/],
    ['malformed JSON to publish', 'POST', publishPath, { text: '{"type":"a.b","data":01}' }, 400, 'validation-failed', /not JSON/],
    ['a member twice', 'POST', upsertPath, { headers: key, text: `{"tenant":"a","tenant":"b","actor":{"type":"USER","id":"x"},"payload":${JSON.stringify(upsert)}}` }, 400, 'validation-failed', /tenant is there twice/],
    ['JSON that is too deep', 'POST', publishPath, { text: `{"type":"a.b","data":${'['.repeat(200)}${']'.repeat(200)}}` }, 400, 'validation-failed', /./],
    ['an array of no events', 'POST', publishPath, { text: '[]' }, 400, 'validation-failed', /1 to 1000/],
    ['too many events', 'POST', publishPath, { body: Array.from({ length: 1_001 }, () => ({ type: 'a.b', data: 1 })) }, 400, 'validation-failed', /1001/],
    ['no idempotency key', 'POST', upsertPath, { ...command(), headers: {} }, 400, 'idempotency-key-missing', /Idempotency-Key/],
    ['an empty idempotency key', 'POST', upsertPath, { ...command(), headers: { 'idempotency-key': '""' } }, 400, 'idempotency-key-invalid', /1 to 255/],
    ['a long idempotency key', 'POST', upsertPath, { ...command(), headers: { 'idempotency-key': 'k'.repeat(256) } }, 400, 'idempotency-key-invalid', /1 to 255/],
    ['an idempotency key with a blank', 'POST', upsertPath, { ...command(), headers: { 'idempotency-key': 'a b' } }, 400, 'idempotency-key-invalid', /visible ASCII/],
    ['an event id that is not the key', 'POST', publishPath, { headers: key, body: { eventId: 'other', type: 'a.b', data: 1 } }, 400, 'validation-failed', /Idempotency-Key/],
    ['an unknown command, near a known one', 'POST', '/api/commands/PauseWebhookSubscriptions', command(), 404, 'not-found', /Did you mean "PauseWebhookSubscription"\?/],
    ['an unknown field, near a known one', 'POST', upsertPath, command({ ...upsert, targetURL: 'x' }), 400, 'validation-failed', /targetUrl/],
    ['an unknown field of the envelope', 'POST', upsertPath, command(upsert, { tennant: 'x' }), 400, 'validation-failed', /tenant/],
    ['a missing field', 'POST', upsertPath, command({ ...upsert, status: undefined }), 400, 'validation-failed', /payload\.status/],
    ['a tenant of another form', 'POST', upsertPath, { headers: key, body: { tenant: 'Acme!', actor: sam, payload: upsert } }, 400, 'validation-failed', /tenant/],
    ['an actor of an unknown type', 'POST', upsertPath, { headers: key, body: { tenant: demo, actor: { type: 'PERSON', id: 'x' }, payload: upsert } }, 400, 'validation-failed', /actor\.type/],
    ['a malformed pattern', 'POST', upsertPath, command({ ...upsert, eventPattern: 'a..b' }), 400, 'validation-failed', /eventPattern/],
    ['an event type of another form', 'POST', publishPath, { body: { type: 'A B', data: 1 } }, 400, 'validation-failed', /type/],
    ['no site', 'POST', '/api/events', { body: { type: 'a.b', data: 1 } }, 400, 'site-required', /siteId/],
    ['a malformed site', 'POST', '/api/events?siteId=A.B.C', { body: { type: 'a.b', data: 1 } }, 400, 'validation-failed', /siteId/],
    ['an unknown parameter', 'GET', '/api/keys?limits=3', {}, 400, 'validation-failed', /limit/],
    ['another revision', 'POST', upsertPath, command({ ...upsert, webhookSubscriptionId: 'not-there' }, { expectedRevision: 7 }), 412, 'precondition-failed', /./],
    ['a grant without a revision', 'POST', '/api/commands/GrantApproval', command({ approvalId: 'apr_1' }), 428, 'precondition-required', /expectedRevision/],
    ['an approval that is not there', 'GET', `/api/approvals/apr_none?siteId=${demo}`, {}, 404, 'not-found', /./],
  ])('%s', async (_case, method, path, asked, status, slug, detail) => {
    const answer = await api.ask(method, path, asked);
    isProblem(answer, status, slug);
    const errors = (answer.body['errors'] ?? []) as readonly { readonly path: string; readonly message: string }[];
    expect([String(answer.body['detail']), answer.headers.get('allow') ?? '', ...errors.map(({ path: at, message }) => `${at} ${message}`)].join('\n')).toMatch(detail);
    if (slug === 'validation-failed') expect(answer.body['errors']).toEqual(expect.arrayContaining([{ path: expect.any(String), message: expect.stringMatching(/\S/) }]));
  });

  it('too large, named with its limit: the body, the data of an event, an item of a list, the headers', async () => {
    const body = await rawRequest('POST', publishPath, { authorization: `Bearer ${installation.server.rootKey}`, 'content-type': 'application/json', 'content-length': String(8 * 1024 * 1024 + 1) });
    expect([body.status, JSON.parse(body.text)]).toEqual([413, expect.objectContaining({ type: 'https://countersign.dev/problems/payload-too-large', limitBytes: 8 * 1024 * 1024, detail: expect.stringContaining(String(8 * 1024 * 1024)) })]);

    const large = `"${'x'.repeat(256 * 1024)}"`;
    const data = await api.ask('POST', publishPath, { text: `{"type":"a.b","data":${large}}` });
    isProblem(data, 413, 'payload-too-large');
    expect(data.body).toMatchObject({ limitBytes: 256 * 1024 });
    isProblem(await api.ask('POST', '/api/commands/PublishEvent', { headers: key, text: `{"tenant":"${demo}","actor":{"type":"USER","id":"x"},"payload":{"type":"a.b","data":${large}}}` }), 413, 'payload-too-large');

    const list = await api.ask('POST', publishPath, { text: `[{"type":"a.b","data":${large}},{"type":"a.b","data":1},{"type":"?","data":1}]` });
    expect([list.status, (list.body['items'] as { status: string }[]).map(({ status }) => status)]).toEqual([200, ['REFUSED', 'ACCEPTED', 'REFUSED']]);
    expect(list.body['items']).toMatchObject([{ position: null, problem: { status: 413, limitBytes: 256 * 1024 } }, { position: expect.stringMatching(/^\d+$/) }, { problem: { status: 400, errors: [{ path: 'type' }] } }]);

    const headers = await rawRequest('GET', '/health/live', { 'x-long': 'x'.repeat(20_000) });
    expect([headers.status, JSON.parse(headers.text)]).toEqual([431, expect.objectContaining({ type: 'https://countersign.dev/problems/headers-too-large', limitBytes: 16_384 })]);
  });

  it('data of exactly the limit is taken', async () => {
    const answer = await api.ask('POST', publishPath, { text: `{"type":"a.b","data":"${'x'.repeat(256 * 1024 - 2)}"}` });
    expect([answer.status, (answer.body['items'] as { status: string }[])[0]?.status]).toEqual([200, 'ACCEPTED']);
  });

  it('without echoing what was sent', async () => {
    const word = 'never-say-this-again';
    const answers = await Promise.all([
      api.ask('POST', upsertPath, command({ ...upsert, signingSecretRef: `whsec_${word}` })),
      api.ask('POST', upsertPath, command({ ...upsert, targetUrl: `https://user:${word}@example.com/` })),
      api.ask('POST', upsertPath, { headers: key, text: `{"tenant":"${word}` }),
      api.as(`kf_${word}`).get('/api/whoami'),
      api.get(`/api/keys?cursor=${word}`),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.text).not.toContain(word);
    }
  });
});

/** A request with these headers and nothing after them, by a client that lets any be sent. */
const rawRequest = (method: string, path: string, headers: Readonly<Record<string, string>>): Promise<{ readonly status: number; readonly text: string }> =>
  new Promise((resolve, reject) => {
    const asked = request(`${installation.url}${path}`, { method, headers, timeout: 10_000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text });
        asked.destroy();
      });
    });
    asked.on('error', reject);
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)));
    asked.flushHeaders();
    if (method === 'GET') asked.end();
  });

describe('headers', () => {
  it('a replay says so, of a command and of an event, and no first answer does', async () => {
    const asked = { ...command(), headers: { 'idempotency-key': 'replayed' } };
    const answers = [await api.ask('POST', upsertPath, asked), await api.ask('POST', upsertPath, asked), await api.ask('POST', upsertPath, { ...asked, headers: { 'idempotency-key': '"replayed"' } })];
    expect(answers.map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true', 'true']);
    const event = { body: { eventId: 'replayed-event', type: 'a.b', data: 1 } };
    const published = [await api.ask('POST', publishPath, event), await api.ask('POST', publishPath, event)];
    expect(published.map(({ headers }) => [headers.get('idempotency-replayed'), headers.get('idempotency-key')])).toEqual([[null, 'replayed-event'], ['true', 'replayed-event']]);
    const reused = await api.ask('POST', publishPath, { body: { eventId: 'replayed-event', type: 'a.b', data: 2 } });
    isProblem(reused, 422, 'idempotency-key-reused');
  });

  it('an event without an id is given one, which is answered and said not to be idempotent', async () => {
    const { headers, body } = await api.ask('POST', publishPath, { body: { type: 'a.b', data: 1 } });
    const [item] = body['items'] as { eventId: string; idempotent: boolean }[];
    expect([item?.idempotent, headers.get('idempotency-key')]).toEqual([false, item?.eventId]);
  });

  it('the correlation id of the caller is kept, and one is made for who sends none', async () => {
    const given = await api.ask('GET', '/api/nothing', { headers: { 'x-correlation-id': 'cor-42' } });
    expect([given.headers.get('x-correlation-id'), given.body['correlationId']]).toEqual(['cor-42', 'cor-42']);
    const made = await api.ask('GET', '/api/nothing', { headers: { 'x-correlation-id': 'not one"\\' } });
    expect(made.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/);
    await eventually('the log line', () => installation.log.includes('"correlationId":"cor-42"') || undefined);
  });

  it('no answer is kept by a cache', async () => {
    for (const path of ['/api/whoami', '/api/status', '/api/nothing', '/health/live', `/api/approvals?siteId=${demo}`]) expect((await api.get(path)).headers.get('cache-control')).toBe('no-store');
  });

  it('a refusal burns no key: the corrected request with the same key takes effect', async () => {
    const headers = { 'idempotency-key': 'not-burnt' };
    expect((await api.ask('POST', upsertPath, { headers, body: { tenant: demo, actor: sam, payload: { ...upsert, targetUrl: 'https://10.0.0.1/' } } })).status).toBe(422);
    expect((await api.ask('POST', upsertPath, { headers, body: { tenant: demo, actor: sam, payload: upsert } })).body).toMatchObject({ outcome: 'APPLIED', replayed: false });
    isProblem(await api.ask('POST', upsertPath, { headers, body: { tenant: demo, actor: sam, payload: { ...upsert, status: 'PAUSED' } } }), 422, 'idempotency-key-reused');
  });
});

describe('without a key', () => {
  it.each([
    ['/health/live', 'application/json', /"ok"/],
    ['/health/ready', 'application/json', /"ok"/],
    ['/metrics', 'text/plain', /^# HELP /m],
    ['/openapi.yaml', 'application/yaml', /^openapi: 3\.1/m],
  ])('%s is open', async (path, mediaType, content) => {
    const answer = await api.as(null).get(path);
    expect([answer.status, answer.headers.get('content-type')?.split(';')[0]]).toEqual([200, mediaType]);
    expect(answer.text).toMatch(content);
  });

  it('metrics name no tenant', async () => {
    await api.publish('a.b');
    expect((await api.as(null).get('/metrics')).text).not.toContain(demo);
  });

  it('everything else is 401 before anything else is looked at, with how to authenticate', async () => {
    const bare = api.as(null);
    for (const [method = '', path = ''] of closedRoutes) isUnauthenticated(await bare.ask(method, path, method === 'POST' ? { text: 'no JSON' } : {}));
  });
});

/** Every route that needs a key, with something in the place of ids. */
const closedRoutes = Object.entries(routes).filter(([, to]) => to !== 'everybody').map(([route]) => route.replaceAll(/\{\w+\}/g, 'ID').split(' '));

function isUnauthenticated(answer: Answer): void {
  isProblem(answer, 401, 'unauthenticated');
  expect(answer.headers.get('www-authenticate')).toBe('Bearer');
}

describe('tenants are apart', () => {
  const rights = (site: string): readonly string[] => ['read', 'write', 'approve'].map((right) => `site:${site}:${right}`);
  /** What the one tenant has, and the other must not learn of. */
  interface Things {
    readonly subscriptionId: string;
    readonly deliveryId: string;
    readonly eventId: string;
    readonly approvalId: string;
    readonly commandId: string;
  }
  let things: Things;
  let own: Api;
  let foreign: Api;

  beforeAll(async () => {
    own = api.as((await api.newKey({ name: 'own', scopes: rights('tnt_own'), actor: sam }, { tenant: 'tnt_own' })).text);
    await api.newKey({ name: 'approver', scopes: rights('tnt_own'), actor: kim }, { tenant: 'tnt_own' });
    foreign = api.as((await api.newKey({ name: 'foreign', scopes: [...rights('tnt_foreign'), 'site:tnt_own.staging:read'], actor: sam }, { tenant: 'tnt_foreign' })).text);
    await api.newKey({ name: 'approver', scopes: rights('tnt_foreign'), actor: kim }, { tenant: 'tnt_foreign' });
    const tenant = { tenant: 'tnt_own' };
    const created = await own.subscribe(inbox.url('own', () => ({ status: 500 })), 'own.event', {}, tenant);
    const { eventId } = await own.publish('own.event', {}, 'tnt_own');
    const dead = await eventually('the dead letter', async () => (await own.deliveries(created.resourceId, '&status=DEAD_LETTERED', 'tnt_own')).items[0]);
    const approval = await own.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: created.resourceId, expiresOn: new Date(Date.now() + 3_600_000).toISOString() }, tenant);
    things = { subscriptionId: created.resourceId, deliveryId: dead.id, eventId, approvalId: approval.resourceId, commandId: created.commandId };
  });

  const reads = ({ subscriptionId, deliveryId, eventId, approvalId, commandId }: Things, site: string): readonly string[] => [
    `/api/webhooks/${subscriptionId}/deliveries?siteId=${site}`,
    `/api/webhooks/${subscriptionId}/deliveries/${deliveryId}?siteId=${site}`,
    `/api/events/${eventId}?siteId=${site}`,
    `/api/approvals/${approvalId}?siteId=${site}`,
    `/api/commands/${commandId}?siteId=${site}`,
  ];
  const lists = (site: string): readonly string[] => [`/api/approvals?siteId=${site}`, `/api/approval-policies?siteId=${site}`, `/api/approval-policies/PauseWebhookSubscription?siteId=${site}`];
  const unknown: Things = { subscriptionId: 'whs_unknown', deliveryId: 'dlv_unknown', eventId: 'evt_unknown', approvalId: 'apr_unknown', commandId: '00000000-0000-5000-8000-000000000000' };
  const writes = ({ subscriptionId, deliveryId, approvalId }: Things): readonly (readonly [string, object, object?])[] => [
    ['UpsertWebhookSubscription', { ...upsert, webhookSubscriptionId: subscriptionId }],
    ...['Pause', 'Resume', 'Delete', 'Restore'].map((verb) => [`${verb}WebhookSubscription`, { webhookSubscriptionId: subscriptionId }] as const),
    ['RotateWebhookSubscriptionSecret', { webhookSubscriptionId: subscriptionId }],
    ['ReplayWebhookDelivery', { webhookDeliveryId: deliveryId }],
    ['RequestApproval', { commandType: 'PauseWebhookSubscription', resourceId: subscriptionId, expiresOn: new Date(Date.now() + 3_600_000).toISOString() }],
    ['GrantApproval', { approvalId }, { expectedRevision: 0 }],
    ['DenyApproval', { approvalId, reason: 'because' }],
    ['WithdrawApproval', { approvalId }],
    ['RevokeApproval', { approvalId, reason: 'because' }],
    ['PublishEvent', { type: 'a.b', data: 1 }],
  ];
  /** What two answers say, but for what names their request. */
  const said = ({ status, body: { instance: _instance, correlationId: _id, ...rest } }: Answer): unknown => [status, rest];

  it('a tenant reads its own things', async () => {
    for (const path of [...reads(things, 'tnt_own'), ...lists('tnt_own')]) expect([path, (await own.get(path)).status]).toEqual([path, 200]);
  });

  it('another tenant’s site does not exist, on every route: 404, word for word as of a site that nobody has', async () => {
    for (const [path, nowhere] of [...reads(things, 'tnt_own'), ...lists('tnt_own')].map((path) => [path, path.replace('tnt_own', 'tnt_nobody')] as const)) {
      const [answer, none] = [await foreign.get(path), await foreign.get(nowhere)];
      isProblem(answer, 404, 'not-found');
      expect(said(answer)).toEqual(said(none));
    }
    const publish = await foreign.ask('POST', '/api/events?siteId=tnt_own', { body: { type: 'a.b', data: 1 } });
    isProblem(publish, 404, 'not-found');
    for (const [type, payload, more] of writes(things)) {
      const [answer, none] = [await foreign.command(type, payload, { ...more, tenant: 'tnt_own' }), await foreign.command(type, payload, { ...more, tenant: 'tnt_nobody' })];
      isProblem(answer, 404, 'not-found');
      expect([type, said(answer)]).toEqual([type, said(none)]);
      expect((await foreign.command(type, payload, { ...more, tenant: 'tnt_own' }, '?dryRun=true')).status).toBe(404);
    }
  });

  it('another tenant’s things do not exist in one’s own site: word for word as what nobody has', async () => {
    for (const [index, path] of reads(things, 'tnt_foreign').entries()) {
      const [answer, none] = [await foreign.get(path), await foreign.get(reads(unknown, 'tnt_foreign')[index] ?? '')];
      isProblem(answer, 404, 'not-found');
      expect(said(answer)).toEqual(said(none));
    }
    const nobodys = writes(unknown);
    for (const [index, [type, payload, more]] of writes(things).entries()) {
      if (['UpsertWebhookSubscription', 'PublishEvent'].includes(type)) continue;
      const [answer, none] = [await foreign.command(type, payload, { ...more, tenant: 'tnt_foreign' }), await foreign.command(type, nobodys[index]?.[1] ?? {}, { ...more, tenant: 'tnt_foreign' })];
      isProblem(answer, 404, 'not-found');
      const named = (answer: Answer): string => JSON.stringify(said(answer)).replaceAll(/(whs|dlv|apr)_[a-z0-9]+/g, 'ID').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
      expect([type, named(answer)]).toEqual([type, named(none)]);
    }
    const rotated = await foreign.subscribe('https://127.0.0.1:9/', 'a.b', {}, { tenant: 'tnt_foreign' });
    isProblem(await foreign.command('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: rotated.resourceId }, { tenant: 'tnt_foreign', approvalId: things.approvalId }), 404, 'not-found');
  });

  it('environments are sites of their own', async () => {
    expect((await foreign.get(`/api/approvals?siteId=tnt_own.staging`)).status).toBe(200);
    isProblem(await foreign.get(`/api/webhooks/${things.subscriptionId}/deliveries?siteId=tnt_own.staging`), 404, 'not-found');
    expect((await own.get('/api/approvals?siteId=tnt_own.production')).status).toBe(200);
    isProblem(await own.get('/api/approvals?siteId=tnt_own.staging'), 404, 'not-found');
  });

  it('events of one tenant reach no subscription of another', async () => {
    await foreign.subscribe(inbox.url('foreign'), '**', {}, { tenant: 'tnt_foreign' });
    await own.publish('own.event', {}, 'tnt_own');
    await foreign.publish('foreign.event', {}, 'tnt_foreign');
    const [first] = await inbox.arrived('foreign', 1);
    expect(first?.event.type).toBe('foreign.event');
  });

  it('a right that is missing in a site the key knows is 403, and names it', async () => {
    const reader = api.as((await api.newKey({ name: 'reader', scopes: ['site:tnt_own:read'], actor: sam }, { tenant: 'tnt_own' })).text);
    for (const [type, payload, more] of writes(things)) {
      const answer = await reader.command(type, payload, { ...more, tenant: 'tnt_own' });
      isProblem(answer, 403, 'forbidden');
    }
    isProblem(await reader.ask('POST', '/api/events?siteId=tnt_own', { body: { type: 'a.b', data: 1 } }), 403, 'forbidden');
    for (const [method, path] of [['GET', '/api/keys'], ['GET', '/api/projections'], ['POST', '/api/projections/deliveries/rebuild']] as const) isProblem(await own.ask(method, path), 403, 'forbidden');
    for (const [type, payload] of [['CreateApiKey', { name: 'x', scopes: ['admin'], actor: sam }], ['RevokeApiKey', { keyId: 'key_x' }], ['SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true }]] as const) isProblem(await own.command(type, payload, { tenant: 'tnt_own' }), 403, 'forbidden');
    const writer = api.as((await api.newKey({ name: 'writer', scopes: ['site:tnt_own:write'], actor: sam }, { tenant: 'tnt_own' })).text);
    for (const path of reads(things, 'tnt_own')) isProblem(await writer.get(path), 403, 'forbidden');
  });

  it('a bound key speaks for its actor alone', async () => {
    isProblem(await own.command('UpsertWebhookSubscription', upsert, { tenant: 'tnt_own', actor: { type: 'USER', id: 'usr_other' } }), 403, 'actor-not-allowed');
    isProblem(await own.ask('POST', '/api/events?siteId=tnt_own', { headers: { 'kf-actor': 'USER:usr_other' }, body: { type: 'a.b', data: 1 } }), 403, 'actor-not-allowed');
  });
});

describe('a key', () => {
  it('that is none, or malformed, is 401', async () => {
    const { text } = await api.person('usr_once');
    for (const wrong of ['kf_nobody', `${text}x`, text.slice(0, -1), text.toUpperCase(), 'kf_root', installation.server.rootKey.slice(0, -1)]) isUnauthenticated(await api.as(wrong).get('/api/whoami'));
    for (const header of [text, `Basic ${text}`, 'Bearer', `Bearer ${text} ${text}`]) isUnauthenticated(await api.as(null).ask('GET', '/api/whoami', { headers: { authorization: header } }));
    expect((await api.as(null).ask('GET', '/api/whoami', { headers: { authorization: `bearer ${text}` } })).status).toBe(200);
  });

  it('is of no use any more once its revocation is answered, on every route, also in the midst of requests', async () => {
    const { id, text } = await api.person('usr_revoked');
    const revoked = api.as(text);
    for (let count = 0; count < 20; count += 1) expect((await revoked.get('/api/whoami')).status).toBe(200);
    let over = false;
    const busy = Promise.all(Array.from({ length: 4 }, async () => {
      while (!over) await revoked.get('/api/whoami');
    }));
    await api.do('RevokeApiKey', { keyId: id });
    for (const [method = '', path = ''] of closedRoutes) isUnauthenticated(await revoked.ask(method, path));
    over = true;
    await busy;
  });

  it('that has expired is 401', async () => {
    const expiresAtMs = Date.now() + 600;
    const brief = await api.newKey({ name: 'brief', scopes: [`site:${demo}:read`], actor: sam, expiresOn: new Date(expiresAtMs).toISOString() });
    expect((await api.as(brief.text).get('/api/whoami')).status).toBe(200);
    await eventually('its end', async () => ((await api.as(brief.text).get('/api/whoami')).status === 401 ? true : undefined), 3_000);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
  });
});

describe('a dry run', () => {
  it('writes nothing, of no command, and names every unmet condition', async () => {
    const { resourceId } = await api.subscribe('https://127.0.0.1:9/', 'a.b');
    const would = await api.dryRun('PauseWebhookSubscription', { webhookSubscriptionId: resourceId });
    expect(would).toMatchObject({ outcome: 'APPLIED', events: [{ type: 'WebhookSubscriptionPaused' }], unmet: [] });
    expect(await api.dryRun('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: resourceId })).toMatchObject({ outcome: 'REFUSED', unmet: [{ code: 'approval-required' }] });
    expect(await api.dryRun('PublishEvent', { type: 'a.b', data: 1 }, { idempotencyKey: 'dry' })).toMatchObject({ outcome: 'APPLIED' });
    expect(JSON.stringify(await api.dryRun('UpsertWebhookSubscription', { ...upsert, signingSecretRef: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }))).not.toContain('MfKQ9r8');
    for (const path of [`/api/commands/${would.commandId}`, '/api/events/dry']) expect([path, slugOf(await api.get(`${path}?siteId=${demo}`))]).toEqual([path, 'not-found']);
    expect(await api.do('PauseWebhookSubscription', { webhookSubscriptionId: resourceId })).toMatchObject({ outcome: 'APPLIED', revision: 2 });
  });
});
