import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { Api, demo, kim, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Delivered, Inbox } from '../support/e2e/inbox.ts';
import { refusedStart } from '../support/e2e/refused-start.ts';
import { type EventStoreDb, startEventStoreDb } from '../support/eventstoredb/server.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';

const rootKey = `root-${'k'.repeat(32)}`;
const keys = { KF_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), KF_ROOT_KEY: rootKey };

/** A server with a data folder of its own, on a log that others may share. */
class Node {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'countersign-esdb-'));
  readonly #store: EventStoreDb;
  #server: ServerProcess | undefined;

  constructor(store: EventStoreDb) {
    this.#store = store;
  }

  async start(until: 'ready' | 'listening' = 'ready'): Promise<void> {
    const environment = { KF_EVENT_STORE: this.#store.url, ...keys, KF_RETRY_SCHEDULE: '0s,200ms,1s,1s,1s,1s,1s' };
    this.#server = await startServer({ dataDir: this.dataDir, environment, until });
  }

  get server(): ServerProcess {
    if (this.#server === undefined) throw new Error('the server does not run');
    return this.#server;
  }

  get root(): Api {
    return new Api(this.server.url, rootKey);
  }

  get log(): string {
    return readFileSync(join(this.dataDir, 'server.log'), 'utf8');
  }

  async readiness(): Promise<{ readonly status: number; readonly because: readonly string[] }> {
    const { status, body } = await this.root.get('/health/ready');
    return { status, because: (body['because'] ?? []) as readonly string[] };
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
    this.#server = undefined;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

const verifies = (secret: unknown, { body, headers }: Delivered): boolean => {
  new Webhook(String(secret)).verify(body, headers as Record<string, string>);
  return true;
};

let store: EventStoreDb;
let inbox: Inbox;
let one: Node;
let two: Node;
/** It takes half a minute, beside the others. */
let withoutStore: ReturnType<typeof refusedStart>;
const folder = mkdtempSync(join(tmpdir(), 'countersign-esdb-'));

beforeAll(async () => {
  withoutStore = refusedStart({ ...keys, KF_DATA_DIR: folder, KF_EVENT_STORE: 'esdb://me:hush-hush@127.0.0.1:1?tls=true', DEBUG: 'esdb:*' }, 60_000);
  store = await startEventStoreDb();
  inbox = await Inbox.start();
  one = new Node(store);
  two = new Node(store);
  await one.start();
}, 60_000);
afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await inbox?.close();
  await store?.stop();
  rmSync(folder, { recursive: true });
}, 60_000);

/** A subscription with a box of its own. */
const subscribed = async (name: string, deliveryMode = 'AT_LEAST_ONCE'): Promise<{ readonly id: string; readonly secret: unknown }> => {
  const { resourceId, result } = await one.root.subscribe(inbox.url(name), `${name}.*`, { deliveryMode });
  return { id: resourceId, secret: result.secret };
};

const published = async (node: Node, name: string, count: number): Promise<string[]> => {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await node.root.publish(`${name}.happened`, { n })).eventId);
  return ids;
};

const allIn = (box: string, ids: readonly string[], withinMs = 30_000): Promise<true> =>
  eventually(`${ids.length} events in ${box}`, () => (ids.every((id) => inbox.in(box).some(({ event }) => event.id === id)) ? true : undefined), withinMs);

