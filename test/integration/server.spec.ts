import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingHttpHeaders, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { readServerConfig } from '#config';
import { createLog } from '#telemetry';
import { createServer, type Server } from '../../apps/server/server.ts';
import { systemClock, systemIds } from '../../apps/server/system.ts';

// Each test waits for what it has caused, however long a busy machine takes.
jest.setTimeout(60_000);

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown> & { readonly result: Record<string, string>; readonly items: Record<string, unknown>[] };
}

let folder: string;
let server: Server;
let receiver: HttpServer;
let target: string;
let rootKey: string;
const received: Received[] = [];
const logLines: string[] = [];
let nextStatus = 200;

const start = (): Promise<Server> =>
  createServer({
    config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: folder, KF_ALLOW_TARGETS: 'loopback' }),
    clock: systemClock,
    ids: systemIds,
    log: createLog('info', { write: (line) => void logLines.push(line) }),
    version: '0.0.0-test',
    processMetrics: false,
    onFatal: (error) => {
      throw error;
    },
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-server-'));
  receiver = createHttpServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.statusCode = nextStatus;
      response.end('ok');
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  target = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  server = await start();
  rootKey = readFileSync(join(folder, 'root.key'), 'utf8').trim();
});
afterAll(async () => {
  await server.close();
  receiver.closeAllConnections();
  receiver.close();
  rmSync(folder, { recursive: true });
});

async function send(method: string, path: string, { key = rootKey, headers = {}, body }: { key?: string; headers?: Record<string, string>; body?: unknown } = {}): Promise<Answer> {
  const content = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const answer = await fetch(server.url + path, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers }, ...content });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, body: JSON.parse(text) as Answer['body'] };
}

let sent = 0;
interface CommandOptions {
  readonly key?: string;
  readonly actor?: object;
  readonly idempotencyKey?: string;
  readonly more?: object;
}
const command = (type: string, payload: object, { key = rootKey, actor = { type: 'USER', id: 'sam' }, idempotencyKey = `k${(sent += 1)}`, more = {} }: CommandOptions = {}): Promise<Answer> =>
  send('POST', `/api/commands/${type}`, { key, headers: { 'idempotency-key': idempotencyKey }, body: { tenant: 'acme', actor, ...more, payload } });

const publish = (eventId: string, data: string): Promise<Answer> => send('POST', '/api/events?siteId=acme', { body: `{"type":"version.published","eventId":"${eventId}","data":${data}}` });

async function delivered(count: number): Promise<Received> {
  while (received.length < count) await new Promise((resolve) => receiver.once('request', () => setTimeout(resolve, 1)));
  const last = received[count - 1];
  if (last === undefined) throw new Error('nothing was delivered');
  return last;
}

