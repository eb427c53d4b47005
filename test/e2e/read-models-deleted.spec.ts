import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/e2e/eventually.ts';
import { engine, Home } from '../support/e2e/home.ts';
import { type Received, type ReceiverProcess, startReceiverProcess } from '../support/receiver.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { type HttpReceiver, startReceiver } from '../support/webhook-receivers.ts';

const operator = { type: 'USER', id: 'operator' };
/** So many that a rebuild folds the schedule of some deliveries before their outcome. */
const events = engine === 'sqlite' ? 400 : 120;

describe('read models that are deleted', () => {
  let home: Home;
  let receiver: ReceiverProcess;
  /** It refuses every delivery, which waits for a retry that does not come in this test. */
  let refusing: HttpReceiver;
  let server: ServerProcess;
  let received: Received[];
  let onReceived: () => void;

  beforeEach(async () => {
    received = [];
    onReceived = () => undefined;
    home = new Home();
    receiver = await startReceiverProcess((one) => {
      received.push(one);
      onReceived();
    });
    refusing = await startReceiver((response) => void response.writeHead(404).end());
    server = await start();
  }, 60_000);
  afterEach(async () => {
    await server.stop();
    await receiver.close();
    await refusing.close();
    await home.remove();
  });

  const start = async (): Promise<ServerProcess> => startServer({ dataDir: home.dataDir, environment: { ...(await home.environment()), KF_RETRY_SCHEDULE: '0s,2h' } });

  async function json<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
    const answer = await fetch(`${server.url}${path}`, { ...init, headers: { authorization: `Bearer ${server.rootKey}`, ...init.headers } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as Answer;
  }
  const post = <Answer>(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    json(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });
  const command = (commandType: string, payload: object): Promise<{ resourceId: string; position: string }> =>
    post(`/api/commands/${commandType}`, { tenant: 'acme', actor: operator, payload }, { 'idempotency-key': randomUUID() });
  const subscribe = (webhookSubscriptionId: string, targetUrl: string): Promise<object> =>
    command('UpsertWebhookSubscription', { webhookSubscriptionId, targetUrl, eventPattern: 'order.*', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' });
  const publish = async (count: number): Promise<readonly { readonly eventId: string; readonly position: string }[]> => {
    const made = Array.from({ length: count }, (_, number) => ({ eventId: randomUUID(), type: 'order.placed', data: { number } }));
    return (await post<{ items: readonly { eventId: string; position: string }[] }>('/api/events?siteId=acme', made)).items;
  };
  const untilReceived = async (count: number): Promise<void> => {
    while (received.length < count) await new Promise<void>((resolve) => (onReceived = resolve));
  };
  const open = async (): Promise<number> => Number(/^countersign_deliveries_open (\d+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]);
  const scheduled = async (): Promise<number> => (await json<{ items: readonly object[] }>('/api/webhooks/dead/deliveries?siteId=acme&status=SCHEDULED&limit=500')).items.length;

  /** Everything that is read from the read models, once they have seen the position. */
  async function lists(waitFor: string, eventId: string): Promise<readonly object[]> {
    const deliveries = (id: string): string => `/api/webhooks/${id}/deliveries?siteId=acme&limit=500`;
    const paths = [deliveries('one'), deliveries('two'), deliveries('dead'), '/api/approvals?siteId=acme', '/api/keys'];
    const read = await Promise.all(paths.map((path) => json<{ items: readonly object[] }>(`${path}${path.includes('?') ? '&' : '?'}waitFor=${waitFor}`)));
    return [...read, await json<object>(`/api/events/${eventId}?siteId=acme`)];
  }

  it('come back from the log as they were, and no receiver notices', async () => {
    await subscribe('one', `${receiver.url}/one`);
    await subscribe('two', `${receiver.url}/two`);
    await subscribe('dead', refusing.url);
    const key = await command('CreateApiKey', { name: 'approver', scopes: ['site:acme:approve'], actor: { type: 'USER', id: 'approver' } });
    await json(`/api/keys?waitFor=${key.position}`);
    const published = await publish(events);
    await untilReceived(2 * events);
    await command('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'one', expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
    const { position } = await command('PauseWebhookSubscription', { webhookSubscriptionId: 'two' });
    // The outcomes are recorded after the receivers have answered; what can't be delivered stays open.
    await eventually('every outcome', async () => ((await open()) === events && (await scheduled()) === events ? true : undefined));
    await server.stop();
    server = await start();
    const eventId = published[0]?.eventId ?? '';
    const before = await lists(position, eventId);
    expect(before.slice(0, 5).map((list) => (list as { items: readonly object[] }).items.length)).toEqual([events, events, events, 1, 1]);

    await server.stop();
    for (const suffix of ['', '-wal', '-shm']) await rm(join(home.dataDir, `read-models.db${suffix}`), { force: true });
    server = await start();
    expect(await lists(position, eventId)).toEqual(before);

    // Were anything of the past sent again, it would be before what is published now.
    const [after] = await publish(1);
    await untilReceived(2 * events + 1);
    expect(received.slice(2 * events).map(({ path, body }) => [path, (JSON.parse(body) as { id: string }).id])).toEqual([['/one', after?.eventId]]);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(received.length);
  }, 60_000);
});
