import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type Answer, type Api, type Body, kim, sam, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';

jest.setTimeout(30_000);

/** The site of these tests. */
const siteId = 'acme.staging';
const place = { tenant: 'acme', environment: 'staging' };

let installation: Installation;
let inbox: Inbox;
let root: Api;
/** Sam and Kim with keys of their own. */
let asSam: Api;
let asKim: Api;

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s' });
  root = installation.root;
  asSam = root.as((await root.person(sam.id, siteId)).text);
  asKim = root.as((await root.person(kim.id, siteId)).text);
}, 60_000);
afterAll(async () => {
  await inbox?.close();
  await installation?.end();
});

type More = { readonly body?: unknown; readonly key?: string; readonly ifMatch?: string; readonly api?: Api };

function ask(method: string, path: string, { body, key, ifMatch, api = asSam }: More = {}): Promise<Answer> {
  const headers = { ...(key === undefined ? {} : { 'idempotency-key': key }), ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) };
  return api.ask(method, `${path}${path.includes('?') ? '&' : '?'}siteId=${siteId}`, { headers, ...(body === undefined ? {} : { body }) });
}

/** The same, and it must succeed. */
async function must(method: string, path: string, more: More = {}): Promise<Body> {
  const answer = await ask(method, path, more);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}

type Subscription = Body & { readonly id: string; readonly revision: number };
const subscriptionOf = (body: Body): Subscription => body['subscription'] as Subscription;
const wireOf = (box: string, more: object = {}): object => ({ url: inbox.url(box), events: [`${box}.**`], ...more });

async function created(box: string, more: object = {}): Promise<Subscription & { readonly secret: string }> {
  const body = await must('POST', '/api/webhooks', { body: wireOf(box, more) });
  return { ...subscriptionOf(body), secret: String(body['secret']) };
}

const fail = (answer: Answer): readonly [number, string] => [answer.status, slugOf(answer)];

async function grant(refused: Answer): Promise<string> {
  const template = refused.body['approvalRequest'] as { readonly payload: object };
  const asked = await asSam.do('RequestApproval', template.payload, place);
  await asKim.do('GrantApproval', { approvalId: asked.resourceId }, { ...place, actor: kim, expectedRevision: asked.revision });
  return asked.resourceId;
}

