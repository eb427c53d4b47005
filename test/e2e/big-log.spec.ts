import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Api, demo, kim, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { startStoreProcess, type StoreProcess } from '../support/soak/store.ts';

const events = 200_000;
const rootKey = `root-${'b'.repeat(32)}`;

let store: StoreProcess;
let inbox: Inbox;
let server: ServerProcess;
let kimsKey: string;
let subscriptionId: string;
const folders: string[] = [];

/** On the log, with an empty data folder. */
const started = (until: 'ready' | 'listening'): Promise<ServerProcess> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'countersign-big-'));
  folders.push(dataDir);
  const environment = { KF_EVENT_STORE: store.url, KF_ROOT_KEY: rootKey, KF_MASTER_KEY: Buffer.alloc(32, 9).toString('base64'), KF_LOG_LEVEL: 'warn' };
  return startServer({ dataDir, environment, until });
};

beforeAll(async () => {
  store = await startStoreProcess();
  inbox = await Inbox.start();
  const bornMs = performance.now();
  const first = await started('ready');
  const root = new Api(first.url, rootKey);
  kimsKey = (await root.person(kim.id)).text;
  subscriptionId = (await root.subscribe(inbox.url('filled'), 'filled.*')).resourceId;
  const incarnation = await root.read<{ readonly items: readonly { readonly id: string; readonly type: string }[] }>(`/api/audit/events?siteId=${demo}&resourceId=${subscriptionId}`);
  await first.stop();
  await store.fill({ events, tenant: demo, subscriptionId, incarnation: incarnation.items[0]?.id ?? '' });
  // Who has read nothing of a log is as far behind as the log is old.
  await delay(Math.max(0, bornMs + 10_000 - performance.now()));
  server = await started('listening');
}, 240_000);
afterAll(async () => {
  await server?.stop();
  await inbox?.close();
  await store?.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}, 60_000);

describe(`a server with empty read models on a log of ${events} events`, () => {
  it('is not ready, and says how far behind it is, until it has caught up', async () => {
    const root = new Api(server.url, rootKey);
    const readiness = await root.get('/health/ready');
    expect([readiness.status, slugOf(readiness)]).toEqual([503, 'projection-behind']);
    expect(readiness.body['because']).toEqual(expect.arrayContaining([expect.stringMatching(/^the read model deliveries is \d+ s behind$/)]));
    const [byKey, approval, command, list] = await Promise.all([
      root.as(kimsKey).get(`/api/webhooks?siteId=${demo}`),
      root.command('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: subscriptionId, expiresOn: new Date(Date.now() + 3_600_000).toISOString() }),
      root.command('PauseWebhookSubscription', { webhookSubscriptionId: 'not-there' }),
      root.publish('filled.more').then(({ position }) => root.get(`/api/deliveries?siteId=${demo}&waitFor=${position}`)),
    ]);
    // A key may be revoked in what it has not read, who may approve stands there; what streams say is current.
    expect([byKey.status, slugOf(byKey)]).toEqual([503, 'store-unavailable']);
    expect([approval.status, slugOf(approval)]).toEqual([503, 'store-unavailable']);
    expect([command.status, slugOf(command)]).toEqual([404, 'not-found']);
    expect([list.status, slugOf(list)]).toEqual([503, 'projection-behind']);
    expect((await root.get('/health/ready')).status).toBe(503);
  }, 60_000);

  it('then knows all of it at once, and delivers what is new and nothing again', async () => {
    const root = new Api(server.url, rootKey);
    // Asked now and then only: each answer asks the store, which has better to do.
    await eventually('readiness', async () => ((await delay(500, root.get('/health/ready'))).status === 200 ? true : undefined), 240_000);
    const { eventId, position } = await root.publish('filled.more');
    const { items } = await root.as(kimsKey).read<{ readonly items: readonly { readonly eventId: string }[] }>(`/api/deliveries?siteId=${demo}&limit=500&waitFor=${position}`);
    expect(items.length).toBe(500);
    await eventually('the new ones', () => (inbox.in('filled').some(({ event }) => event.id === eventId) ? true : undefined), 30_000);
    expect(inbox.in('filled').map(({ event }) => event.type)).toEqual(['filled.more', 'filled.more']);
  }, 300_000);
});
