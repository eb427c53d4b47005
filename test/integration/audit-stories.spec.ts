import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readServerConfig } from '#config';
import type { Clock } from '#kernel';
import { createLog } from '#telemetry';
import { createServer, type Server } from '../../apps/server/server.ts';
import { systemClock, systemIds } from '../../apps/server/system.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type HttpReceiver, startReceiver } from '../support/webhook-receivers.ts';

jest.setTimeout(60_000);

type Body = Record<string, unknown>;
interface Entry {
  readonly position: string;
  readonly kind: string;
  readonly type: string;
  readonly actor: { readonly id: string } | null;
  readonly text: string;
  readonly commandId: string | null;
  readonly approvalId: string | null;
  readonly deliveryId: string | null;
}
interface Story {
  readonly kind: string;
  readonly entries: readonly Entry[];
  readonly signatures: readonly { readonly secretVersionId: string; readonly kind: string; readonly from: string; readonly until: string | null; readonly attempts: number; readonly deliveries: number; readonly deliveryIds: readonly string[] }[];
  readonly truncated: boolean;
}

const hourMs = 3_600_000;
let aheadMs = 0;
/** The machine's clock, which can be set ahead. */
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };

let folder: string;
let server: Server;
let receiver: HttpReceiver;
let rootKey: string;
let kim: string;
let sent = 0;

async function send(method: string, path: string, body?: unknown, key = rootKey): Promise<{ readonly status: number; readonly body: Body }> {
  const idempotencyKey = path.startsWith('/api/commands/') ? { 'idempotency-key': `k${(sent += 1)}` } : {};
  const answer = await fetch(server.url + path, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...idempotencyKey }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: answer.status, body: (await answer.json()) as Body };
}
async function command(type: string, payload: object, { actor = 'sam', key = rootKey, more = {} }: { actor?: string; key?: string; more?: object } = {}): Promise<Body> {
  const { status, body } = await send('POST', `/api/commands/${type}`, { tenant: 'acme', actor: { type: 'USER', id: actor }, ...more, payload }, key);
  if (status !== 200) throw new Error(`${type}: ${JSON.stringify(body)}`);
  return body;
}
const story = async (id: string): Promise<Story> => (await send('GET', `/api/audit/stories/${id}?siteId=acme`)).body as unknown as Story;
const explained = async (eventId: string, subscriptionId = 'orders'): Promise<Body> => (await send('GET', `/api/audit/explanations?siteId=acme&eventId=${eventId}&webhookSubscriptionId=${subscriptionId}`)).body;
const deliveryOf = (body: Body): string | undefined => (body['delivery'] as { id: string } | null)?.id;

/** Publishes and waits until it is delivered, and lists know; answers the delivery's id. */
async function delivered(eventId: string): Promise<string> {
  await send('POST', '/api/events?siteId=acme', { eventId, type: 'version.published', data: {} });
  const why = await eventually(`${eventId} is delivered`, async () => {
    const body = await explained(eventId);
    return body['code'] === 'delivered' ? body : undefined;
  });
  const id = deliveryOf(why) ?? '';
  await eventually('the lists know', async () => ((await send('GET', `/api/webhooks/orders/deliveries/${id}?siteId=acme`)).body['status'] === 'DELIVERED' ? true : undefined));
  return id;
}

