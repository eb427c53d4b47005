import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { refuse, Secret } from '#kernel';
import { untriedHealth } from '#read-models';
import type { SubscriptionState } from '#subscriptions';
import { commandAnswer, type Sent, type Shell, startShell } from '../../../test/support/http-shell.ts';
import type { CurrentState } from '../parts.ts';

const site = { tenant: 'acme', environment: 'production' };
const orders: Exclude<SubscriptionState, { status: 'NONE' }> = {
  status: 'ACTIVE',
  eventPattern: 'version.*,claim.**',
  targetUrl: 'https://hooks.example.com/orders',
  deliveryMode: 'AT_LEAST_ONCE',
  description: null,
  incarnation: 'i1',
  secret: { versionId: 'sec_1', kind: 'managed', fingerprint: 'f' },
  previousSecret: null,
  secretVersionIds: ['sec_1'],
  lastDeletedPosition: null,
  createdAtMs: 0,
  updatedAtMs: 0,
};
const delivery = { id: 'dlv_1', subscriptionId: 'orders', eventId: 'e1', eventType: 'version.published', status: 'PENDING', reason: null, attempts: 1, nextAttemptAt: null, createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' } as const;

const current: CurrentState = {
  head: () => Promise.resolve('10'),
  approval: () => Promise.resolve(undefined),
  policy: () => Promise.reject(new Error('no policy in this test')),
  command: () => Promise.resolve(undefined),
  subscription: (where, id) => Promise.resolve(where.tenant === 'acme' && id === 'orders' ? { state: orders, revision: 7 } : undefined),
  delivery: (_where, id) => Promise.resolve(id === 'dlv_1' ? delivery : undefined),
  recovery: () => Promise.resolve(undefined),
  wireBody: () => Promise.resolve(null),
};

let shell: Shell;
let healthFails = false;
let listed: unknown[] = [];
beforeAll(async () => {
  const emptyPage = { items: [], nextCursor: null };
  const page = (list: object): Promise<typeof emptyPage> => {
    listed.push(list);
    return Promise.resolve(emptyPage);
  };
  shell = await startShell({
    current,
    reads: {
      apiKeyById: (keyId) => Promise.resolve(shell.keys.get(keyId)),
      listApiKeys: () => Promise.resolve(emptyPage),
      listApprovals: () => Promise.resolve(emptyPage),
      listSubscriptions: page,
      listRecoveries: page,
      subscriptionHealth: () => (healthFails ? Promise.reject(new Error('no read model in this test')) : Promise.resolve({ ...untriedHealth, consecutiveFailures: 3 })),
      listDeliveries: page,
      delivery: () => Promise.resolve(undefined),
      transcripts: () => Promise.resolve([]),
      event: () => Promise.resolve(undefined),
    },
  });
});
afterAll(() => shell.close());
beforeEach(() => {
  shell.commands.length = 0;
  shell.answerCommand = commandAnswer;
  healthFails = false;
  listed = [];
});

const ask = (method: string, path: string, options: Parameters<Shell['send']>[2] = {}): Promise<Sent> => shell.send(method, `${path}${path.includes('?') ? '&' : '?'}siteId=acme`, options);
const create = { url: 'https://hooks.example.com/orders', events: ['version.*', 'claim.**'] };
const slug = ({ body }: Sent): string => String(body['type']).replace('https://countersign.dev/problems/', '');
const paths = ({ body }: Sent): unknown => (body['errors'] as { path: string }[]).map(({ path }) => path);

describe('POST /api/webhooks', () => {
  it('is an upsert of a new subscription that says what the request said; 201 with its place, its tag and its secret', async () => {
    shell.answerCommand = (request) => ({ ...commandAnswer(request), secret: new Secret('whsec_once') });
    const { status, headers, body } = await ask('POST', '/api/webhooks', { body: { ...create, description: 'Orders' }, headers: { 'idempotency-key': 'k1', 'kf-actor': 'USER:sam' } });
    expect(status).toBe(201);
    expect(headers).toMatchObject({ location: '/api/webhooks/orders?siteId=acme', etag: '"7"', 'idempotency-key': 'k1', 'cache-control': 'no-store' });
    expect(headers['idempotency-replayed']).toBeUndefined();
    expect(shell.commands).toMatchObject([{ commandType: 'UpsertWebhookSubscription', site, idempotencyKey: 'k1', actor: { type: 'USER', id: 'sam' } }]);
    expect(shell.commands[0]?.payload).toStrictEqual({ targetUrl: create.url, eventPattern: 'version.*,claim.**', description: 'Orders' });
    expect(body).toMatchObject({ commandId: expect.any(String), outcome: 'APPLIED', revision: 1, position: '10', secret: 'whsec_once' });
    expect(body['subscription']).toMatchObject({ id: 'orders', siteId: 'acme', events: ['version.*', 'claim.**'], url: create.url, status: 'ACTIVE', health: { lastSuccessAt: null, consecutiveFailures: 0 }, revision: 7 });
  });

  it('takes a timeout of 1 to 30 s, and shows 15 s where there is none', async () => {
    const { body } = await ask('POST', '/api/webhooks', { body: { ...create, timeoutMs: 5_000 } });
    expect(shell.commands[0]?.payload).toMatchObject({ timeoutMs: 5_000 });
    expect(body['subscription']).toMatchObject({ timeoutMs: 15_000 });
    for (const timeoutMs of [999, 30_001, 1_500.5, '5000']) {
      const refused = await ask('POST', '/api/webhooks', { body: { ...create, timeoutMs } });
      expect([refused.status, refused.body['errors']]).toEqual([400, [{ path: 'timeoutMs', message: 'must be a whole number from 1000 to 30000' }]]);
    }
    expect(shell.commands).toHaveLength(1);
  });

  it('takes a rate limit of 1 to 1000 a second', async () => {
    for (const rateLimit of [1, 1_000, null]) {
      await ask('POST', '/api/webhooks', { body: { ...create, rateLimit } });
      expect(shell.commands.at(-1)?.payload).toMatchObject({ rateLimit });
    }
    for (const rateLimit of [0, 1_001, 1.5, '10', '10/s']) {
      const refused = await ask('POST', '/api/webhooks', { body: { ...create, rateLimit } });
      expect([refused.status, refused.body['errors']]).toEqual([400, [{ path: 'rateLimit', message: 'must be a whole number from 1 to 1000' }]]);
    }
    expect(shell.commands).toHaveLength(3);
  });

  it.each(['0s,5s,5m', ['0s', '5s', '5m']])('takes a retry schedule as %j', async (retrySchedule) => {
    await ask('POST', '/api/webhooks', { body: { ...create, retrySchedule } });
    expect(shell.commands[0]?.payload).toMatchObject({ retrySchedule: '0s,5s,5m' });
  });

  it.each([[''], [[]], ['5s'], ['0s,5'], ['0s,8d'], [['0s', '5s,5s']], [[0, 5]], [5], [Array.from({ length: 31 }, () => '0s')], [{ pauses: '0s' }]])('refuses %j as a retry schedule', async (retrySchedule) => {
    const { status, body } = await ask('POST', '/api/webhooks', { body: { ...create, retrySchedule } });
    expect([status, body['errors']]).toEqual([400, [{ path: 'retrySchedule', message: expect.stringContaining('1 to 30 attempts, the first 0s, at most 7d between two') }]]);
    expect(shell.commands).toHaveLength(0);
  });

  it('takes headers, names them in its answer, and shows no value', async () => {
    for (const headers of [{ 'X-Api-Key': 'a value of its own' }, { 'X-Empty': '' }, {}, null]) {
      shell.commands.length = 0;
      expect((await ask('POST', '/api/webhooks', { body: { ...create, headers } })).status).toBe(201);
      expect(shell.commands[0]?.payload).toMatchObject({ headers });
    }
  });

  it.each([
    [{ 'X-Forwarded-For': 'value' }, 'must not have the reserved name x-forwarded-for'],
    [{ 'x key': 'value' }, "must have names of 1 to 128 letters, digits and !#$%&'*+-.^_`|~, beginning with a letter or digit"],
    [{ 'x-key': 'value\r\nhost: a' }, 'must have a value of visible Latin-1 characters for x-key, with blanks and tabs only between them'],
    [{ 'X-Key': 'value', 'x-key': 'value' }, 'must not have x-key twice: capitals make no other header of it'],
    [Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`x-${n}`, 'value'])), 'must be at most 20, not 21'],
    [{ 'x-key': 'value'.repeat(1_000) }, 'must have at most 4096 bytes of names and values together, not 5005'],
    [{ 'x-key': 7 }, 'must be a JSON object of at most 20 headers with a text each, such as {"X-Api-Key": "…"}'],
    [['x-key: value'], 'must be a JSON object of at most 20 headers with a text each, such as {"X-Api-Key": "…"}'],
    ['value', 'must be a JSON object of at most 20 headers with a text each, such as {"X-Api-Key": "…"}'],
  ])('refuses the headers %j, saying what would be right and no value', async (headers, message) => {
    const { status, body } = await ask('POST', '/api/webhooks', { body: { ...create, headers } });
    expect([status, body['errors']]).toEqual([400, [{ path: 'headers', message }]]);
    expect(JSON.stringify(body).replaceAll('a value of', '')).not.toMatch(/value(?!s)/);
    expect(shell.commands).toHaveLength(0);
  });

  it('takes a filter of at most 1000 characters; what it says is for the command', async () => {
    for (const filter of ['data.amount > 100', 'x'.repeat(1_000), null]) {
      shell.commands.length = 0;
      expect((await ask('POST', '/api/webhooks', { body: { ...create, filter } })).status).toBe(201);
      expect(shell.commands[0]?.payload).toMatchObject({ filter });
    }
    for (const filter of ['', ' ', 'x'.repeat(1_001), 5, { amount: 100 }]) {
      const { status, body } = await ask('POST', '/api/webhooks', { body: { ...create, filter } });
      expect([status, body['errors']]).toEqual([400, [{ path: 'filter', message: 'must be text of 1 to 1000 characters that is not blank' }]]);
    }
    expect(shell.commands).toHaveLength(1);
  });

  it('takes labels', async () => {
    const most = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`${n}._-${'n'.repeat(55)}`, '!'.repeat(255)]));
    for (const labels of [{ team: 'orders' }, {}, null, most]) {
      shell.commands.length = 0;
      expect((await ask('POST', '/api/webhooks', { body: { ...create, labels } })).status).toBe(201);
      expect(shell.commands[0]?.payload).toMatchObject({ labels });
    }
  });

  it.each([
    [['team']], ['team=orders'], [{ Team: 'orders' }], [{ '-team': 'orders' }], [{ '': 'orders' }], [{ team: '' }], [{ team: 1 }], [{ team: 'the orders' }], [{ team: 'x'.repeat(256) }], [{ ['n'.repeat(64)]: 'x' }],
    [Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`n${n}`, 'x']))], [JSON.parse('{"__proto__":"x"}') as object],
  ])('refuses %j as labels', async (labels) => {
    const { status, body } = await ask('POST', '/api/webhooks', { body: { ...create, labels } });
    expect([status, body['errors']]).toEqual([400, [{ path: 'labels', message: expect.stringContaining('must be a JSON object of at most 20 labels') }]]);
    expect(shell.commands).toHaveLength(0);
  });

  it('shows the secret also when no read model answers', async () => {
    healthFails = true;
    shell.answerCommand = (request) => ({ ...commandAnswer(request), secret: new Secret('whsec_once') });
    expect((await ask('POST', '/api/webhooks', { body: create })).body).toMatchObject({ secret: 'whsec_once' });
  });

  it('replayed says so, without the secret, and as it fares now', async () => {
    shell.answerCommand = (request) => ({ ...commandAnswer(request), replayed: true });
    const { status, headers, body } = await ask('POST', '/api/webhooks', { body: create, headers: { 'idempotency-key': '"k1"' } });
    expect([status, headers['idempotency-key'], headers['idempotency-replayed'], body['secret']]).toEqual([201, 'k1', 'true', null]);
    expect(body['subscription']).toMatchObject({ health: { consecutiveFailures: 3 } });
  });

  it('makes a key of its own when none is sent, another each time, and tells it also with a refusal', async () => {
    const made = [await ask('POST', '/api/webhooks', { body: create }), await ask('POST', '/api/webhooks', { body: create })].map(({ headers }) => headers['idempotency-key']);
    expect(made).toEqual([expect.stringMatching(/^idk_[0-9a-z]{26}$/), expect.stringMatching(/^idk_[0-9a-z]{26}$/)]);
    expect(new Set(made).size).toBe(2);
    shell.answerCommand = () => refuse('outcome-unknown', 'It is not known.');
    const refused = await ask('POST', '/api/webhooks', { body: create });
    expect([refused.status, refused.headers['idempotency-key'], refused.headers['retry-after']]).toEqual([503, shell.commands[2]?.idempotencyKey, '1']);
  });

  it.each(['version.*,claim.**', ['version.*', 'claim.**']])('takes events as %j', async (events) => {
    await ask('POST', '/api/webhooks', { body: { ...create, events } });
    expect(shell.commands[0]?.payload['eventPattern']).toBe('version.*,claim.**');
  });

  it.each([[''], ['version.*,'], ['version.*, claim.**'], [[]], [['']], [['version.*', '']], [['version.* ']], [['version.*,claim.**']], [['Version']], [[7]], [7], [null], [Array.from({ length: 200 }, () => 'aaaaaaaa.bbbb')]])('refuses events %j', async (events) => {
    const answer = await ask('POST', '/api/webhooks', { body: { ...create, events } });
    expect([answer.status, slug(answer), paths(answer)]).toEqual([400, 'validation-failed', ['events']]);
    expect(shell.commands).toEqual([]);
  });

  it.each([
    [{ events: ['a'] }, ['url']],
    [{ ...create, url: 'orders' }, ['url']],
    [{ ...create, deliveryMode: 'ONCE', status: 'DELETED', description: ' ' }, ['description', 'deliveryMode', 'status']],
    [{ ...create, signingSecretRef: 'env:PATH' }, ['signingSecretRef']],
    [{ ...create, event: 'a' }, ['event']],
    [{ ...create, approvalId: 'APR' }, ['approvalId']],
    ['{"url":"https://a.example","url":"https://b.example","events":"a"}', ['url']],
    ['[]', ['']],
    ['{', ['']],
    [undefined, ['']],
  ])('names what is wrong with %j', async (body, wrong) => {
    const answer = await ask('POST', '/api/webhooks', { body });
    expect([answer.status, slug(answer), [...(paths(answer) as string[])].sort()]).toEqual([400, 'validation-failed', [...wrong].sort()]);
    expect(shell.commands).toEqual([]);
  });

  it('says a refusal of a member by the name it has here', async () => {
    shell.answerCommand = () => refuse('validation-failed', 'no', { errors: [{ path: 'payload.signingSecretRef', message: 'no' }] });
    expect((await ask('POST', '/api/webhooks', { body: create })).body['errors']).toEqual([{ path: 'signingSecretRef', message: 'no' }]);
  });

  it('takes the approval from the query or from the body, and from both only when they agree', async () => {
    await ask('POST', '/api/webhooks?approvalId=apr_1', { body: create });
    await ask('POST', '/api/webhooks', { body: { ...create, approvalId: 'apr_1' } });
    await ask('POST', '/api/webhooks?approvalId=apr_1', { body: { ...create, approvalId: 'apr_1' } });
    expect(shell.commands.map(({ approvalId, payload }) => [approvalId, payload['approvalId']])).toEqual([1, 2, 3].map(() => ['apr_1', undefined]));
    for (const answer of [await ask('POST', '/api/webhooks?approvalId=apr_2', { body: { ...create, approvalId: 'apr_1' } }), await ask('POST', '/api/webhooks?approvalId=A', { body: create })]) {
      expect([answer.status, paths(answer)]).toEqual([400, ['approvalId']]);
    }
  });
});

