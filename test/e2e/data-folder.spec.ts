import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { findCanary } from '../support/canary.ts';
import { slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { refusedStart } from '../support/e2e/refused-start.ts';
import { type ShiftedServer, startShiftedServer } from '../support/e2e/shifted-server.ts';
import { readStoredLog } from '../support/e2e/stored-log.ts';

// What a server keeps in its data folder: its log, and the keys that were not set.

jest.setTimeout(30_000);

describe('a server with a data folder', () => {
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

  describe('refuses to start, says why, and leaves everything as it was,', () => {
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
});

describe('after the purge of a subscription, thirty days after its deletion', () => {
  let server: ShiftedServer;
  const days = 24 * 60 * 60 * 1_000;

  beforeAll(async () => {
    server = await startShiftedServer();
  }, 60_000);
  afterAll(() => server?.end());

  it('the sealed bytes of its secrets are gone from every file, and those of others are not', async () => {
    const { folder, clock, root: api } = server;
    const purged = await api.subscribe('https://127.0.0.1:9/', 'never.matched');
    const kept = await api.subscribe('https://127.0.0.1:9/', 'never.matched');
    const sealed = await sealedSecrets(folder);
    expect(sealed).toHaveLength(2);
    for (const bytes of sealed) expect(findCanary(bytes, { folders: [folder] })).not.toEqual([]);
    await api.do('DeleteWebhookSubscription', { webhookSubscriptionId: purged.resourceId });
    clock.moveOn(29 * days);
    expect((await api.command('RestoreWebhookSubscription', { webhookSubscriptionId: purged.resourceId }, {}, '?dryRun=true')).body).toMatchObject({ outcome: 'APPLIED' });
    clock.moveOn(2 * days);
    await eventually('the purge', async () => ((await api.dryRun('RestoreWebhookSubscription', { webhookSubscriptionId: purged.resourceId })).outcome === 'REFUSED' ? true : undefined));
    await eventually('the bytes to be gone', () => (sealed.filter((bytes) => findCanary(bytes, { folders: [folder] }).length > 0).length === 1 ? true : undefined));
    expect(findCanary(String(purged.result.secret), { folders: [folder], texts: { log: server.log() } })).toEqual([]);
    expect(await api.do('PauseWebhookSubscription', { webhookSubscriptionId: kept.resourceId })).toMatchObject({ outcome: 'APPLIED' });
  }, 30_000);
});

/** The sealed text of every signing secret that the log of a running server holds, read from its files. */
async function sealedSecrets(folder: string): Promise<readonly string[]> {
  const copy = mkdtempSync(join(tmpdir(), 'countersign-copy-'));
  try {
    for (const file of ['events.db', 'events.db-wal']) writeFileSync(join(copy, file), readFileSync(join(folder, file)));
    const events = await readStoredLog(copy);
    return events.filter(({ type }) => type === 'SigningSecretStored').map(({ data }) => (JSON.parse(data) as { sealed: string }).sealed);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
