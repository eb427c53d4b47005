import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type CanaryFinding, findCanary } from '../support/canary.ts';
import { type Api, demo, kim } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { engine } from '../support/e2e/home.ts';
import { Installation } from '../support/e2e/installation.ts';
import { Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(30_000);

const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;
/** As no header's value can be confused with: with what JSON escapes. */
const newValue = (): string => `Token "${randomBytes(24).toString('base64url')}"`;
const headerValues = ['header', 'header before', 'header refused', 'header approved', 'header typed'];
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

describe('what must never be read', () => {
  let installation: Installation;
  let inbox: Inbox;
  let api: Api;
  const secrets: Record<string, string> = {};
  /** Every event of a log that is not in the data folder. */
  let logBeside: Readonly<Record<string, string>> = {};
  /** How many answers may show it: the one that made it, or none. */
  const shownOnce = ['managed', 'rotated', 'approver key', 'terminal secret'];

  /** Everywhere it is found, but in the file it was put into on purpose. */
  function found(secret: string, exceptFile = ''): readonly CanaryFinding[] {
    // A request has the values of its own headers, and must have nothing else of them.
    const received = inbox.all().map((request, index) => [`request ${index}`, JSON.stringify({ ...request, headers: { ...request.headers, 'x-canary': null }, rawHeaders: request.rawHeaders.filter((_, at) => request.rawHeaders[at - 1] !== 'x-canary') })] as const);
    const answers = api.answers.map(({ asked, text }, index) => [`answer ${index} to ${asked}`, text] as const);
    const findings = findCanary(secret, { folders: [installation.dataDir], texts: { ...Object.fromEntries([...received, ...answers]), ...logBeside } });
    return findings.filter(({ where }) => exceptFile === '' || where !== join(installation.dataDir, exceptFile));
  }

  beforeAll(async () => {
    Object.assign(secrets, { imported: newSecret(), chosen: newSecret(), env: newSecret(), file: newSecret(), refused: newSecret(), approved: newSecret(), ...Object.fromEntries(headerValues.map((name) => [name, newValue()])) });
    inbox = await Inbox.start();
    const secretsDir = mkdtempSync(join(tmpdir(), 'countersign-secrets-'));
    writeFileSync(join(secretsDir, 'receiver'), String(secrets['file']), { mode: 0o600 });
    const environment = { KF_WEBHOOK_SECRET_CANARY: String(secrets['env']), KF_SECRETS_DIR: secretsDir, KF_RETRY_SCHEDULE: '0s,50ms', KF_LOG_LEVEL: 'trace' };
    installation = await Installation.start(environment);
    api = installation.root;
    await use(api);
    await installation.stop();
    // What was written is read again, and written on.
    await installation.startServer(environment);
    await publishToAll(installation.root, 4);
    await installation.root.publishOne({ eventId: 'headers-2', type: 'headers.event', data: {} });
    await inbox.arrived('headers-approved', 2);
    logBeside = await installation.home.readLogBeside();
    rmSync(secretsDir, { recursive: true });
  }, 60_000);
  afterAll(async () => {
    await inbox?.close();
    await installation?.end();
  });

  /** Every way in which a secret comes in or goes out, and every way in which an answer could repeat it. */
  async function use(root: Api): Promise<void> {
    const approver = await root.person(kim.id);
    secrets['approver key'] = approver.text;
    secrets['root key'] = installation.server.rootKey;
    secrets['master key'] = Buffer.from((await installation.home.masterKey()).reveal(), 'base64').toString('latin1');
    const managed = await root.subscribe(inbox.url('managed'), 'canary.*', { webhookSubscriptionId: 'managed' }, { idempotencyKey: 'canary' });
    secrets['managed'] = String(managed.result.secret);
    await root.subscribe(inbox.url('managed'), 'canary.*', { webhookSubscriptionId: 'managed' }, { idempotencyKey: 'canary' });
    for (const [id, signingSecretRef] of [['imported', secrets['imported']], ['by-env', 'env:KF_WEBHOOK_SECRET_CANARY'], ['by-file', 'file:receiver']] as const) await root.subscribe(inbox.url(id, () => ({ status: id === 'imported' ? 500 : 200 })), 'canary.*', { webhookSubscriptionId: id, signingSecretRef });
    await publishToAll(root, 1);

    const rotate = async (webhookSubscriptionId: string, more: object = {}): Promise<unknown> => {
      const { resourceId: approvalId, revision } = await root.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: webhookSubscriptionId, expiresOn: inAnHour(), payload: { webhookSubscriptionId, ...more } });
      await root.as(approver.text).do('GrantApproval', { approvalId }, { actor: kim, expectedRevision: revision });
      return (await root.do('RotateWebhookSubscriptionSecret', { webhookSubscriptionId, ...more })).result.secret;
    };
    secrets['rotated'] = String(await rotate('managed'));
    await rotate('imported', { signingSecretRef: secrets['chosen'] });
    await publishToAll(root, 2);

    await refusals(root);
    await boundApproval(root, approver.text);
    await withHeaders(root, approver.text);
    await throughTheTerminal();
    await publishToAll(root, 3);
    for (const path of ['/api/keys', '/api/whoami', '/api/status', '/metrics', '/openapi.yaml', `/api/approvals?siteId=${demo}`, `/api/commands/${managed.commandId}?siteId=${demo}`, `/api/events/canary-1?siteId=${demo}`]) await root.get(path);
    for (const id of ['managed', 'imported', 'by-env', 'by-file']) for (const { id: deliveryId } of (await root.deliveries(id)).items) await root.delivery(id, deliveryId);
  }

  async function publishToAll(root: Api, count: number): Promise<void> {
    await root.publishOne({ eventId: `canary-${count}`, type: 'canary.event', data: {} });
    for (const box of ['managed', 'by-env', 'by-file']) await inbox.arrived(box, count);
    await eventually('the dead letter', async () => ((await root.deliveries('imported', '&status=DEAD_LETTERED')).items.length === count ? true : undefined));
  }

  /** What is refused with a secret in it is not repeated either. */
  async function refusals(root: Api): Promise<void> {
    const refused = String(secrets['refused']);
    const settings = { webhookSubscriptionId: 'refused', eventPattern: 'a.b', targetUrl: 'https://10.0.0.1/', signingSecretRef: refused, deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
    const answers = [
      await root.command('UpsertWebhookSubscription', settings),
      await root.command('UpsertWebhookSubscription', { ...settings, targetUrl: `https://user:${encodeURIComponent(refused)}@example.com/` }),
      await root.command('UpsertWebhookSubscription', { ...settings, signingSecretRef: `${refused}x` }),
      await root.command('UpsertWebhookSubscription', { ...settings, sigingSecretRef: refused, status: refused }),
      await root.command('UpsertWebhookSubscription', { ...settings, webhookSubscriptionId: 'managed', targetUrl: inbox.url('managed') }),
      await root.command('UpsertWebhookSubscription', { ...settings, targetUrl: inbox.url('managed') }, { idempotencyKey: 'canary' }),
      await root.command('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: 'managed', signingSecretRef: refused }),
      await root.ask('POST', '/api/commands/UpsertWebhookSubscription', { headers: { 'idempotency-key': 'x' }, text: `{"payload":{"signingSecretRef":"${refused}",}}` }),
      await root.ask('POST', '/api/commands/UpsertWebhookSubscription', { headers: { 'idempotency-key': `${refused} ${refused}` }, text: '{}' }),
      await root.ask('POST', '/api/commands/UpsertWebhookSubscription?dryRun=maybe', { text: refused }),
      await root.as(refused).get('/api/whoami'),
      await root.as(`${installation.server.rootKey}x`).get('/api/whoami'),
      await root.as(installation.server.rootKey.slice(0, -1)).get('/api/whoami'),
    ];
    expect(answers.map(({ status }) => status).filter((status) => status < 400)).toEqual([]);
    await root.dryRun('UpsertWebhookSubscription', { ...settings, targetUrl: inbox.url('managed') });
    await root.dryRun('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'managed', expiresOn: inAnHour(), payload: { webhookSubscriptionId: 'managed', signingSecretRef: refused } });
  }

  /** An approval for exactly one payload keeps that payload, without its secret. */
  async function boundApproval(root: Api, approverKey: string): Promise<void> {
    await root.do('SetApprovalPolicy', { commandType: 'UpsertWebhookSubscription', required: true, binding: 'PAYLOAD' });
    const payload = { webhookSubscriptionId: 'approved', eventPattern: 'a.b', targetUrl: inbox.url('approved'), signingSecretRef: String(secrets['approved']), deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
    expect((await root.command('UpsertWebhookSubscription', payload)).status).toBe(403);
    const { resourceId: approvalId, revision } = await root.do('RequestApproval', { commandType: 'UpsertWebhookSubscription', resourceId: 'approved', expiresOn: inAnHour(), payload });
    await root.get(`/api/approvals/${approvalId}?siteId=${demo}`);
    await root.as(approverKey).do('GrantApproval', { approvalId }, { actor: kim, expectedRevision: revision });
    await root.do('UpsertWebhookSubscription', payload);
    await root.do('SetApprovalPolicy', { commandType: 'UpsertWebhookSubscription', required: false });
  }

  /** Every way in which the value of a header comes in, or could go out; the receiver sends back what it got. */
  async function withHeaders(root: Api, approverKey: string): Promise<void> {
    const value = (name: string): string => String(secrets[name]);
    const url = inbox.url('with-headers', ({ headers }) => ({ status: 400, headers: { 'x-echo': String(headers['x-canary']) }, body: JSON.stringify(headers) }));
    const settings = { webhookSubscriptionId: 'with-headers', eventPattern: 'headers.*', targetUrl: url, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
    const first = { ...settings, headers: { 'X-Canary': value('header before') } };
    await root.do('UpsertWebhookSubscription', first, { idempotencyKey: 'canary-headers' });
    await root.do('UpsertWebhookSubscription', first, { idempotencyKey: 'canary-headers' });
    await root.do('UpsertWebhookSubscription', { ...settings, headers: { 'X-Canary': value('header') } });
    const refused = value('header refused');
    const wrong = [{ Host: refused }, { [refused]: refused }, { 'X-A': `${refused}\n` }, { 'X-A': refused, 'x-a': refused }, { 'X-A': [refused] }, [refused], refused, { 'X-A': '[redacted]', 'X-B': refused }];
    for (const headers of wrong) expect((await root.command('UpsertWebhookSubscription', { ...settings, headers })).status).toBe(400);
    for (const headers of wrong) expect((await root.ask('PATCH', `/api/webhooks/with-headers?siteId=${demo}`, { body: { headers } })).status).toBe(400);
    expect((await root.command('UpsertWebhookSubscription', { ...first, headers: { 'X-Canary': refused } }, { idempotencyKey: 'canary-headers' })).status).toBe(422);
    await root.dryRun('UpsertWebhookSubscription', { ...settings, headers: { 'X-Canary': refused } });
    await root.do('SetApprovalPolicy', { commandType: 'UpsertWebhookSubscription', required: true, binding: 'PAYLOAD' });
    const payload = { ...settings, webhookSubscriptionId: 'headers-approved', targetUrl: inbox.url('headers-approved'), headers: { 'X-Canary': value('header approved') } };
    expect((await root.command('UpsertWebhookSubscription', payload)).status).toBe(403);
    const { resourceId: approvalId, revision } = await root.do('RequestApproval', { commandType: 'UpsertWebhookSubscription', resourceId: 'headers-approved', expiresOn: inAnHour(), payload });
    await root.get(`/api/approvals/${approvalId}?siteId=${demo}`);
    await root.as(approverKey).do('GrantApproval', { approvalId }, { actor: kim, expectedRevision: revision });
    await root.do('UpsertWebhookSubscription', payload);
    await root.do('SetApprovalPolicy', { commandType: 'UpsertWebhookSubscription', required: false });
    await root.publishOne({ eventId: 'headers-1', type: 'headers.event', data: {} });
    expect((await inbox.arrived('with-headers', 2)).map(({ headers }) => headers['x-canary'])).toEqual([value('header'), value('header')]);
    expect((await inbox.arrived('headers-approved', 1))[0]?.headers['x-canary']).toBe(value('header approved'));
    for (const path of ['/api/webhooks', '/api/webhooks/with-headers', '/api/audit/events', '/api/audit/stories/with-headers', '/api/audit/states/with-headers']) await root.get(`${path}?siteId=${demo}${path.includes('states') ? '&asOf=revision:1' : ''}`);
    for (const { id } of (await root.deliveries('with-headers')).items) await root.delivery('with-headers', id);
  }

  async function throughTheTerminal(): Promise<void> {
    const shell = new Terminal({ KF_SERVER: installation.url, KF_API_KEY: installation.server.rootKey });
    try {
      const line = `echo managed | kf webhook upsert-subscription --tenant ${demo} --actor-type USER --actor-id usr_sam --event-pattern a.b --target-url ${inbox.url('managed')} --signing-secret-ref-stdin --delivery-mode AT_LEAST_ONCE --status ACTIVE`;
      const shown = await shell.ok(line);
      secrets['terminal secret'] = String((shown.json['result'] as { secret: string }).secret);
      expect(findCanary(secrets['terminal secret'], { texts: { stdout: shown.out, stderr: shown.err } }).every(({ where }) => where === 'stdout')).toBe(true);
      const failed = await shell.run(`printf '%s' '${String(secrets['refused'])}' | ${line.replace('echo managed | ', '').replace('--status ACTIVE', '--status ACTIVE --webhook-subscription-id managed')}`);
      expect([failed.code, findCanary(String(secrets['refused']), { texts: { stdout: failed.out, stderr: failed.err } })]).toEqual([1, []]);
      const typed = await shell.run(`kf webhook update with-headers --site ${demo} --header 'X-Canary=${String(secrets['header typed'])}' && kf webhook get with-headers --site ${demo} && kf webhook update with-headers --site ${demo} --header 'Host=${String(secrets['header typed'])}'`);
      expect([typed.code, findCanary(String(secrets['header typed']), { texts: { stdout: typed.out, stderr: typed.err } })]).toEqual([2, []]);
      expect(findCanary(installation.server.rootKey, { texts: { stdout: failed.out, stderr: failed.err } })).toEqual([]);
    } finally {
      shell.end();
    }
  }

  it.each(['managed', 'rotated', 'imported', 'chosen', 'env', 'file', 'refused', 'approved', 'approver key', 'terminal secret', ...headerValues])('%s: in no file, no log line, no request, and no answer but the one that made it', (name) => {
    const secret = String(secrets[name]);
    expect(secret.length).toBeGreaterThan(20);
    const answers = new Set(found(secret).map(({ where }) => where));
    const made = name === 'terminal secret' ? 0 : Number(shownOnce.includes(name));
    expect([...answers].filter((where) => !where.startsWith('answer'))).toEqual([]);
    expect(answers.size).toBe(made);
  });

  it('the root key stands in root.key alone, the master key in master.key alone, where it is in a file', () => {
    expect(found(String(secrets['root key']), 'root.key')).toEqual([]);
    const masterKey = Buffer.from(String(secrets['master key']), 'latin1');
    expect(masterKey).toHaveLength(32);
    const elsewhere = findCanary(masterKey, { folders: [installation.dataDir], texts: { ...Object.fromEntries(api.answers.map(({ asked, text }, index) => [`${index} ${asked}`, text])), ...logBeside } });
    expect([...new Set(elsewhere.map(({ where }) => where))]).toEqual(engine === 'sqlite' ? [join(installation.dataDir, 'master.key')] : []);
  });

  it('the search sees what is there: a published word is in the log, its write-ahead log or its read model, and in an answer', async () => {
    const word = `canary-word-${randomBytes(8).toString('hex')}`;
    await installation.root.publishOne({ eventId: 'seen', type: 'canary.seen', data: word });
    await installation.root.get(`/api/events/seen?siteId=${demo}`);
    logBeside = await installation.home.readLogBeside();
    const places = found(word).map(({ where }) => where);
    expect(places.some((where) => where.includes(engine === 'sqlite' ? 'events.db' : 'of the log'))).toBe(true);
    expect(places.some((where) => where.startsWith('answer'))).toBe(true);
  });
});