describe('GET /api/webhooks', () => {
  it('leaves deleted ones out unless it is asked for them', async () => {
    expect((await ask('GET', '/api/webhooks')).body).toEqual({ items: [], nextCursor: null });
    await ask('GET', '/api/webhooks?includeDeleted=true&label=tier%3Da%3Db&limit=3&cursor=abc');
    expect(listed).toEqual([{ site, includeDeleted: false, limit: 50 }, { site, includeDeleted: true, label: ['tier', 'a=b'], limit: 3, cursor: 'abc' }]);
    for (const label of ['', 'team', 'team=', 'Team=a', 'team=a%20b']) expect(paths(await ask('GET', `/api/webhooks?label=${label}`))).toEqual(['label']);
    expect(listed).toHaveLength(2);
    expect(paths(await ask('GET', '/api/webhooks?includeDeleted=yes'))).toEqual(['includeDeleted']);
  });

  it('of one folds its stream and answers its tag', async () => {
    const { status, headers, body } = await ask('GET', '/api/webhooks/orders');
    expect([status, headers['etag']]).toEqual([200, '"7"']);
    expect(body).toEqual({
      id: 'orders', siteId: 'acme', events: ['version.*', 'claim.**'], filter: null, url: 'https://hooks.example.com/orders', description: null, deliveryMode: 'AT_LEAST_ONCE', timeoutMs: 15_000, retrySchedule: null, rateLimit: null, labels: {}, headers: {}, status: 'ACTIVE', pausedReason: null,
      secret: { kind: 'managed', versionId: 'sec_1', graceUntil: null },
      health: { lastSuccessAt: null, consecutiveFailures: 3, oldestUndeliveredAt: null, missedWhilePaused: 0 },
      revision: 7, createdAt: '1970-01-01T00:00:00.000Z', updatedAt: '1970-01-01T00:00:00.000Z', purgeAt: null,
    });
  });
});

