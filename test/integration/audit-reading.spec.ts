import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readServerConfig } from '#config';
import { openSqliteEventStore } from '#event-store/sqlite';
import { createLog } from '#telemetry';
import { compose } from '../../apps/server/composition.ts';
import { createServer, type Server } from '../../apps/server/server.ts';
import { systemClock, systemIds } from '../../apps/server/system.ts';

// Each test waits for what it has caused, however long a busy machine takes.
jest.setTimeout(60_000);

type Item = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Item & { readonly result: Record<string, string>; readonly items: readonly Item[]; readonly nextCursor: string | null };
}

const start = (dataDir: string, logLines: string[]): Promise<Server> =>
  createServer({
    config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: dataDir, KF_ALLOW_TARGETS: 'loopback' }),
    clock: systemClock,
    ids: systemIds,
    log: createLog('info', { write: (line) => void logLines.push(line) }),
    version: '0.0.0-test',
    processMetrics: false,
    onFatal: (error) => {
      throw error;
    },
  });

/** A server, and keys for people and auditors of it. */
class World {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'countersign-audit-'));
  readonly logLines: string[] = [];
  readonly keys: Record<string, string> = {};
  server!: Server;
  #sent = 0;

  async begin(): Promise<void> {
    this.server = await start(this.dataDir, this.logLines);
    this.keys['root'] = readFileSync(join(this.dataDir, 'root.key'), 'utf8').trim();
    await this.makeKey('sam', ['site:acme:read', 'site:acme:write', 'site:acme:approve']);
    await this.makeKey('kim', ['site:acme:read', 'site:acme:approve']);
    await this.makeKey('aud', ['site:acme:audit']);
    await this.makeKey('globex', ['site:globex:write', 'site:globex:audit', 'site:globex:approve'], 'globex');
  }

  async send(method: string, path: string, key: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const answer = await fetch(this.server.url + path, {
      method,
      headers: { authorization: `Bearer ${this.keys[key]}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, body: JSON.parse(text) as Answer['body'] };
  }

  command(type: string, key: string, payload: object, more: object = {}): Promise<Answer> {
    const body = { tenant: 'acme', actor: { type: 'USER', id: key === 'root' ? 'sam' : key }, ...more, payload };
    return this.send('POST', `/api/commands/${type}`, key, body, { 'idempotency-key': `k${(this.#sent += 1)}` });
  }

  async makeKey(id: string, scopes: readonly string[], tenant = 'acme'): Promise<void> {
    const { body } = await this.command('CreateApiKey', 'root', { name: id, scopes, actor: { type: 'USER', id } }, { tenant });
    this.keys[id] = body.result['secret'] ?? '';
  }

  read(path: string, query = ''): Promise<Answer> {
    return this.send('GET', `/api/audit/${path}?siteId=acme${query}`, 'aud');
  }

  /** Every page of the record. */
  async record(query = ''): Promise<readonly Item[]> {
    const items: Item[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body } = await this.read('events', `&limit=7${query}${cursor === '' ? '' : `&cursor=${cursor}`}`);
      items.push(...body.items);
      cursor = body.nextCursor;
    }
    return items;
  }

  /** Asks until the record of refusals, which is written behind the answers, has so many. */
  async refusals(count: number, query = ''): Promise<readonly Item[]> {
    for (;;) {
      const { body } = await this.read('refusals', query);
      if (body.items.length >= count) return body.items;
    }
  }
}

const world = new World();
const upsert = { webhookSubscriptionId: 'orders', eventPattern: 'version.*', targetUrl: 'http://127.0.0.1:9/hook', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
const rotate = (key: string, more: object = {}) => world.command('RotateWebhookSubscriptionSecret', key, { webhookSubscriptionId: 'orders' }, more);
const slug = ({ body }: Answer): unknown => String(body['type']).replace('https://countersign.dev/problems/', '');

let approvalId = '';
let rotation: Item = {};
const followed: Item[] = [];
const following = new AbortController();

/** Reads the live record into `followed` until it is told to stop. */
async function follow(from: string): Promise<void> {
  const answer = await fetch(`${world.server.url}/api/audit/events?siteId=acme&follow=true&from=${from}`, { headers: { authorization: `Bearer ${world.keys['aud']}` }, signal: following.signal });
  const chunks = (answer.body ?? new ReadableStream<Uint8Array>()).pipeThrough(new TextDecoderStream());
  let text = '';
  try {
    for await (const chunk of chunks) text = takeEvents(text + chunk);
  } catch (error) {
    if (!following.signal.aborted) throw error;
  }
}

/** Takes the complete messages of a text; answers the rest. */
function takeEvents(text: string): string {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  for (const block of blocks.filter((one) => one.startsWith('event: event\n'))) followed.push(JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '') as Item);
  return rest;
}

let reading: Promise<void>;

beforeAll(async () => {
  await world.begin();
  reading = follow('0');
  await world.command('UpsertWebhookSubscription', 'globex', { ...upsert, webhookSubscriptionId: 'theirs' }, { tenant: 'globex' });
  await world.command('RotateWebhookSubscriptionSecret', 'globex', { webhookSubscriptionId: 'theirs' }, { tenant: 'globex' });
  await world.command('UpsertWebhookSubscription', 'sam', upsert);
  expect(slug(await rotate('sam'))).toBe('approval-required');
  const asked = await world.command('RequestApproval', 'sam', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'orders', expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
  approvalId = asked.body.result['approvalId'] ?? '';
  const grant = (key: string) => world.command('GrantApproval', key, { approvalId }, { expectedRevision: 1 });
  expect(slug(await grant('sam'))).toBe('approver-conflict');
  expect(slug(await world.command('DeleteWebhookSubscription', 'sam', { webhookSubscriptionId: 'orders' }, { actor: { type: 'USER', id: 'kim' } }))).toBe('actor-not-allowed');
  expect(slug(await rotate('sam', { approvalId }))).toBe('approval-pending');
  expect((await grant('kim')).status).toBe(200);
  await world.command('SetApprovalPolicy', 'root', { commandType: 'PauseWebhookSubscription', required: true });
  expect(slug(await world.command('PauseWebhookSubscription', 'sam', { webhookSubscriptionId: 'orders' }, { approvalId }))).toBe('approval-binding-mismatch');
  rotation = (await rotate('sam', { approvalId })).body;
  expect(rotation).toMatchObject({ outcome: 'APPLIED', revision: 2 });
});

afterAll(async () => {
  following.abort();
  await reading;
  await world.server.close();
  rmSync(world.dataDir, { recursive: true });
});

describe('an orderly stop', () => {
  it('writes the refusals that wait, and counts those held back, before the log is closed', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'countersign-refusals-'));
    const outside = { clock: systemClock, ids: systemIds, log: createLog('error'), version: '0.0.0-test', processMetrics: false, onFatal: () => undefined };
    const installation = await compose({ ...outside, config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: dataDir }) });
    const actor = { type: 'USER', id: 'sam' } as const;
    const caller = { keyId: 'key_1', isRoot: false, boundTo: actor, owner: null, createdBy: null, isAdmin: false };
    const request = { commandType: 'PauseWebhookSubscription', site: { tenant: 'acme', environment: 'production' }, actor, caller, payload: { webhookSubscriptionId: 'orders' }, correlationId: 'c' };
    for (let n = 0; n < 40; n += 1) installation.shell.refusals.record({ ...request, idempotencyKey: `k${n}` }, { refused: 'approval-required', detail: 'no' });
    await installation.stop();
    const store = await openSqliteEventStore({ dataDir });
    try {
      const { events } = await store.readAll('0', { prefixes: ['refusal-'] }, 100);
      expect(events.reduce((sum, { data }) => sum + 1 + (JSON.parse(data) as { suppressed: number }).suppressed, 0)).toBe(40);
    } finally {
      await store.close();
      rmSync(dataDir, { recursive: true });
    }
  });
});

