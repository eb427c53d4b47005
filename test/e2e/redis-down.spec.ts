import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Api } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { type EventStoreDb, startEventStoreDb } from '../support/eventstoredb/server.ts';
import { describeWithRedis, type RedisProcess, startRedis } from '../support/redis-process.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';

const rootKey = `root-${'k'.repeat(32)}`;

describeWithRedis('two servers whose Redis is away', () => {
  const folders = ['one', 'two'].map((name) => mkdtempSync(join(tmpdir(), `countersign-redis-down-${name}-`)));
  let redis: RedisProcess;
  let store: EventStoreDb;
  let inbox: Inbox;
  let servers: readonly ServerProcess[] = [];
  let one: Api;
  let two: Api;
  const kept = { id: '', eventId: '' };

  beforeAll(async () => {
    redis = await startRedis();
    await redis.kill();
    store = await startEventStoreDb();
    inbox = await Inbox.start();
    const environment = { KF_EVENT_STORE: store.url, KF_REDIS: `redis://127.0.0.1:${redis.port}`, KF_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), KF_ROOT_KEY: rootKey };
    servers = await Promise.all(folders.map((dataDir) => startServer({ dataDir, environment })));
    [one, two] = servers.map(({ url }) => new Api(url, rootKey)) as [Api, Api];
    kept.id = (await one.subscribe(inbox.url('kept'), 'kept.*')).resourceId;
  }, 60_000);
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await inbox.close();
    await store.stop();
    await redis.dispose();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('take commands, each key for one effect, whichever of them is asked', async () => {
    const idempotencyKey = randomUUID();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? one : two).command('PauseWebhookSubscription', { webhookSubscriptionId: kept.id }, { idempotencyKey })));
    const done = answers.filter(({ status }) => status === 200);
    // The log alone decides: of two who are first, one is told so.
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done.map(({ body }) => body['position']))).toHaveProperty('size', 1);
    expect(answers.filter(({ status }) => status !== 200 && status !== 409)).toEqual([]);
    expect(await two.command('PauseWebhookSubscription', { webhookSubscriptionId: kept.id }, { idempotencyKey })).toMatchObject({ status: 200, body: { outcome: 'APPLIED', replayed: true } });
    expect(await two.command('ResumeWebhookSubscription', { webhookSubscriptionId: kept.id })).toMatchObject({ status: 200, body: { outcome: 'APPLIED' } });
  }, 30_000);

  it('are ready, and say that nobody sends, and why', async () => {
    expect((await one.get('/health/ready')).status).toBe(200);
    const { body } = await one.get('/api/status');
    expect(body).toMatchObject({ status: 'READY', coordination: { by: 'redis', unheard: expect.stringContaining(`Redis at 127.0.0.1:${redis.port}`) } });
    expect(body['processes']).toMatchObject([{ partitions: [], roles: [{ role: 'api', state: 'HELD' }, { role: 'sagas', state: 'SUSPENDED' }, { role: 'dispatcher', state: 'SUSPENDED', why: expect.stringContaining('Redis') }] }]);
  });

  it('send what was published meanwhile when it is back, once, without a restart', async () => {
    kept.eventId = (await two.publish('kept.happened', { n: 1 })).eventId;
    expect(inbox.in('kept')).toEqual([]);
    await redis.start();
    await eventually('the delivery', () => inbox.in('kept').find(({ event }) => event.id === kept.eventId), 60_000);
    const { items } = (await eventually('its outcome', async () => {
      const { body } = await one.get('/api/deliveries?siteId=tnt_demo');
      const found = body as { readonly items: readonly { readonly status: string; readonly attempts: number }[] };
      return found.items[0]?.status === 'DELIVERED' ? found : undefined;
    })) as { readonly items: readonly unknown[] };
    expect(items).toMatchObject([{ status: 'DELIVERED', attempts: 1 }]);
    expect(inbox.in('kept')).toHaveLength(1);
  }, 90_000);
});