const changes: readonly (readonly [string, string, object | undefined, string])[] = [
  ['PATCH', '', { status: 'PAUSED' }, 'UpsertWebhookSubscription'],
  ['DELETE', '', undefined, 'DeleteWebhookSubscription'],
  ['POST', '/restore', undefined, 'RestoreWebhookSubscription'],
  ['POST', '/rotate-secret', undefined, 'RotateWebhookSubscriptionSecret'],
];

describe('a change of a subscription', () => {
  it.each(changes)('%s %s is one command on it, held to If-Match, and answers it as it is now', async (method, path, body, commandType) => {
    const { status, headers, body: answered } = await ask(method, `/api/webhooks/orders${path}?approvalId=apr_1`, { body, headers: { 'if-match': '"6", "7"' } });
    expect([status, headers['etag'], typeof headers['idempotency-key']]).toEqual([200, '"7"', 'string']);
    expect(shell.commands).toMatchObject([{ commandType, site, expectedRevision: [6, 7], approvalId: 'apr_1', payload: { webhookSubscriptionId: 'orders' } }]);
    expect(answered).toMatchObject({ outcome: 'APPLIED', revision: 1, position: '10', subscription: { id: 'orders', revision: 7, health: { consecutiveFailures: 3 } } });
  });

  it.each(changes)('%s %s of what is not there is 404, whatever the request demands of it', async (method, path, body) => {
    for (const id of ['nobody', 'No%20Name', '..', 'x'.repeat(200)]) {
      const answer = await ask(method, `/api/webhooks/${encodeURIComponent(id)}${path}`, { body, headers: { 'if-match': '"1"' } });
      expect([id, answer.status, slug(answer)]).toEqual([id, 404, 'not-found']);
    }
    expect(shell.commands).toEqual([]);
  });

  it.each(changes)('%s %s that can\'t be answered is not done', async (method, path, body) => {
    healthFails = true;
    expect((await ask(method, `/api/webhooks/orders${path}`, { body })).status).toBe(500);
    expect(shell.commands).toEqual([]);
  });

  it.each(changes)('%s %s with a malformed If-Match is 400', async (method, path, body) => {
    const answer = await ask(method, `/api/webhooks/orders${path}`, { body, headers: { 'if-match': '7' } });
    expect([answer.status, paths(answer)]).toEqual([400, ['If-Match']]);
    expect(shell.commands).toEqual([]);
  });

  it.each(changes)('%s %s says an unknown member of the body', async (method, path) => {
    expect(paths(await ask(method, `/api/webhooks/orders${path}`, { body: { colour: 'red' } }))).toEqual(['colour']);
    expect(shell.commands).toEqual([]);
  });
});