describe('a governed history, read by an auditor', () => {
  const refused = ['approval-required', 'approver-conflict', 'actor-not-allowed', 'approval-pending', 'approval-binding-mismatch'];

  it('has its refused attempts on record, newest first, with who tried what and no secret', async () => {
    const items = await world.refusals(refused.length);
    expect(items.map(({ code }) => code)).toEqual(refused.toReversed());
    expect(items.map(({ commandType, resourceId }) => [commandType, resourceId])).toEqual([
      ['PauseWebhookSubscription', 'orders'],
      ['RotateWebhookSubscriptionSecret', 'orders'],
      ['DeleteWebhookSubscription', 'orders'],
      ['GrantApproval', approvalId],
      ['RotateWebhookSubscriptionSecret', 'orders'],
    ]);
    for (const item of items) expect(item).toMatchObject({ actor: { type: 'USER', id: 'sam' }, keyId: expect.stringMatching(/^key_/), suppressed: 0, at: expect.any(String), correlationId: expect.any(String) });
    expect(JSON.stringify(items)).not.toContain('whsec_');
    const [newest] = items;
    expect((await world.read('refusals', `&limit=1&actor=USER:SAM&until=${String(newest?.['at'])}`)).body).toMatchObject({ items: [newest], nextCursor: expect.any(String) });
    expect((await world.read('refusals', '&actor=USER:kim')).body.items).toEqual([]);
  });

  it('is found in the record, whole and in order, and by each filter', async () => {
    const all = await world.record();
    const types = all.map(({ type }) => type);
    const positions = all.map(({ position }) => Number(position));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(new Set(all.map(({ stream }) => /^[a-z]+-(.+?\..+?)\./.exec(String(stream))?.[1]))).toEqual(new Set(['acme.production']));
    const inOrder = ['ApiKeyCreated', 'WebhookSubscriptionCreated', 'ApprovalRequested', 'ApprovalVoteCast', 'ApprovalGranted', 'WebhookSubscriptionSecretRotated', 'ApprovalConsumed'];
    expect(inOrder.map((type) => types.indexOf(type))).toEqual(inOrder.map((type) => types.indexOf(type)).toSorted((a, b) => a - b));
    expect(JSON.stringify(all)).not.toMatch(/whsec_|"sealed"|kf_[0-9a-z]{26}_/);
    expect(types).not.toContain('SigningSecretStored');

    const about = await world.record(`&approvalId=${approvalId}`);
    expect(about.map(({ type }) => type)).toEqual(expect.arrayContaining(['ApprovalRequested', 'ApprovalVoteCast', 'ApprovalGranted', 'WebhookSubscriptionSecretRotated', 'ApprovalConsumed', 'CommandExecuted']));
    expect(about.filter(({ type }) => type === 'CommandRefused').map(({ data }) => (data as Item)['code'])).toEqual(['approver-conflict', 'approval-pending', 'approval-binding-mismatch']);
    // Sagas may add to the record meanwhile.
    const last = Number(all.at(-1)?.['position']);
    const narrowed = async (query: string): Promise<readonly Item[]> => (await world.record(query)).filter(({ position }) => Number(position) <= last);
    const filtered = (wanted: (event: Item) => boolean): readonly Item[] => all.filter(wanted);
    expect(await narrowed(`&approvalId=${approvalId}`)).toEqual(filtered((event) => event['approvalId'] === approvalId));
    expect(await narrowed('&commandType=RotateWebhookSubscriptionSecret&resourceId=orders')).toEqual(filtered(({ commandType, resourceId }) => commandType === 'RotateWebhookSubscriptionSecret' && resourceId === 'orders'));
    expect(await narrowed('&actor=USER:kim')).toEqual(filtered(({ actor }) => (actor as Item | null)?.['id'] === 'kim'));
    const [requested] = about;
    expect(await narrowed(`&correlationId=${String(requested?.['correlationId'])}`)).toEqual(filtered(({ correlationId }) => correlationId === requested?.['correlationId']));
    const since = String(about.find(({ type }) => type === 'ApprovalGranted')?.['recordedAt']);
    expect(await narrowed(`&since=${since}`)).toEqual(filtered(({ recordedAt }) => String(recordedAt) >= since));
    expect(await narrowed(`&until=${since}`)).toEqual(filtered(({ recordedAt }) => String(recordedAt) <= since));
  });

  it('was followed live, every event once and in order', async () => {
    const all = await world.record();
    while (followed.length < all.length) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(followed.slice(0, all.length)).toEqual(all);
  });

  it('tells what the subscription and the approval were at every moment of it', async () => {
    const state = async (id: string, asOf?: string): Promise<Item> => (await world.read(`states/${id}`, asOf === undefined ? '' : `&asOf=${asOf}`)).body;
    const before = await state('orders', 'revision:1');
    const after = await state('orders', `position:${String(rotation['position'])}`);
    expect([before['revision'], after['revision']]).toEqual([1, 2]);
    const versionOf = ({ state: past }: Item): unknown => ((past as Item)['secret'] as Item)['versionId'];
    expect(versionOf(before)).not.toBe(versionOf(after));
    const live = await world.send('GET', '/api/webhooks/orders?siteId=acme', 'sam');
    const { health: _health, ...shown } = live.body;
    expect((await state('orders'))['state']).toEqual(Object.fromEntries(Object.entries(shown).filter(([name]) => !['result', 'items', 'nextCursor'].includes(name))));
    const about = await world.record(`&approvalId=${approvalId}`);
    const at = (type: string): string => `position:${String(about.find((event) => event['type'] === type)?.['position'])}`;
    for (const [asOf, status] of [[at('ApprovalRequested'), 'PENDING'], [at('ApprovalGranted'), 'APPROVED'], [at('ApprovalConsumed'), 'CONSUMED'], [undefined, 'CONSUMED']] as const) {
      expect([asOf, (await state(approvalId, asOf))['state']]).toEqual([asOf, expect.objectContaining({ status })]);
    }
  });

  it('is not shown to whoever lacks the scope, and not to another site’s auditor', async () => {
    for (const path of ['events', 'refusals', 'states/orders', 'events']) {
      expect([path, (await world.send('GET', `/api/audit/${path}?siteId=acme`, 'sam')).status]).toEqual([path, 403]);
      expect([path, (await world.send('GET', `/api/audit/${path}?siteId=acme`, 'globex')).status]).toEqual([path, 404]);
    }
    const theirs = await world.send('GET', '/api/audit/refusals?siteId=globex', 'globex');
    expect(theirs.body.items.map(({ resourceId }) => resourceId)).toEqual(['theirs']);
    expect((await world.command('PauseWebhookSubscription', 'globex', { webhookSubscriptionId: 'orders' })).status).toBe(404);
    expect((await world.send('GET', '/api/audit/refusals?siteId=acme', 'aud')).body.items).toHaveLength(refused.length);
  });

  it('loses no refusal that was answered before an orderly stop, however many came at once', async () => {
    const refusals = await Promise.all(Array.from({ length: 40 }, () => rotate('sam')));
    expect(new Set(refusals.map(slug))).toEqual(new Set(['approval-required']));
    following.abort();
    await reading;
    await world.server.close();
    world.server = await start(world.dataDir, world.logLines);
    while (!(await fetch(`${world.server.url}/health/ready`)).ok) await new Promise((resolve) => setTimeout(resolve, 10));
    const items = (await world.read('refusals', '&limit=500')).body.items.filter(({ code }) => code === 'approval-required').slice(0, -1);
    expect(items.reduce((sum, { suppressed }) => sum + 1 + Number(suppressed), 0)).toBe(40);
    expect(items.length).toBeLessThan(40);
    expect(world.logLines.filter((line) => /"level":"(error|fatal)"/.test(line))).toEqual([]);
  });
});