describe('a subscription made over REST', () => {
  it('is answered 201 with its place, its tag and its secret, once; a retry with the same key answers the same without it', async () => {
    const first = await ask('POST', '/api/webhooks', { body: wireOf('made', { description: 'Orders' }), key: 'make-1' });
    const { id, ...rest } = subscriptionOf(first.body);
    expect([first.status, first.headers.get('location'), first.headers.get('etag'), first.headers.get('idempotency-key'), first.headers.get('idempotency-replayed'), first.headers.get('cache-control')])
      .toEqual([201, `/api/webhooks/${id}?siteId=${siteId}`, '"1"', 'make-1', null, 'no-store']);
    expect(id).toMatch(/^whs_[a-z0-9]{26}$/);
    expect(rest).toEqual({
      siteId, events: ['made.**'], filter: null, url: inbox.url('made'), description: 'Orders', deliveryMode: 'AT_LEAST_ONCE', timeoutMs: 15_000, retrySchedule: null, rateLimit: null, labels: {}, headers: {}, status: 'ACTIVE', pausedReason: null,
      secret: { kind: 'managed', versionId: expect.any(String), graceUntil: null },
      health: { lastSuccessAt: null, consecutiveFailures: 0, oldestUndeliveredAt: null, missedWhilePaused: 0 },
      revision: 1, createdAt: expect.any(String), updatedAt: expect.any(String), purgeAt: null,
    });
    expect(first.body).toMatchObject({ secret: expect.stringMatching(/^whsec_/), commandId: expect.any(String), outcome: 'APPLIED', revision: 1, position: expect.any(String) });

    const again = await ask('POST', '/api/webhooks', { body: wireOf('made', { description: 'Orders' }), key: 'make-1' });
    expect([again.status, again.headers.get('idempotency-replayed'), again.headers.get('location')]).toEqual([201, 'true', first.headers.get('location')]);
    expect(again.body).toEqual({ ...first.body, secret: null });
    expect(fail(await ask('POST', '/api/webhooks', { body: wireOf('made'), key: 'make-1' }))).toEqual([422, 'idempotency-key-reused']);
    expect(await must('GET', `/api/webhooks?waitFor=${String(first.body['position'])}`)).toMatchObject({ items: [{ id }] });
  });

  it('can be got with the key that was made for it, when none was sent', async () => {
    const first = await ask('POST', '/api/webhooks', { body: wireOf('keyless') });
    const key = first.headers.get('idempotency-key') ?? '';
    const again = await ask('POST', '/api/webhooks', { body: wireOf('keyless'), key });
    expect(subscriptionOf(again.body).id).toBe(subscriptionOf(first.body).id);
  });

  it('waits for an answer as long as it says, tries again as often as it says, and keeps its labels', async () => {
    const closing = Promise.withResolvers<object>();
    const options = { timeoutMs: 1_000, retrySchedule: ['0s', '100ms'], labels: { team: 'orders' } };
    const made = await must('POST', '/api/webhooks', { body: { url: inbox.url('silent', () => closing.promise), events: ['silent.**'], ...options } });
    const { id, ...shown } = subscriptionOf(made);
    expect(shown).toMatchObject(options);
    const { eventId } = await root.publishOne({ type: 'silent.now', data: 1 }, siteId);
    const dead = await eventually('the end of its attempts', async () => ((await must('GET', `/api/deliveries?status=DEAD_LETTERED&eventId=${eventId}`))['items'] as Body[])[0]);
    closing.resolve({});
    const { transcripts } = await must('GET', `/api/webhooks/${id}/deliveries/${String(dead['id'])}`);
    expect(transcripts).toMatchObject([1, 2].map((attempt) => ({ attempt, error: 'timeout' })));
    for (const { durationMs } of transcripts as { durationMs: number }[]) expect([durationMs >= 990, durationMs < 5_000]).toEqual([true, true]);

    const back = await must('PATCH', `/api/webhooks/${id}`, { body: { timeoutMs: null, retrySchedule: null } });
    expect(subscriptionOf(back)).toMatchObject({ timeoutMs: 15_000, retrySchedule: null, labels: { team: 'orders' } });
  });

  it('has headers of its own in every request, a test too, as they are when it starts, and shows their names alone', async () => {
    const { id, secret } = await created('own-headers', { headers: { 'X-Api-Key': 'the first value', Authorization: 'Bearer of-it' } });
    expect(await must('GET', `/api/webhooks/${id}`)).toMatchObject({ headers: { 'x-api-key': '[redacted]', authorization: '[redacted]' } });
    const { eventId } = await root.publishOne({ type: 'own-headers.now', data: 1 }, siteId);
    const [request] = await inbox.arrived('own-headers', 1);
    expect(request?.headers).toMatchObject({ 'x-api-key': 'the first value', authorization: 'Bearer of-it', 'content-type': 'application/json' });
    expect(new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)).toMatchObject({ type: 'own-headers.now' });
    const done = await eventually('the delivery', async () => ((await must('GET', `/api/deliveries?status=DELIVERED&eventId=${eventId}`))['items'] as Body[])[0]);
    const { transcripts } = await must('GET', `/api/webhooks/${id}/deliveries/${String(done['id'])}`);
    expect(transcripts).toMatchObject([{ request: { headers: { 'x-api-key': '[redacted]', authorization: '[redacted]' } } }]);

    const kept = await must('PATCH', `/api/webhooks/${id}`, { body: { headers: { 'x-api-key': 'another value', authorization: '[redacted]' } } });
    expect(subscriptionOf(kept)).toMatchObject({ revision: 2, headers: { 'x-api-key': '[redacted]', authorization: '[redacted]' } });
    await must('POST', `/api/webhooks/${id}/test`, { body: { event: 'own-headers.test' } });
    expect((await inbox.arrived('own-headers', 2))[1]?.headers).toMatchObject({ 'x-api-key': 'another value', authorization: 'Bearer of-it' });

    expect(subscriptionOf(await must('PATCH', `/api/webhooks/${id}`, { body: { headers: {} } }))).toMatchObject({ revision: 3, headers: {} });
    await root.publishOne({ type: 'own-headers.now', data: 3 }, siteId);
    const last = (await inbox.arrived('own-headers', 3))[2];
    for (const name of ['x-api-key', 'authorization']) expect(last?.headers).not.toHaveProperty(name);
  });

  it('gets of the events of its patterns those that its filter wants, and audit says why it did not get another', async () => {
    const { id } = await created('filtered', { filter: 'data.amount > 100 && data.items.exists(item, item.sku.startsWith("x-"))' });
    const data = { amount: 200, items: [{ sku: 'y-1' }, { sku: 'x-1' }] };
    const small = await root.publishOne({ type: 'filtered.now', data: { ...data, amount: 100 } }, siteId);
    const untold = await root.publishOne({ type: 'filtered.now', data: { amount: 200 } }, siteId);
    await root.publishOne({ type: 'filtered.now', data }, siteId);
    const [request] = await inbox.arrived('filtered', 1);
    expect(JSON.parse(request?.body ?? '')).toMatchObject({ data });
    const explained = async (eventId: string): Promise<Body> => must('GET', `/api/audit/explanations?eventId=${eventId}&webhookSubscriptionId=${id}`, { api: root });
    expect(await explained(small.eventId)).toMatchObject({ code: 'filter-mismatch', sentence: expect.stringContaining('is not true of its data') });
    expect(await explained(untold.eventId)).toMatchObject({ code: 'filter-mismatch', sentence: expect.stringContaining('cannot be told of its data (there is no field "items")') });

    const refused = await ask('PATCH', `/api/webhooks/${id}`, { body: { filter: 'data.amount > 100 && total > 3' } });
    expect([...fail(refused), refused.body['errors']]).toEqual([400, 'validation-failed', [{ path: expect.stringContaining('filter'), message: expect.stringContaining('is wrong at character 22: total is unknown') }]]);
    expect(subscriptionOf(await must('PATCH', `/api/webhooks/${id}`, { body: { filter: null } }))).toMatchObject({ filter: null });
    await root.publishOne({ type: 'filtered.now', data: 'anything' }, siteId);
    await inbox.arrived('filtered', 2);
  });

  it('gets the events of its patterns, signed with the secret that was shown, and its health says so', async () => {
    const { id, secret } = await created('signed');
    const { position } = await root.publishOne({ type: 'signed.now', data: { n: 1 } }, siteId);
    const [request] = await inbox.arrived('signed', 1);
    expect(new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)).toMatchObject({ type: 'signed.now', data: { n: 1 } });
    expect(Number(position)).toBeGreaterThan(0);
    await eventually('its success', async () => (((await must('GET', `/api/webhooks/${id}`))['health'] as { lastSuccessAt: string | null }).lastSuccessAt === null ? undefined : true));
  });

  it('is the same thing on the command surface, in both directions', async () => {
    const { id } = await created('shared', { events: 'shared.a,shared.b' });
    const paused = await asSam.do('PauseWebhookSubscription', { webhookSubscriptionId: id }, place);
    const got = await ask('GET', `/api/webhooks/${id}`);
    expect([got.headers.get('etag'), got.body['status'], got.body['pausedReason'], got.body['events']]).toEqual([`"${paused.revision}"`, 'PAUSED', 'requested', ['shared.a', 'shared.b']]);
    await asSam.subscribe(inbox.url('shared'), 'shared.c', { webhookSubscriptionId: 'by-command' }, place);
    expect(subscriptionOf(await must('PATCH', '/api/webhooks/by-command', { body: { events: ['shared.d'] } }))).toMatchObject({ events: ['shared.d'], revision: 2 });
    const { position, resourceId } = await asSam.do('ResumeWebhookSubscription', { webhookSubscriptionId: 'by-command' }, place);
    const { items } = (await must('GET', `/api/webhooks?waitFor=${position}`)) as unknown as { items: Subscription[] };
    expect(items.find((one) => one.id === resourceId)).toEqual(await must('GET', `/api/webhooks/${resourceId}`));
  });

  it('is listed newest first, in pages', async () => {
    const older = await created('paged-1');
    const newer = await created('paged-2');
    const { position } = await asSam.do('PauseWebhookSubscription', { webhookSubscriptionId: newer.id }, place);
    const first = (await must('GET', `/api/webhooks?limit=1&waitFor=${position}`)) as { items: Subscription[]; nextCursor: string };
    const second = (await must('GET', `/api/webhooks?limit=1&cursor=${first.nextCursor}`)) as { items: Subscription[]; nextCursor: string };
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual([newer.id, older.id]);
    expect(fail(await ask('GET', '/api/webhooks?cursor=nonsense'))).toEqual([400, 'validation-failed']);
  });

  it('is refused where deliveries may not go, and nothing of the kind is made', async () => {
    const refused = await ask('POST', '/api/webhooks', { body: { url: 'http://10.0.0.7/', events: 'a' } });
    expect(fail(refused)).toEqual([422, 'target-url-refused']);
    expect(String(refused.body['detail'])).toContain('KF_ALLOW_TARGETS');
  });

  it.each([
    [{ url: 'https://hooks.example.com', events: ['a', ''] }, 'events'],
    [{ url: 'https://hooks.example.com', events: 'a, b' }, 'events'],
    [{ url: 'https://hooks.example.com', events: [] }, 'events'],
    [{ url: 'hooks.example.com', events: 'a' }, 'url'],
    [{ url: 'https://hooks.example.com', events: 'a', signingSecretRef: `whsec_${'A'.repeat(33)}` }, 'signingSecretRef'],
    [{ url: 'https://hooks.example.com', events: 'a', deliverymode: 'ORDERED' }, 'deliverymode'],
  ])('malformed (%j) names the field', async (body, path) => {
    const answer = await ask('POST', '/api/webhooks', { body });
    expect([...fail(answer), (answer.body['errors'] as { path: string }[])[0]?.path]).toEqual([400, 'validation-failed', path]);
  });
});