const upsert = (id: string) => ({ webhookSubscriptionId: id, eventPattern: 'version.*', targetUrl: target, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' });

describe('a whole server', () => {
  let secret = '';
  const keys: Record<string, string> = {};

  it('makes a subscription and shows its secret once', async () => {
    const first = await command('UpsertWebhookSubscription', upsert('orders'), { idempotencyKey: 'upsert' });
    expect([first.status, first.body['outcome'], first.headers.get('cache-control')]).toEqual([200, 'APPLIED', 'no-store']);
    secret = first.body.result['secret'] ?? '';
    expect(secret).toMatch(/^whsec_/);
    const again = await command('UpsertWebhookSubscription', upsert('orders'), { idempotencyKey: 'upsert' });
    expect([again.headers.get('idempotency-replayed'), again.body.result['secret'], again.body['commandId']]).toEqual(['true', null, first.body['commandId']]);
    expect((await command('UpsertWebhookSubscription', { ...upsert('orders'), deliveryMode: 'ORDERED' }, { idempotencyKey: 'upsert' })).status).toBe(422);
  });

  it('delivers what is published, signed, with the data byte for byte', async () => {
    const data = '{"big":9007199254740993, "one":1.0}';
    const { body } = await publish('e1', data);
    expect(body.items).toEqual([{ eventId: 'e1', status: 'ACCEPTED', position: expect.any(String), idempotent: true }]);
    const request = await delivered(1);
    new Webhook(secret).verify(request.body, request.headers as Record<string, string>);
    expect(request.body).toContain(`"data":${data}}`);
    expect((await publish('e1', data)).body.items).toMatchObject([{ status: 'DUPLICATE' }]);
    expect((await publish('e1', '{}')).status).toBe(422);
  });

  it('does all the work there is, and says so', async () => {
    const status = async (): Promise<Answer['body']> => (await send('GET', '/api/status')).body;
    let body = await status();
    while (JSON.stringify(body['unowned']) !== '{"sagas":[],"partitions":[]}') body = await status();
    const [own, ...others] = body['processes'] as { readonly sagas: { readonly name: string }[] }[];
    expect(others).toEqual([]);
    expect(own).toMatchObject({ process: expect.stringContaining(`(process ${process.pid})`), status: 'READY', because: [], roles: ['api', 'sagas', 'dispatcher'].map((role) => ({ role, state: 'HELD', why: null })), partitions: Array.from({ length: 64 }, (_, number) => number) });
    expect(own?.sagas.map(({ name }) => name).sort()).toEqual(['approval-housekeeping', 'fan-out', 'operational-events', 'recoveries', 'subscription-health', 'subscription-lifecycle', 'subscription-tests']);
    expect(body).toMatchObject({ status: 'READY', because: [], coordination: { by: 'none', unheard: null }, scheduledUpTo: expect.stringMatching(/^[1-9]/) });
  });

  it('shows the delivery with its transcript, and the event with its deliveries', async () => {
    let items: Answer['body']['items'] = [];
    while (items[0]?.['status'] !== 'DELIVERED') items = (await send('GET', '/api/webhooks/orders/deliveries?siteId=acme')).body.items;
    const { body } = await send('GET', `/api/webhooks/orders/deliveries/${String(items[0]['id'])}?siteId=acme`);
    expect(body['transcripts']).toEqual([expect.objectContaining({ attempt: 1, response: expect.objectContaining({ status: 200, body: 'ok' }), decision: expect.objectContaining({ next: 'DELIVERED' }) })]);
    expect((body['transcripts'] as { request: { body: string } }[])[0]?.request.body).toBe(received[0]?.body);
    const event = await send('GET', '/api/events/e1?siteId=acme');
    expect(event.text).toContain('"data":{"big":9007199254740993, "one":1.0}}');
    expect(event.body['deliveries']).toEqual([items[0]]);
    expect((await send('GET', '/api/webhooks/nothing/deliveries?siteId=acme')).status).toBe(404);
  });

  it('makes keys that can be used as soon as they are answered', async () => {
    for (const [name, scopes] of [['sam', ['site:acme:read', 'site:acme:write', 'site:acme:approve']], ['kim', ['site:acme:approve']]] as const) {
      const { body } = await command('CreateApiKey', { name, scopes, actor: { type: 'USER', id: name } }, { idempotencyKey: `key-${name}` });
      keys[name] = body.result['secret'] ?? '';
      expect((await send('GET', '/api/whoami', { key: keys[name] })).body).toMatchObject({ actor: { type: 'USER', id: name }, siteId: 'acme' });
    }
    expect((await command('CreateApiKey', { name: 'bot', scopes: ['site:acme:write'], actor: { type: 'AGENT', id: 'bot' } })).body['errors']).toMatchObject([{ path: 'payload.owner' }]);
  });

  it('rotates a secret only with another person’s approval, once', async () => {
    const rotate = (more: CommandOptions = {}): Promise<Answer> => command('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: 'orders' }, { key: keys['sam'] ?? '', ...more });
    const refused = await rotate({ idempotencyKey: 'rotate' });
    expect([refused.status, refused.body['type']]).toEqual([403, 'https://countersign.dev/problems/approval-required']);
    const template = refused.body['approvalRequest'] as { payload: object };
    const request = await command('RequestApproval', { ...template.payload, reason: 'it was in a log' }, { key: keys['sam'] ?? '' });
    const approvalId = request.body.result['approvalId'] ?? '';
    const look = async (): Promise<Answer> => send('GET', `/api/approvals/${approvalId}?siteId=acme`, { key: keys['kim'] ?? '' });
    const { body: shown } = await look();
    expect(shown).toMatchObject({ status: 'PENDING', requester: { type: 'USER', id: 'sam' }, resourceId: 'orders', reason: 'it was in a log', revision: 1 });
    const grant = (name: string, expectedRevision?: number): Promise<Answer> => command('GrantApproval', { approvalId }, { key: keys[name] ?? '', actor: { type: 'USER', id: name }, more: expectedRevision === undefined ? {} : { expectedRevision } });
    expect((await grant('sam', 1)).body['type']).toBe('https://countersign.dev/problems/approver-conflict');
    expect((await grant('kim')).status).toBe(428);
    expect((await grant('kim', 1)).body.result).toMatchObject({ status: 'APPROVED' });
    const done = await rotate({ idempotencyKey: 'rotate' });
    const newSecret = done.body.result['secret'] ?? '';
    expect([done.status, newSecret === secret]).toEqual([200, false]);
    expect((await look()).body).toMatchObject({ status: 'CONSUMED', usedBy: done.body['commandId'] });
    expect((await send('GET', `/api/commands/${String(done.body['commandId'])}?siteId=acme`)).body).toMatchObject({ approvalId, outcome: 'APPLIED', actor: { type: 'USER', id: 'sam' } });
    expect((await rotate({ idempotencyKey: 'rotate' })).body.result['secret']).toBeNull();
    expect((await rotate()).status).toBe(403);
    await publish('e2', '{}');
    const { body, headers } = await delivered(2);
    for (const one of [secret, newSecret]) new Webhook(one).verify(body, headers as Record<string, string>);
  });

  it('attempts nothing after an acknowledged pause', async () => {
    await command('PauseWebhookSubscription', { webhookSubscriptionId: 'orders' });
    await publish('while-paused', '{}');
    await command('ResumeWebhookSubscription', { webhookSubscriptionId: 'orders' });
    await publish('e3', '{}');
    expect(JSON.parse((await delivered(3)).body)).toMatchObject({ id: 'e3' });
  });

  it('schedules a failed delivery again, and replays it on command', async () => {
    nextStatus = 500;
    await publish('e4', '{}');
    await delivered(4);
    nextStatus = 200;
    const scheduled = async (): Promise<string> => {
      for (;;) {
        const [item] = (await send('GET', '/api/webhooks/orders/deliveries?siteId=acme&status=SCHEDULED')).body.items;
        if (item !== undefined) return String(item['id']);
      }
    };
    expect((await command('ReplayWebhookDelivery', { webhookDeliveryId: await scheduled() })).body.result).toMatchObject({ status: 'PENDING' });
    expect(JSON.parse((await delivered(5)).body)).toMatchObject({ id: 'e4' });
  });

  it('refuses a target inside the network that nobody opened', async () => {
    const { status, body } = await command('UpsertWebhookSubscription', { ...upsert('inside'), targetUrl: 'http://169.254.169.254/latest' });
    expect([status, body['type']]).toEqual([422, 'https://countersign.dev/problems/target-url-refused']);
  });

  it('says what a command would do, each time it is asked, and does not do it', async () => {
    const ask = (): ReturnType<typeof send> => send('POST', '/api/commands/DeleteWebhookSubscription?dryRun=true', { headers: { 'idempotency-key': 'dry' }, body: { tenant: 'acme', actor: { type: 'USER', id: 'sam' }, payload: { webhookSubscriptionId: 'orders' } } });
    const { status, body } = await ask();
    expect([status, body]).toEqual([200, expect.objectContaining({ outcome: 'APPLIED', events: [expect.objectContaining({ type: 'WebhookSubscriptionDeleted' })], unmet: [] })]);
    expect((await send('GET', `/api/commands/${String(body['commandId'])}?siteId=acme`)).status).toBe(404);
    expect((await ask()).body).toMatchObject({ outcome: 'APPLIED' });
  });

  it('knows nothing of what no id can name, whatever the URL holds', async () => {
    for (const id of ['a%20b', '%C3%A4', '%00', '..%2F..', 'APR_1', '__proto__', 'x'.repeat(500)]) {
      for (const path of [`approvals/${id}`, `approval-policies/${id}`, `commands/${id}`, `events/${id}`, `webhooks/${id}/deliveries`, `webhooks/orders/deliveries/${id}`, `webhooks/${id}/deliveries/x`]) {
        expect([path, (await send('GET', `/api/${path}?siteId=acme`)).status]).toEqual([path, 404]);
      }
    }
  });

  it('refuses a revoked key as soon as the revocation is answered', async () => {
    const { body } = await send('GET', '/api/keys');
    const kim = body.items.find(({ name }) => name === 'kim');
    await command('RevokeApiKey', { keyId: String(kim?.['id']) });
    expect((await send('GET', '/api/whoami', { key: keys['kim'] ?? '' })).status).toBe(401);
  });

  it('comes back with everything after a stop', async () => {
    await server.close();
    await server.close();
    server = await start();
    expect(readFileSync(join(folder, 'root.key'), 'utf8').trim()).toBe(rootKey);
    while (!(await fetch(`${server.url}/health/ready`)).ok) await new Promise((resolve) => setTimeout(resolve, 10));
    const again = await command('UpsertWebhookSubscription', upsert('orders'), { idempotencyKey: 'upsert' });
    expect([again.headers.get('idempotency-replayed'), again.body.result['secret']]).toEqual(['true', null]);
    const before = received.length;
    await publish('e5', '{}');
    await delivered(before + 1);
    expect(received.map(({ body }) => (JSON.parse(body) as { id: string }).id)).toEqual(['e1', 'e2', 'e3', 'e4', 'e4', 'e5']);
  });

  it('counts without naming a tenant, and never logs a secret', async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain('countersign_delivery_attempts_total{outcome="delivered"} 1');
    expect(metrics).not.toContain('acme');
    const log = logLines.join('');
    for (const text of [secret, rootKey, keys['sam'] ?? '', keys['kim'] ?? '']) expect(log).not.toContain(text);
    expect(logLines.filter((line) => /"level":"(error|fatal)"/.test(line))).toEqual([]);
  });
});