describe('PATCH /api/webhooks/{id}', () => {
  it('says of the subscription what the body says, and nothing else', async () => {
    await ask('PATCH', '/api/webhooks/orders', { body: { events: 'a.b', description: null } });
    expect(shell.commands[0]?.payload).toStrictEqual({ webhookSubscriptionId: 'orders', eventPattern: 'a.b', description: null });
  });

  it.each([{}, { approvalId: 'apr_1' }])('that changes nothing (%j) is told what may be changed', async (body) => {
    const answer = await ask('PATCH', '/api/webhooks/orders', { body });
    expect([answer.status, answer.body['detail']]).toEqual([400, 'the body must say what to change: url, events, filter, description, deliveryMode, timeoutMs, retrySchedule, rateLimit, labels, headers or status.']);
    expect(answer.body['errors']).toEqual([{ path: '', message: expect.stringContaining('deliveryMode') }]);
  });

  it('does not know the secret', async () => expect(paths(await ask('PATCH', '/api/webhooks/orders', { body: { signingSecretRef: 'managed' } }))).toEqual(['signingSecretRef']));
});

describe('POST /api/webhooks/{id}/rotate-secret', () => {
  it('answers the new secret once, and takes the window and the caller’s own secret', async () => {
    shell.answerCommand = (request) => ({ ...commandAnswer(request), secret: new Secret('whsec_once') });
    expect((await ask('POST', '/api/webhooks/orders/rotate-secret', { body: { graceSeconds: 0, signingSecretRef: 'file:orders' } })).body['secret']).toBe('whsec_once');
    expect(shell.commands[0]?.payload).toStrictEqual({ webhookSubscriptionId: 'orders', graceSeconds: 0, signingSecretRef: 'file:orders' });
  });

  it.each([{ graceSeconds: -1 }, { graceSeconds: 604_801 }, { graceSeconds: '60' }])('refuses %j', async (body) => expect(paths(await ask('POST', '/api/webhooks/orders/rotate-secret', { body }))).toEqual(['graceSeconds']));

  it('refused for want of an approval carries the request for one as it came', async () => {
    const approvalRequest = { tenant: 'acme', environment: 'production', actor: { type: 'USER', id: 'sam' }, payload: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'orders', expiresOn: '2026-11-03T14:00:00Z' } };
    const members = { approvalRequest, candidates: [], unmet: [{ code: 'approval-required', detail: 'It needs one.' }] };
    shell.answerCommand = () => refuse('approval-required', 'no', members);
    expect(await ask('POST', '/api/webhooks/orders/rotate-secret')).toMatchObject({ status: 403, body: members });
  });
});

