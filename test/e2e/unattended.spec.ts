import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Api} from '../support/e2e/api.ts';
import { demo, kim, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { refusedStart } from '../support/e2e/refused-start.ts';

jest.setTimeout(30_000);

let installation: Installation;
let inbox: Inbox;
beforeEach(async () => {
  inbox = await Inbox.start();
  installation = new Installation();
});
afterEach(async () => {
  await inbox.close();
  await installation.end();
});

const settings = { eventPattern: 'never.matched', targetUrl: 'https://127.0.0.1:9/', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };

/** Publishes and commands without pause until the server goes away: what was acknowledged, and what got no answer. */
class Clients {
  readonly published = new Set<string>();
  readonly created = new Map<string, string>();
  readonly unanswered: string[] = [];
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  run(lanes: number): Promise<unknown> {
    return Promise.all(Array.from({ length: lanes }, (_, lane) => (lane % 4 === 0 ? this.#create() : this.#publish())));
  }

  async #publish(): Promise<void> {
    for (;;) {
      const eventId = randomUUID();
      const answer = await this.#answer(() => this.#api.ask('POST', `/api/events?siteId=${demo}`, { body: { eventId, type: 'busy.event', data: {} } }));
      if (answer === undefined) return void this.unanswered.push(eventId);
      this.published.add(eventId);
    }
  }

  async #create(): Promise<void> {
    for (;;) {
      const id = `whs-${randomUUID()}`;
      const answer = await this.#answer(() => this.#api.command('UpsertWebhookSubscription', { ...settings, webhookSubscriptionId: id }));
      if (answer === undefined) return;
      this.created.set(id, String(answer.body['commandId']));
    }
  }

  /** Undefined when the server is gone. Anything else than success is a failure of the test. */
  async #answer<T extends { readonly status: number; readonly text: string }>(ask: () => Promise<T>): Promise<T | undefined> {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined && answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return answer;
  }
}

describe('asked to stop in the middle of work', () => {
  it('it loses nothing that was acknowledged, sends nothing twice, and goes on where it was', async () => {
    await installation.startServer({ KF_LOG_LEVEL: 'warn' });
    const slowly = async (): Promise<object> => {
      await delay(30);
      return {};
    };
    await installation.root.subscribe(inbox.url('busy', slowly), 'busy.*');
    await installation.root.subscribe(inbox.url('busy-ordered'), 'busy.*', { deliveryMode: 'ORDERED' });
    const clients = new Clients(installation.root);
    const busy = clients.run(16);
    await inbox.arrived('busy', 40);
    await installation.stop();
    await busy;
    const backlog = clients.published.size - inbox.in('busy').length;
    expect(backlog).toBeGreaterThan(0);

    await installation.startServer({ KF_LOG_LEVEL: 'warn' });
    const api = installation.root;
    for (const [id, commandId] of clients.created) expect(await api.read(`/api/commands/${commandId}?siteId=${demo}`)).toMatchObject({ resourceId: id, outcome: 'APPLIED' });
    for (const eventId of clients.unanswered) clients.published.add((await api.publishOne({ eventId, type: 'busy.event', data: {} })).eventId);
    for (const box of ['busy', 'busy-ordered']) {
      const received = (): readonly string[] => inbox.in(box).map(({ event }) => event.id);
      await eventually(`everything in ${box}`, () => (new Set(received()).size >= clients.published.size ? true : undefined), 30_000);
      expect(new Set(received())).toEqual(clients.published);
      expect(received()).toHaveLength(clients.published.size);
    }
    expect(inbox.in('busy-ordered').map(({ event }) => event.id)).toEqual(await inLogOrder(api, [...clients.published]));
    await eventually('nothing open', async () => (/^countersign_deliveries_open 0$/m.test((await api.get('/metrics')).text) ? true : undefined));
  }, 60_000);
});

async function inLogOrder(api: Api, eventIds: readonly string[]): Promise<readonly string[]> {
  const places: { readonly eventId: string; readonly position: bigint }[] = [];
  for (const eventId of eventIds) places.push({ eventId, position: BigInt((await api.read<{ position: string }>(`/api/events/${eventId}?siteId=${demo}`)).position) });
  return places.sort((a, b) => (a.position < b.position ? -1 : 1)).map(({ eventId }) => eventId);
}

describe('started again', () => {
  it('it knows its keys, what was answered under every idempotency key, who has paused, and what waits for an approval', async () => {
    await installation.startServer();
    const before = installation.root;
    const approver = await before.person(kim.id);
    const created = await before.subscribe(inbox.url('again'), 'again.*', { webhookSubscriptionId: 'again' }, { idempotencyKey: 'create-again' });
    const asked = await before.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'again', expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
    await before.publishOne({ eventId: 'again-1', type: 'again.event', data: {} });
    await inbox.arrived('again', 1);
    await before.do('PauseWebhookSubscription', { webhookSubscriptionId: 'again' });
    await installation.stop();
    await installation.startServer();

    const api = installation.root;
    expect(await api.subscribe(inbox.url('again'), 'again.*', { webhookSubscriptionId: 'again' }, { idempotencyKey: 'create-again' })).toMatchObject({ commandId: created.commandId, replayed: true, result: { secret: null } });
    expect(await api.publishOne({ eventId: 'again-1', type: 'again.event', data: {} })).toMatchObject({ status: 'DUPLICATE' });
    await api.publishOne({ eventId: 'again-missed', type: 'again.event', data: {} });
    await api.as(approver.text).do('GrantApproval', { approvalId: asked.resourceId }, { actor: kim, expectedRevision: asked.revision });
    expect((await api.do('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: 'again' })).result.secret).toMatch(/^whsec_/);
    await api.do('ResumeWebhookSubscription', { webhookSubscriptionId: 'again' });
    await api.publishOne({ eventId: 'again-2', type: 'again.event', data: {} });
    expect((await inbox.arrived('again', 2)).map(({ event }) => event.id)).toEqual(['again-1', 'again-2']);
  }, 30_000);

  it('with a root key from the environment it takes that one alone; without its root.key it makes another', async () => {
    await installation.startServer();
    const old = installation.server.rootKey;
    await installation.stop();
    const chosen = randomBytes(24).toString('hex');
    await installation.startServer({ KF_ROOT_KEY: chosen });
    expect((await installation.root.as(chosen).get('/api/whoami')).body).toMatchObject({ keyId: 'root' });
    expect((await installation.root.get('/api/whoami')).status).toBe(401);
    expect(installation.log).not.toContain(chosen);
    await installation.stop();
    rmSync(join(installation.dataDir, 'root.key'));
    await installation.startServer();
    expect(installation.server.rootKey).not.toBe(old);
    expect((await installation.root.get('/api/whoami')).status).toBe(200);
    expect(slugOf(await installation.root.as(old).get('/api/whoami'))).toBe('unauthenticated');
  });
});

describe('it refuses to start, says why, and leaves everything as it was', () => {
  const start = (environment: Readonly<Record<string, string>> = {}): ReturnType<typeof refusedStart> => refusedStart({ KF_DATA_DIR: installation.dataDir, ...environment });

  it('beside another on its folder, which goes on undisturbed', async () => {
    await installation.startServer();
    const second = await start();
    expect(second).toMatchObject({ code: 1, err: expect.stringContaining('in use by another process') });
    expect(second.err).toContain(installation.dataDir);
    await installation.root.subscribe(inbox.url('undisturbed'), 'still.here');
    await installation.root.publish('still.here');
    await inbox.arrived('undisturbed', 1);
  });

  it('on a port that is taken', async () => {
    const taken = new URL(inbox.url('any')).port;
    expect(await start({ KF_PORT: taken })).toMatchObject({ code: 1, err: expect.stringMatching(new RegExp(`did not start: .*${taken}`)) });
  });

  it('with variables it does not know or understand, and names each with the nearest, or with what is right', async () => {
    const { code, err } = await start({ KF_PROT: '1', KF_ALLOW_TARGET: 'loopback', KF_DATADIR: '/nowhere', KF_RETRY_SCHEDULE: '5s,1m', KF_ROLES: 'api,saga', KF_EVENT_STORE: 'redis', KF_PORT: '65536' });
    expect(code).toBe(2);
    for (const [unknown, nearest] of [['KF_PROT', 'KF_PORT'], ['KF_ALLOW_TARGET', 'KF_ALLOW_TARGETS'], ['KF_DATADIR', 'KF_DATA_DIR']]) expect(err).toContain(`${unknown} is not a known variable. Did you mean "${nearest}"?`);
    for (const [name, right] of [['KF_RETRY_SCHEDULE', 'starts with'], ['KF_ROLES', 'api, sagas, dispatcher'], ['KF_EVENT_STORE', 'sqlite'], ['KF_PORT', '0 to 65535']]) expect(err).toMatch(new RegExp(`${name} must be .*${right}`));
  });

  it('with an allowance that means nothing', async () => {
    expect(await start({ KF_ALLOW_TARGETS: 'loopback,10.0.0.1/8' })).toMatchObject({ code: 2, err: expect.stringContaining('10.0.0.1/8') });
  });

  it('with a log but without its master key, or with another one; with the right one it goes on', async () => {
    await installation.startServer();
    await installation.root.subscribe(inbox.url('sealed'), 'sealed.event');
    await installation.stop();
    const file = join(installation.dataDir, 'master.key');
    const masterKey = readFileSync(file, 'utf8');
    rmSync(file);
    expect(await start()).toMatchObject({ code: 1, err: expect.stringMatching(/master\.key/) });
    const another = randomBytes(32).toString('base64');
    const refused = await start({ KF_MASTER_KEY: another });
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/master key/i) });
    expect(refused.all).not.toContain(another);
    writeFileSync(file, masterKey, { mode: 0o600 });
    await installation.startServer();
    await installation.root.publish('sealed.event');
    await inbox.arrived('sealed', 1);
  });

  it('with a root key that others can read', async () => {
    await installation.startServer();
    await installation.stop();
    chmodSync(join(installation.dataDir, 'root.key'), 0o644);
    expect(await start()).toMatchObject({ code: 1, err: expect.stringMatching(/root\.key.*0600/) });
  });
});
