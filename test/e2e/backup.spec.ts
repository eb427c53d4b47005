import { randomUUID } from 'node:crypto';
import { copyFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type Answer, type Api, demo, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Delivered, Inbox, type Reply } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { type Run, Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(60_000);

interface Published {
  readonly eventId: string;
  readonly position: string;
}

const upTo = (position: string) => (one: Published): boolean => BigInt(one.position) <= BigInt(position);

/** Publishes batches one after the other until it is ended. */
class Load {
  readonly acknowledged: Published[] = [];
  #over = false;
  readonly #running: Promise<void>;

  constructor(api: Api) {
    this.#running = this.#publish(api);
  }

  async #publish(api: Api): Promise<void> {
    while (!this.#over) {
      const batch = Array.from({ length: 20 }, () => ({ eventId: randomUUID(), type: 'load.made', data: { filling: 'x'.repeat(2_000) } }));
      const { body } = await api.ask('POST', `/api/events?siteId=${demo}`, { body: batch });
      this.acknowledged.push(...(body['items'] as Published[]));
    }
  }

  more(count: number): Promise<boolean> {
    const wanted = this.acknowledged.length + count;
    return eventually('more acknowledged events', () => (this.acknowledged.length >= wanted ? true : undefined), 20_000);
  }

  end(): Promise<void> {
    this.#over = true;
    return this.#running;
  }
}