describe('a server on an EventStoreDB', () => {
  it('delivers what is published, signed, and keeps no key in its data folder', async () => {
    const { secret } = await subscribed('first');
    const ids = await published(one, 'first', 3);
    await allIn('first', ids);
    for (const request of inbox.in('first')) expect(verifies(secret, request)).toBe(true);
    expect(readdirSync(one.dataDir).filter((name) => /\.key$|^events\.db/.test(name))).toEqual([]);
  });

  it('changes a secret only with an approval by another person', async () => {
    const { id, secret } = await subscribed('gated');
    const approver = await one.root.person('usr_kim');
    const refused = await one.root.command('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: id });
    expect([refused.status, slugOf(refused)]).toEqual([403, 'approval-required']);
    const { resourceId: approvalId, revision } = await one.root.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: id, expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
    await one.root.as(approver.text).do('GrantApproval', { approvalId }, { actor: kim, expectedRevision: revision });
    const { result } = await one.root.do('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: id });
    await allIn('gated', await published(one, 'gated', 1));
    expect(inbox.in('gated').map((request) => verifies(secret, request) && verifies(result.secret, request))).toEqual([true]);
    const story = await one.root.read<{ readonly entries: readonly unknown[] }>(`/api/audit/stories/${approvalId}?siteId=${demo}`);
    expect(JSON.stringify(story)).toContain('usr_kim');
  });

  it('leaves backups to the EventStoreDB, and says so', async () => {
    const { text } = await one.root.ask('POST', '/api/backups');
    expect(text).toContain('is backed up with its own means');
  });

  it('recovers dead letters', async () => {
    let status = 410;
    const { resourceId } = await one.root.subscribe(inbox.url('dead', () => ({ status })), 'dead.*', { deliveryMode: 'BEST_EFFORT' });
    await published(one, 'dead', 1);
    await eventually('the dead letter', async () => ((await one.root.deliveries(resourceId, '&status=DEAD_LETTERED')).items.length === 1 ? true : undefined));
    status = 200;
    await one.root.command('ResumeWebhookSubscription', { webhookSubscriptionId: resourceId });
    const started = await one.root.ask('POST', `/api/webhooks/${resourceId}/recover?siteId=${demo}`, { body: { since: new Date(Date.now() - 3_600_000).toISOString(), status: ['DEAD_LETTERED'] } });
    expect(started.status).toBe(201);
    await eventually('the delivery', async () => ((await one.root.deliveries(resourceId, '&status=DELIVERED')).items.length === 1 ? true : undefined));
  });

  it('goes on where it was after a restart, at once, because it has released its roles', async () => {
    const { secret } = await subscribed('again');
    await one.stop();
    const startedMs = performance.now();
    await one.start();
    expect(performance.now() - startedMs).toBeLessThan(12_000);
    await allIn('again', await published(one, 'again', 2));
    expect(inbox.in('again').map((request) => verifies(secret, request))).toEqual([true, true]);
  }, 60_000);

  it('answers 503 within its deadline while the store is away, and goes on by itself when it is back', async () => {
    const { id } = await subscribed('away', 'ORDERED');
    const pid = one.server.pid;
    const acknowledged: string[] = [];
    const refused: { readonly slug: string; readonly afterMs: number }[] = [];
    let isOver = false;
    const publisher = async (): Promise<void> => {
      while (!isOver) {
        const sentMs = performance.now();
        const answer = await one.root.ask('POST', `/api/events?siteId=${demo}`, { body: { type: 'away.happened', data: {} } });
        const [item] = (answer.body['items'] ?? []) as { readonly eventId: string }[];
        if (answer.status === 200 && item !== undefined) acknowledged.push(item.eventId);
        else refused.push({ slug: `${answer.status} ${slugOf(answer)}`, afterMs: performance.now() - sentMs });
      }
    };
    const publishing = Promise.all([publisher(), publisher(), publisher()]);
    await eventually('some events', () => (acknowledged.length >= 30 ? true : undefined));
    await store.down();
    await eventually('some refusals', () => (refused.length >= 5 ? true : undefined), 30_000);
    const command = await one.root.command('PauseWebhookSubscription', { webhookSubscriptionId: id });
    expect(command.status).toBe(503);
    expect((await one.readiness()).status).toBe(503);
    const before = acknowledged.length;
    await store.up();
    await eventually('events again', () => (acknowledged.length >= before + 30 ? true : undefined), 30_000);
    isOver = true;
    await publishing;
    await allIn('away', acknowledged);
    await eventually('readiness', async () => ((await one.readiness()).status === 200 ? true : undefined), 30_000);
    expect(new Set(refused.map(({ slug }) => slug))).toEqual(new Set(refused.map(({ slug }) => slug).filter((slug) => slug === '503 store-unavailable' || slug === '503 outcome-unknown')));
    expect(Math.max(...refused.map(({ afterMs }) => afterMs))).toBeLessThan(10_000);
    expect(one.server.pid).toBe(pid);
    expect((await one.root.command('PauseWebhookSubscription', { webhookSubscriptionId: id })).status).toBe(200);
  }, 120_000);
});

describe('a second server on the same log', () => {
  it('takes commands, refuses to dispatch and says why', async () => {
    await two.start('listening');
    const { because } = await eventually('its reasons', async () => {
      const readiness = await two.readiness();
      // It reads the log, too, before it is where it stays.
      return readiness.because.length > 0 && readiness.because.every((reason) => reason.includes('does it on this log')) ? readiness : undefined;
    });
    expect(because).toEqual(['sagas', 'dispatcher'].map((role) => expect.stringMatching(new RegExp(`^this process does not do the work of the role ${role}: another process, .*\\(process ${one.server.pid}\\), does it on this log`))));
    expect(two.log).toMatch(/"alarm":"role-refused","role":"dispatcher"/);
    const { body } = await two.root.get('/api/status');
    const waits = { state: 'WAITING', why: expect.stringContaining(`(process ${one.server.pid})`) };
    expect(body).toMatchObject({
      status: 'NOT_READY', because, coordination: { by: 'log', unheard: expect.stringContaining('Redis') }, unowned: null,
      processes: [{ roles: [{ role: 'api', state: 'HELD' }, { role: 'sagas', ...waits }, { role: 'dispatcher', ...waits }], sagas: [], partitions: [] }],
    });
    await subscribed('second');
    await allIn('second', await published(two, 'second', 2));
    const delivered = inbox.in('second').length;
    expect(two.log).not.toContain('"msg":"attempt"');
    expect(delivered).toBe(2);
  }, 60_000);

  it('takes over what the first has not done when that one is killed', async () => {
    let answers = false;
    const { resourceId } = await one.root.subscribe(inbox.url('killed', () => ({ status: answers ? 200 : 500 })), 'killed.*');
    const ids = await published(one, 'killed', 20);
    await inbox.arrived('killed', 5);
    await one.kill();
    answers = true;
    ids.push(...(await published(two, 'killed', 5)));
    await eventually('the takeover', async () => ((await two.readiness()).status === 200 ? true : undefined), 40_000);
    await allIn('killed', ids);
    await eventually('every delivery', async () => ((await two.root.deliveries(resourceId, '&status=DELIVERED&limit=100')).items.length === 25 ? true : undefined), 30_000);
    expect(two.log).toMatch(/"role":"dispatcher","msg":"the role is this process’s"/);
  }, 120_000);

  it('keeps the roles when the first comes back, and gives them to it when it stops', async () => {
    await one.start('listening');
    await eventually('its reasons', async () => ((await one.readiness()).because.some((reason) => reason.includes(`process ${two.server.pid}`)) ? true : undefined));
    await two.stop();
    await eventually('the first again', async () => ((await one.readiness()).status === 200 ? true : undefined), 20_000);
    await allIn('second', await published(one, 'second', 1));
  }, 60_000);
});

describe('a server whose store is away at its start', () => {
  it('waits for it', async () => {
    const late = await startEventStoreDb();
    await late.down();
    const node = new Node(late);
    try {
      const started = node.start();
      await eventually('the first look', () => (node.log.includes('the event store') ? true : undefined));
      await late.up();
      await started;
      expect((await node.readiness()).status).toBe(200);
    } finally {
      await node.end();
      await late.stop();
    }
  }, 60_000);

  it('waits for it too when it gets busy just after it was opened', async () => {
    const busy = await startEventStoreDb();
    // What the first start writes.
    busy.misbehave.refuse('busy', 'writes');
    const node = new Node(busy);
    try {
      const started = node.start();
      await eventually('the first refusal', () => (node.log.includes('Server Is Too Busy') ? true : undefined));
      busy.misbehave.behave();
      await started;
      expect((await node.readiness()).status).toBe(200);
    } finally {
      await node.end();
      await busy.stop();
    }
  }, 60_000);

  it('ends after 30 s, says why, and shows no password, also when the client says all that it does', async () => {
    const { code, err, all } = await withoutStore;
    expect(code).toBe(1);
    expect(err).toMatch(/^Countersign did not start: the event store of KF_EVENT_STORE has not answered for 30 s$/m);
    expect(all).toContain('esdb:connection');
    expect(all).not.toContain('hush');
  }, 60_000);
});
