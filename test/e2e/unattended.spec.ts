import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Api} from '../support/e2e/api.ts';
import { demo, kim } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';

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
});