describe('a backup that was taken under load, restored into a new folder after kill -9', () => {
  const original = new Installation();
  const restored = new Installation();
  let inbox: Inbox;
  let terminal: Terminal;
  let load: Load;
  let backup: Run;
  let position: string;
  let secret: string;
  let subscribed: Answer;
  let held: Delivered;

  const subscribe = (api: Api, url: string): Promise<Answer> =>
    api.command('UpsertWebhookSubscription', { webhookSubscriptionId: 'orders', targetUrl: url, eventPattern: 'order.*', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' }, { idempotencyKey: 'subscribe-once' });

  beforeAll(async () => {
    inbox = await Inbox.start();
    await original.startServer();
    subscribed = await subscribe(original.root, inbox.url('orders'));
    secret = String((subscribed.body['result'] as { readonly secret: string }).secret);
    // Its first request is never answered: its delivery is under way when the copy is made, and when the server dies.
    let requests = 0;
    const replies = (): Reply | Promise<Reply> => ((requests += 1) === 1 ? new Promise<Reply>(() => undefined) : {});
    await original.root.subscribe(inbox.url('slow', replies), 'slow.*', { webhookSubscriptionId: 'slow' });
    await original.root.publish('slow.begun');
    [held] = (await inbox.arrived('slow', 1)) as [Delivered];

    terminal = new Terminal({ KF_SERVER: original.url, KF_API_KEY: original.server.rootKey });
    load = new Load(original.root);
    await load.more(1_000);
    backup = await terminal.ok('kf backup copies/first');
    position = String(backup.json['position']);
    await load.more(100);
    await load.end();
    await original.server.kill();
    for (const [from, name] of [[join(terminal.home, 'copies', 'first'), 'events.db'], [original.dataDir, 'master.key']] as const) copyFileSync(join(from, name), join(restored.dataDir, name));
    expect((await restored.home.readLog()).at(-1)?.position).toBe(position);
    await restored.startServer();
  }, 60_000);

  afterAll(async () => {
    terminal.end();
    await original.end();
    await restored.end();
    await inbox.close();
  });

  it('is a file for its owner alone, and says that the master key is not in it', () => {
    const folder = join(terminal.home, 'copies', 'first');
    expect([readdirSync(folder), statSync(folder).mode & 0o777, statSync(join(folder, 'events.db')).mode & 0o777]).toEqual([['events.db'], 0o700, 0o600]);
    expect(backup.err).toContain('The master key is not in it');
  });

  it('has every event that was acknowledged up to its position, and knows nothing of later ones', async () => {
    const [within, after] = [load.acknowledged.filter(upTo(position)), load.acknowledged.filter((one) => !upTo(position)(one))];
    expect([within.length >= 1_000, after.length > 0]).toEqual([true, true]);
    await restored.root.read(`/api/keys?waitFor=${position}`);
    const seen = await Promise.all(within.map(async (one) => ({ ...one, status: (await restored.root.get(`/api/events/${one.eventId}?siteId=${demo}`)).status })));
    expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
    expect((await restored.root.get(`/api/events/${after[0]?.eventId}?siteId=${demo}`)).status).toBe(404);
  });

  it('keeps receipts: a command sent again is not done again, its key is taken, and an event is a duplicate', async () => {
    const again = await subscribe(restored.root, inbox.url('orders'));
    expect([again.status, again.body['replayed'], again.body['commandId'], again.body['position']]).toEqual([200, true, subscribed.body['commandId'], subscribed.body['position']]);
    expect(slugOf(await subscribe(restored.root, inbox.url('elsewhere')))).toBe('idempotency-key-reused');
    const known = load.acknowledged[0]?.eventId ?? '';
    expect(await restored.root.publishOne({ eventId: known, type: 'load.made', data: { filling: 'x'.repeat(2_000) } })).toMatchObject({ status: 'DUPLICATE' });
  });

  it('signs with the secrets of before', async () => {
    await restored.root.publish('order.placed');
    const [request] = await inbox.arrived('orders', 1);
    expect(() => new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)).not.toThrow();
  });

  it('sends again what was under way, under the same webhook-id', async () => {
    const [, again] = await inbox.arrived('slow', 2, 20_000);
    expect(again?.headers['webhook-id']).toBe(held.headers['webhook-id']);
  });

  it('gives the same read models from the log: kf audit replay finds equal digests', async () => {
    const auditor = new Terminal({ KF_SERVER: restored.url, KF_API_KEY: restored.server.rootKey });
    const { out } = await eventually('equal digests', async () => {
      const run = await auditor.run(`kf audit replay --site ${demo} --output jsonl`);
      return run.code === 0 ? run : undefined;
    }, 20_000);
    auditor.end();
    expect(JSON.parse(out.trim().split('\n').at(-1) ?? '{}')).toMatchObject({ equal: true });
  });

  it('is refused without the master key', async () => {
    const keyless = new Installation();
    copyFileSync(join(terminal.home, 'copies', 'first', 'events.db'), join(keyless.dataDir, 'events.db'));
    await expect(keyless.startServer()).rejects.toThrow(/master\.key is gone: restore it from a backup/);
    await keyless.end();
  });
});

describe('the copy on the server', () => {
  let installation: Installation;

  beforeAll(async () => {
    installation = await Installation.start();
  });
  afterAll(() => installation.end());

  const copies = (): readonly string[] => readdirSync(installation.dataDir).filter((name) => name.startsWith('bak_'));

  /** Asks for a copy, and hands over its id when it is there; leaves when told. */
  async function hold(): Promise<{ readonly backupId: string; readonly leave: () => void }> {
    const left = new AbortController();
    const headers = { authorization: `Bearer ${installation.server.rootKey}` };
    const { body } = await fetch(`${installation.url}/api/backups`, { method: 'POST', headers, signal: left.signal });
    // Not a loop over the body: leaving that would end the stream.
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    let said = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`no result: ${said}`);
      said += Buffer.from(value).toString();
      const backupId = /event: result\ndata: \{"backupId":"(bak_\w+)"/.exec(said)?.[1];
      if (backupId !== undefined) return { backupId, leave: () => left.abort() };
    }
  }
  const content = (backupId: string): Promise<Answer> => installation.root.get(`/api/backups/${backupId}`);

  it('is there for as long as its stream is open, and no other is made beside it', async () => {
    const { backupId, leave } = await hold();
    expect(copies()).toEqual([`${backupId}.db`]);
    const fetched = await content(backupId);
    expect([fetched.status, fetched.headers.get('content-length'), fetched.text.slice(0, 15)]).toEqual([200, String(statSync(join(installation.dataDir, `${backupId}.db`)).size), 'SQLite format 3']);
    const second = await installation.root.ask('POST', '/api/backups');
    expect([second.status, slugOf(second)]).toEqual([409, 'concurrent-modification']);
    leave();
    await eventually('the copy is gone', () => (copies().length === 0 ? true : undefined));
    expect((await content(backupId)).status).toBe(404);
  });

  it('of a server that was killed is removed when it starts again', async () => {
    const { backupId } = await hold();
    await installation.server.kill();
    expect(copies()).toEqual([`${backupId}.db`]);
    writeFileSync(join(installation.dataDir, 'bak_mine.txt'), '');
    await installation.startServer();
    expect(copies()).toEqual(['bak_mine.txt']);
  });

  it.each([
    [['admin'], 'site:*:audit'],
    [['site:*:audit'], 'admin'],
    [['admin', `site:${demo}:audit`], 'site:*:audit'],
  ])('is not for a key with %j: it lacks %s', async (scopes, lacking) => {
    const key = await installation.root.newKey({ name: 'operator', scopes, actor: { type: 'USER', id: 'usr_op' } });
    const terminal = new Terminal({ KF_SERVER: installation.url, KF_API_KEY: key.text });
    const { code, err } = await terminal.run('kf backup copy');
    terminal.end();
    expect([code, err]).toEqual([1, expect.stringContaining(`lacks the scope ${lacking}`)]);
    expect(copies()).toEqual(['bak_mine.txt']);
  });
});