describe('POST /api/webhooks/{id}/deliveries/{deliveryId}/retry', () => {
  it('replays also what was delivered, and answers the delivery as it is now', async () => {
    const { status, body } = await ask('POST', '/api/webhooks/orders/deliveries/dlv_1/retry', { body: { resetAttempts: true } });
    expect(shell.commands).toMatchObject([{ commandType: 'ReplayWebhookDelivery', payload: { webhookDeliveryId: 'dlv_1', includeDelivered: true, resetAttempts: true } }]);
    expect([status, body['delivery'], body['outcome']]).toEqual([200, delivery, 'APPLIED']);
    await ask('POST', '/api/webhooks/orders/deliveries/dlv_1/retry');
    expect(shell.commands[1]?.payload).toStrictEqual({ webhookDeliveryId: 'dlv_1', includeDelivered: true });
  });

  it.each(['/api/webhooks/other/deliveries/dlv_1/retry', '/api/webhooks/orders/deliveries/dlv_2/retry'])('%s is 404: there is no such delivery of it', async (path) => {
    expect((await ask('POST', path)).status).toBe(404);
    expect(shell.commands).toEqual([]);
  });
});

describe('GET /api/deliveries', () => {
  it('takes a status, an event and a time', async () => {
    await ask('GET', '/api/deliveries?status=DEAD_LETTERED&eventId=e%201&since=2026-01-01T00:00:00Z&limit=3');
    expect(listed).toEqual([{ site, status: 'DEAD_LETTERED', eventId: 'e 1', sinceMs: Date.UTC(2026, 0, 1), limit: 3 }]);
  });

  it.each([['status=LOST', 'status'], ['since=yesterday', 'since'], ['since=2026-01-01T00:00:00', 'since'], ['limit=0', 'limit']])('refuses ?%s', async (query, path) => expect(paths(await ask('GET', `/api/deliveries?${query}`))).toEqual([path]));
});