describe('two editors of one subscription', () => {
  it('who both hold to what they saw: one is told, and nothing is lost', async () => {
    const { id } = await created('edited', { description: 'first' });
    const tag = (await ask('GET', `/api/webhooks/${id}`)).headers.get('etag') ?? '';
    const answers = await Promise.all([
      ask('PATCH', `/api/webhooks/${id}`, { body: { description: 'by sam' }, ifMatch: tag }),
      ask('PATCH', `/api/webhooks/${id}`, { body: { deliveryMode: 'ORDERED' }, ifMatch: tag, api: asKim }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const [loser] = answers.filter(({ status }) => status === 412);
    expect(loser?.body).toMatchObject({ type: 'https://countersign.dev/problems/precondition-failed', revision: 2 });
    const now = await ask('GET', `/api/webhooks/${id}`);
    expect([now.headers.get('etag'), now.body['description'], now.body['deliveryMode']]).toEqual(answers[0].status === 200 ? ['"2"', 'by sam', 'AT_LEAST_ONCE'] : ['"2"', 'first', 'ORDERED']);
  });

  it('who do not, both have their way', async () => {
    const { id } = await created('both', { description: 'first' });
    await Promise.all([must('PATCH', `/api/webhooks/${id}`, { body: { description: 'by sam' } }), must('PATCH', `/api/webhooks/${id}`, { body: { deliveryMode: 'ORDERED' }, api: asKim })]);
    expect(await must('GET', `/api/webhooks/${id}`)).toMatchObject({ description: 'by sam', deliveryMode: 'ORDERED', revision: 3 });
  });

  it('are answered as RFC 9110 says to *, to several tags, to weak ones and to what is none', async () => {
    const { id } = await created('tags');
    const patch = (ifMatch: string, description: string): Promise<Answer> => ask('PATCH', `/api/webhooks/${id}`, { body: { description }, ifMatch });
    expect((await patch('*', 'a')).headers.get('etag')).toBe('"2"');
    expect((await patch('"1", "2"', 'b')).headers.get('etag')).toBe('"3"');
    expect(fail(await patch('W/"3"', 'c'))).toEqual([412, 'precondition-failed']);
    expect(fail(await patch('3', 'c'))).toEqual([400, 'validation-failed']);
    expect(fail(await ask('PATCH', '/api/webhooks/nobody', { body: { description: 'c' }, ifMatch: '"1"' }))).toEqual([404, 'not-found']);
    expect(fail(await ask('DELETE', `/api/webhooks/${id}`, { ifMatch: '"1"' }))).toEqual([412, 'precondition-failed']);
  });
});

describe('PATCH', () => {
  it('sent again after another’s change is the same change, and undoes nothing', async () => {
    const { id } = await created('retried');
    const first = await ask('PATCH', `/api/webhooks/${id}`, { body: { description: 'mine' }, key: 'patch-1', ifMatch: '"1"' });
    await must('PATCH', `/api/webhooks/${id}`, { body: { events: ['retried.x'], description: 'theirs' }, api: asKim });
    const again = await ask('PATCH', `/api/webhooks/${id}`, { body: { description: 'mine' }, key: 'patch-1', ifMatch: '"1"' });
    expect([again.status, again.headers.get('idempotency-replayed'), again.headers.get('etag')]).toEqual([200, 'true', '"3"']);
    expect(again.body).toMatchObject({ commandId: first.body['commandId'], revision: 2, position: first.body['position'], subscription: { events: ['retried.x'], description: 'theirs', revision: 3 } });
  });

  it('keeps the secret, pauses, resumes, and leaves alone what is so already', async () => {
    const { id, secret } = await created('patched', { status: 'PAUSED' });
    expect(subscriptionOf(await must('PATCH', `/api/webhooks/${id}`, { body: { status: 'ACTIVE', url: inbox.url('patched-too'), description: 'x' } }))).toMatchObject({ status: 'ACTIVE', description: 'x' });
    await root.publishOne({ type: 'patched.now', data: 1 }, siteId);
    const [request] = await inbox.arrived('patched-too', 1);
    expect(() => new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)).not.toThrow();
    expect(await must('PATCH', `/api/webhooks/${id}`, { body: { description: 'x' } })).toMatchObject({ outcome: 'NO_CHANGE' });
    expect(subscriptionOf(await must('PATCH', `/api/webhooks/${id}`, { body: { description: null, status: 'PAUSED' } }))).toMatchObject({ status: 'PAUSED', pausedReason: 'requested', description: null });
  });

  it('of nothing, of what is not there and of what is deleted is refused', async () => {
    const { id } = await created('refused');
    expect(fail(await ask('PATCH', `/api/webhooks/${id}`, { body: {} }))).toEqual([400, 'validation-failed']);
    expect(fail(await ask('PATCH', `/api/webhooks/${id}`, { body: { url: 'http://10.0.0.7/' } }))).toEqual([422, 'target-url-refused']);
    expect(fail(await ask('PATCH', '/api/webhooks/nobody', { body: { description: 'x' } }))).toEqual([404, 'not-found']);
    await must('DELETE', `/api/webhooks/${id}`);
    expect(fail(await ask('PATCH', `/api/webhooks/${id}`, { body: { description: 'x' } }))).toEqual([409, 'subscription-deleted']);
  });
});

describe('a change that the site’s policy gates', () => {
  it('a rotation: refused with the request to send, granted by another person, done once; both secrets sign', async () => {
    const { id, secret } = await created('rotated');
    const refused = await ask('POST', `/api/webhooks/${id}/rotate-secret`, { key: 'rotate-1' });
    expect(fail(refused)).toEqual([403, 'approval-required']);
    expect(refused.body).toMatchObject({ approvalRequest: { ...place, actor: sam, payload: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: id } }, candidates: [], unmet: [{ code: 'approval-required' }] });
    const approvalId = await grant(refused);
    expect(fail(await ask('POST', `/api/webhooks/${id}/rotate-secret?approvalId=apr_other`, { body: { approvalId } }))).toEqual([400, 'validation-failed']);
    expect(fail(await ask('POST', `/api/webhooks/${id}/rotate-secret?approvalId=apr_other`))).toEqual([404, 'not-found']);
    const rotated = await ask('POST', `/api/webhooks/${id}/rotate-secret`, { body: { approvalId, graceSeconds: 3_600 }, key: 'rotate-2' });
    expect([rotated.status, rotated.headers.get('etag'), rotated.headers.get('cache-control')]).toEqual([200, '"2"', 'no-store']);
    const fresh = String(rotated.body['secret']);
    expect(fresh).toMatch(/^whsec_/);
    expect(subscriptionOf(rotated.body)['secret']).toMatchObject({ graceUntil: expect.any(String) });
    const again = await ask('POST', `/api/webhooks/${id}/rotate-secret`, { body: { approvalId, graceSeconds: 3_600 }, key: 'rotate-2' });
    expect([again.headers.get('idempotency-replayed'), again.body]).toEqual(['true', { ...rotated.body, secret: null }]);
    expect(fail(await ask('POST', `/api/webhooks/${id}/rotate-secret`, { body: { approvalId } }))).toEqual([409, 'approval-already-used']);
    await root.publishOne({ type: 'rotated.now', data: 1 }, siteId);
    const [request] = await inbox.arrived('rotated', 1);
    for (const one of [secret, fresh]) expect(() => new Webhook(one).verify(request?.body ?? '', request?.headers as Record<string, string>)).not.toThrow();
  });

  it('an edit that is bound to its payload: the request of a refused PATCH is good for it, and for the same upsert on the command surface', async () => {
    const gated = { tenant: 'acme', environment: 'gated' };
    const at = (path: string): string => `${path}?siteId=acme.gated`;
    const people = await Promise.all([root.person(sam.id, 'acme.gated'), root.person(kim.id, 'acme.gated')]);
    const [editor, approver] = people.map(({ text }) => root.as(text)) as [Api, Api];
    const { resourceId: id } = await editor.subscribe(inbox.url('gated'), 'gated.a', {}, gated);
    await root.do('SetApprovalPolicy', { commandType: 'UpsertWebhookSubscription', required: true, binding: 'PAYLOAD' }, { ...gated, actor: { type: 'USER', id: 'root' } });
    const permit = async (refused: Answer): Promise<void> => {
      expect(fail(refused)).toEqual([403, 'approval-required']);
      const { payload } = refused.body['approvalRequest'] as { payload: object };
      const asked = await editor.do('RequestApproval', payload, gated);
      const { position } = await approver.do('GrantApproval', { approvalId: asked.resourceId }, { ...gated, actor: kim, expectedRevision: asked.revision });
      await root.read(`${at('/api/approvals')}&waitFor=${position}`);
    };
    const patch = (body: object): Promise<Answer> => editor.ask('PATCH', at(`/api/webhooks/${id}`), { body });
    await permit(await patch({ events: ['gated.b'] }));
    expect(subscriptionOf((await patch({ events: ['gated.b'] })).body)).toMatchObject({ events: ['gated.b'], revision: 2 });
    await permit(await patch({ events: ['gated.c'] }));
    const upsert = { targetUrl: inbox.url('gated'), eventPattern: 'gated.c', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
    expect(await editor.do('UpsertWebhookSubscription', { webhookSubscriptionId: id, ...upsert }, gated)).toMatchObject({ outcome: 'APPLIED', revision: 3 });
  });
});

describe('a deleted subscription', () => {
  it('stays for 30 days: left out of lists, still read, its deliveries too, and restored with the status it had', async () => {
    const { id } = await created('deleted');
    await root.publishOne({ type: 'deleted.before', data: 1 }, siteId);
    await inbox.arrived('deleted', 1);
    await eventually('its delivery', async () => ((await must('GET', `/api/webhooks/${id}/deliveries?status=DELIVERED`)) as unknown as { items: object[] }).items[0]);
    const deleted = await must('DELETE', `/api/webhooks/${id}`);
    const { purgeAt, updatedAt } = subscriptionOf(deleted) as unknown as { purgeAt: string; updatedAt: string };
    expect(Date.parse(purgeAt) - Date.parse(updatedAt)).toBe(30 * 24 * 60 * 60 * 1_000);
    expect(await must('DELETE', `/api/webhooks/${id}`)).toMatchObject({ outcome: 'NO_CHANGE', subscription: { status: 'DELETED', purgeAt } });
    expect(await must('GET', `/api/webhooks/${id}`)).toMatchObject({ status: 'DELETED', purgeAt });

    const ids = async (query: string): Promise<readonly string[]> => ((await must('GET', `/api/webhooks?limit=500&waitFor=${String(deleted['position'])}${query}`)) as unknown as { items: Subscription[] }).items.map((one) => one.id);
    expect(await ids('')).not.toContain(id);
    expect(await ids('&includeDeleted=true')).toContain(id);
    expect((await must('GET', `/api/webhooks/${id}/deliveries`))['items']).toHaveLength(1);

    expect(fail(await ask('POST', `/api/webhooks/${id}/rotate-secret`))).toEqual([409, 'subscription-deleted']);
    const restored = await must('POST', `/api/webhooks/${id}/restore`);
    expect(restored).toMatchObject({ outcome: 'APPLIED', subscription: { status: 'ACTIVE', purgeAt: null } });
    expect(await must('POST', `/api/webhooks/${id}/restore`, { body: {} })).toMatchObject({ outcome: 'NO_CHANGE' });
    await root.publishOne({ type: 'deleted.after', data: 1 }, siteId);
    expect((await inbox.arrived('deleted', 2)).map(({ event }) => event.type)).toEqual(['deleted.before', 'deleted.after']);
  });
});

describe('the deliveries of a site', () => {
  it('are all in one list, by status, event and time; a dead letter of it is sent again', async () => {
    const taking = await created('taking', { events: 'shop.sold' });
    let closed = true;
    const failing = subscriptionOf(await must('POST', '/api/webhooks', { body: { url: inbox.url('failing', () => ({ status: closed ? 500 : 200 })), events: 'shop.sold' } }));
    const { eventId } = await root.publishOne({ type: 'shop.sold', data: 1 }, siteId);
    const list = async (query: string): Promise<readonly Record<string, unknown>[]> => (await must('GET', `/api/deliveries?${query}`))['items'] as Record<string, unknown>[];
    const ended = await eventually('both deliveries', async () => {
      const found = await list(`eventId=${eventId}`);
      return found.length === 2 && found.every(({ status }) => status !== 'PENDING') ? found : undefined;
    });
    expect(ended.map(({ subscriptionId, status }) => [subscriptionId, status]).sort()).toEqual([[failing.id, 'DEAD_LETTERED'], [taking.id, 'DELIVERED']].sort());
    const [dead] = await list(`status=DEAD_LETTERED&eventId=${eventId}`);
    expect(dead).toMatchObject({ subscriptionId: failing.id, attempts: 1 });
    expect(await list(`eventId=${eventId}&since=${encodeURIComponent(new Date(Date.now() + 3_600_000).toISOString())}`)).toEqual([]);
    expect(await list('eventId=none')).toEqual([]);

    closed = false;
    const path = `/api/webhooks/${failing.id}/deliveries/${String(dead?.['id'])}/retry`;
    const retried = await ask('POST', path, { key: 'retry-1', body: { resetAttempts: true } });
    expect([retried.status, retried.body['outcome'], (retried.body['delivery'] as Body)['id']]).toEqual([200, 'APPLIED', dead?.['id']]);
    await eventually('the delivery', async () => (await list(`status=DELIVERED&eventId=${eventId}`)).length === 2 || undefined);
    expect((await ask('POST', path, { key: 'retry-1', body: { resetAttempts: true } })).headers.get('idempotency-replayed')).toBe('true');
    await must('POST', path);
    const requests = await inbox.arrived('failing', 3);
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(fail(await ask('POST', `/api/webhooks/${taking.id}/deliveries/${String(dead?.['id'])}/retry`))).toEqual([404, 'not-found']);
    expect(fail(await ask('POST', `/api/webhooks/${failing.id}/deliveries/dlv_none/retry`))).toEqual([404, 'not-found']);
    await must('DELETE', `/api/webhooks/${failing.id}`);
    expect(fail(await ask('POST', path))).toEqual([409, 'delivery-not-replayable']);
  });
});

describe('a key of another site', () => {
  it('finds nothing here, on any route', async () => {
    const { id } = await created('hidden');
    const stranger = root.as((await root.person('usr_eve', 'other')).text);
    const routes: readonly (readonly [string, string, unknown?])[] = [
      ['POST', '/api/webhooks', wireOf('hidden')],
      ['GET', '/api/webhooks'],
      ['GET', `/api/webhooks/${id}`],
      ['PATCH', `/api/webhooks/${id}`, { description: 'x' }],
      ['DELETE', `/api/webhooks/${id}`],
      ['POST', `/api/webhooks/${id}/restore`],
      ['POST', `/api/webhooks/${id}/rotate-secret`],
      ['POST', `/api/webhooks/${id}/deliveries/dlv_1/retry`],
      ['GET', '/api/deliveries'],
    ];
    for (const [method, path, body] of routes) expect([method, path, ...fail(await ask(method, path, { body, api: stranger }))]).toEqual([method, path, 404, 'not-found']);
    expect((await stranger.ask('GET', `/api/webhooks/${id}?siteId=other`)).status).toBe(404);
    expect(await must('GET', `/api/webhooks/${id}`)).toMatchObject({ revision: 1 });
  });
});