const deliveries: Record<string, string> = {};
let approvalId: string;
let commandId: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-stories-'));
  receiver = await startReceiver();
  server = await createServer({
    config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: folder, KF_ALLOW_TARGETS: 'loopback' }),
    clock,
    ids: systemIds,
    log: createLog('info', { write: () => undefined }),
    version: '0.0.0-test',
    processMetrics: false,
    onFatal: (error) => {
      throw error;
    },
  });
  rootKey = readFileSync(join(folder, 'root.key'), 'utf8').trim();
  await command('UpsertWebhookSubscription', { webhookSubscriptionId: 'orders', eventPattern: 'version.*', targetUrl: receiver.url, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' });
  kim = String(((await command('CreateApiKey', { name: 'kim', scopes: ['site:acme:approve'], actor: { type: 'USER', id: 'kim' } }))['result'] as Body)['secret']);
  deliveries['before'] = await delivered('before');
  const asked = await command('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'orders', expiresOn: new Date(clock.now() + hourMs).toISOString(), reason: 'it was in a log' });
  approvalId = String(asked['resourceId']);
  await command('GrantApproval', { approvalId, reason: 'as agreed' }, { actor: 'kim', key: kim, more: { expectedRevision: asked['revision'] } });
  commandId = String((await command('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: 'orders', graceSeconds: 3_600 }))['commandId']);
  deliveries['in grace'] = await delivered('in-grace');
  aheadMs = 2 * hourMs;
  deliveries['after'] = await delivered('after');
}, 60_000);
afterAll(async () => {
  await server.close();
  await receiver.close();
  rmSync(folder, { recursive: true });
});

/** Ids of deliveries by the words they have here. */
const named = (ids: readonly string[]): readonly string[] => ids.map((id) => Object.entries(deliveries).find(([, known]) => known === id)?.[0] ?? id).sort();

describe('the story of a governed rotation', () => {
  it.each(['its approval', 'its command'])('by %s: who asked, who granted, when, which command used it, and what that changed', async (by) => {
    const { kind, entries, truncated } = await story(by === 'its approval' ? approvalId : commandId);
    expect([kind, truncated]).toEqual([by === 'its approval' ? 'APPROVAL' : 'COMMAND', false]);
    const told = entries.filter(({ type }) => type !== 'ApprovalUseMirrored').map(({ kind: what, text }) => [what, text]);
    expect(told).toEqual([
      ['REQUEST', expect.stringMatching(/^USER:sam asked for approval of RotateWebhookSubscriptionSecret on orders, by 1 and until .*: "it was in a log"\.$/)],
      ['VOTE', 'USER:kim voted to grant it: "as agreed".'],
      ['DECISION', 'With that it had the votes it needs and was granted.'],
      ['COMMAND', `USER:sam sent command ${commandId}: RotateWebhookSubscriptionSecret on orders.`],
      ['CHANGE', expect.stringMatching(/^USER:sam rotated the secret of subscription orders: version \S+ signs from now on, the one before \(\S+\) beside it until .*Z\.$/)],
      ['DECISION', `Command ${commandId} used approval ${approvalId} up, in the same append as its effect.`],
      ['COMMAND', `Command ${commandId} (RotateWebhookSubscriptionSecret on orders) took effect, with approval ${approvalId}.`],
    ]);
  });

  it.each(['its approval', 'its command', 'its subscription'])('by %s: which deliveries were signed with which version of the secret, before, in and after the grace window', async (by) => {
    const ids: Readonly<Record<string, string>> = { 'its approval': approvalId, 'its command': commandId, 'its subscription': 'orders' };
    const { signatures } = await story(ids[by] ?? '');
    const [old, current] = signatures.map(({ deliveryIds, ...rest }) => ({ ...rest, deliveries: named(deliveryIds) }));
    expect([old, current]).toEqual([expect.objectContaining({ kind: 'RETIRED', attempts: 2, deliveries: ['before', 'in grace'] }), expect.objectContaining({ kind: 'CURRENT', attempts: 2, deliveries: ['after', 'in grace'], until: null })]);
    expect([signatures.length, ...signatures.map(({ deliveries: count }) => count)]).toEqual([2, 2, 2]);
    expect(Date.parse(old?.until ?? '') - Date.parse(current?.from ?? '')).toBe(hourMs);
  });

  it('ends with the use, noted with the approval', async () => {
    await eventually('the mirror', async () => ((await story(approvalId)).entries.some(({ type }) => type === 'ApprovalUseMirrored') ? true : undefined));
  });
});

describe('the story of', () => {
  it('a subscription: its changes, who made them and with which approval', async () => {
    const { kind, entries } = await story('orders');
    expect(kind).toBe('SUBSCRIPTION');
    expect(entries.map(({ type, actor, approvalId: by }) => [type, actor?.id, by])).toEqual([['WebhookSubscriptionCreated', 'sam', null], ['WebhookSubscriptionSecretRotated', 'sam', approvalId]]);
  });

  it('a delivery: the event it carries, its schedule, its attempts, the versions that signed them', async () => {
    const { kind, entries, signatures } = await story(deliveries['in grace'] ?? '');
    expect([kind, entries.map(({ type }) => type)]).toEqual(['DELIVERY', ['EventPublished', 'WebhookDeliveryScheduled', 'WebhookDeliverySucceeded']]);
    expect(signatures.map(({ kind: which, attempts }) => [which, attempts])).toEqual([['RETIRED', 1], ['CURRENT', 1]]);
  });

  it('an event, by its id or the id of the command that published it: each delivery with its attempts', async () => {
    const { kind, entries } = await story('after');
    expect([kind, entries.map(({ type, deliveryId }) => [type, deliveryId])]).toEqual(['EVENT', [['EventPublished', null], ['WebhookDeliveryScheduled', deliveries['after']], ['WebhookDeliverySucceeded', deliveries['after']]]]);
    const byCommand = await story(entries[0]?.commandId ?? '');
    expect([byCommand.kind, byCommand.entries]).toEqual(['COMMAND', entries]);
  });

  it('a command that was no change, and an API key', async () => {
    const again = await command('ResumeWebhookSubscription', { webhookSubscriptionId: 'orders' });
    expect((await story(String(again['commandId']))).entries.map(({ text }) => text)).toEqual([expect.stringContaining('sent command'), expect.stringContaining('changed nothing')]);
    const [key] = ((await send('GET', '/api/keys')).body['items'] as { id: string }[]).map(({ id }) => id);
    const { body } = await send('GET', `/api/audit/stories/${key}?siteId=acme`);
    expect(JSON.stringify(body)).toContain('[withheld]');
    expect(body).toMatchObject({ kind: 'KEY', entries: [{ text: expect.stringContaining('made API key') }] });
  });

  it('nothing: 404, also for what another site has', async () => {
    for (const [id, site] of [['nothing', 'acme'], [commandId, 'other'], ['orders', 'other'], ['after', 'other'], ['00000000-0000-5000-8000-000000000000', 'acme'], ['%2E%2E%2F', 'acme']] as const) {
      expect([id, site, (await send('GET', `/api/audit/stories/${id}?siteId=${site}`)).status]).toEqual([id, site, 404]);
    }
  });
});

describe('an explanation', () => {
  it('says what is missing of the question', async () => {
    const { status, body } = await send('GET', '/api/audit/explanations?siteId=acme&eventId=after');
    expect([status, body['errors']]).toEqual([400, [{ path: 'webhookSubscriptionId', message: expect.stringContaining('is required') }]]);
  });

  it('shows the delivery as lists do, and names the event of the log', async () => {
    const listed = (await send('GET', `/api/webhooks/orders/deliveries/${deliveries['after']}?siteId=acme`)).body;
    const why = await explained('after');
    expect(why).toMatchObject({ code: 'delivered', delivered: true, subscription: { revision: 2 }, because: { type: 'WebhookDeliverySucceeded' } });
    expect(listed).toMatchObject(why['delivery'] as object);
    expect(await explained('after', 'nobody')).toMatchObject({ code: 'never-existed', event: { type: 'version.published' } });
    expect(await explained('nothing')).toMatchObject({ code: 'never-existed', event: null, sentence: 'There never was an event nothing in site acme.' });
  });

  it('of a test’s event: sent to the one it was made for, whatever its pattern', async () => {
    await command('UpsertWebhookSubscription', { webhookSubscriptionId: 'other', eventPattern: 'claim.*', targetUrl: receiver.url, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' });
    const { eventId } = (await command('TestWebhookSubscription', { webhookSubscriptionId: 'other' }))['result'] as { readonly eventId: string };
    const why = await eventually('the test is delivered', async () => {
      const body = await explained(eventId, 'other');
      return body['code'] === 'delivered' ? body : undefined;
    });
    expect(why['notes']).toEqual([expect.stringContaining('synthetic')]);
    expect(await explained(eventId, 'orders')).toMatchObject({ code: 'pattern-mismatch', sentence: expect.stringContaining('made to try another subscription, other') });
    expect((await story(eventId)).entries.map(({ type }) => type)).toEqual(['EventPublished', 'WebhookDeliveryScheduled', 'WebhookDeliverySucceeded']);
  });
});

describe('a replay', () => {
  const messages = async (query = ''): Promise<readonly (readonly [event: string, data: Body])[]> => {
    const answer = await fetch(`${server.url}/api/audit/replay?siteId=acme${query}`, { headers: { authorization: `Bearer ${rootKey}` } });
    const blocks = (await answer.text()).split('\n\n').filter((block) => block.startsWith('event: '));
    return blocks.map((block) => [/^event: (.*)$/m.exec(block)?.[1] ?? '', JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '{}') as Body]);
  };

  it('comes to the live digest', async () => {
    const all = await messages();
    expect(all[0]).toEqual(['connected', { position: '0', head: expect.any(String) }]);
    expect(all.at(-1)).toEqual(['result', { position: expect.any(String), events: expect.any(Number), digest: expect.stringMatching(/^[0-9a-f]{64}$/), livePosition: expect.any(String), liveDigest: expect.any(String), equal: true }]);
    expect((await messages('&to=5')).at(-1)).toMatchObject(['result', { position: '5', liveDigest: null, equal: null }]);
  });

  it('is refused while another runs, and for a position that is none', async () => {
    const [one, other] = await Promise.all([fetch(`${server.url}/api/audit/replay?siteId=acme`, { headers: { authorization: `Bearer ${rootKey}` } }), fetch(`${server.url}/api/audit/replay?siteId=acme`, { headers: { authorization: `Bearer ${rootKey}` } })]);
    const statuses = [one.status, other.status].sort();
    await Promise.all([one.text(), other.text()]);
    expect(statuses).toEqual([200, 409]);
    expect([(await send('GET', '/api/audit/replay?siteId=acme&to=x')).status, (await send('GET', '/api/audit/replay?siteId=acme&to=99999999')).status]).toEqual([400, 400]);
  });
});
