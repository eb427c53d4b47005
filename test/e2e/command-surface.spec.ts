import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type Api, type Body, demo } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { type Run, Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(30_000);

const who = '--tenant tnt_demo --actor-type USER --actor-id usr_sam';
const other = '--tenant tnt_demo --actor-type USER --actor-id usr_kim';

let installation: Installation;
let inbox: Inbox;
let api: Api;
/** usr_sam's shell: no API key is configured, so `kf` takes the root key of the server beside it. */
let sam: Terminal;
/** usr_kim's shell, with a key of their own. */
let kim: Terminal;

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s,50ms' });
  api = installation.root;
  sam = new Terminal({ KF_SERVER: installation.url, KF_DATA_DIR: installation.dataDir });
  kim = new Terminal({ KF_SERVER: installation.url, KF_API_KEY: (await api.person('usr_kim')).text });
}, 60_000);
afterAll(async () => {
  sam?.end();
  kim?.end();
  await inbox?.close();
  await installation?.end();
});

const resultOf = ({ json }: Pick<Run, 'json'>): Body => json['result'] as Body;
const upsertLine = (box: string, more = ''): string =>
  `echo managed | kf webhook upsert-subscription ${who} --event-pattern 'version.*,claim.**' --target-url ${inbox.url(box)} --signing-secret-ref-stdin --delivery-mode AT_LEAST_ONCE --status ACTIVE${more}`;
const subscribe = async (): Promise<string> => (await api.subscribe(inbox.url('any'), 'never.matched')).resourceId;

describe('kf webhook upsert-subscription', () => {
  it('creates a subscription and prints its id, revision, position and, once, its secret', async () => {
    const { code, json, err } = await sam.run(upsertLine('created'));
    expect(code).toBe(0);
    expect(json).toEqual({ commandId: expect.any(String), commandType: 'UpsertWebhookSubscription', resourceId: expect.stringMatching(/^whs_[0-9a-z]{26}$/), outcome: 'APPLIED', revision: 1, position: expect.stringMatching(/^\d+$/), replayed: false, result: expect.objectContaining({ secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) }) });
    expect(resultOf({ json })).toMatchObject({ created: true });
    expect(err).toMatch(/^Idempotency key: \S+$/m);
  });

  it('says on stderr that it uses the root key file, never the key', async () => {
    const { err } = await sam.ok('kf whoami');
    expect(err).toContain(`No API key configured: using the root key in ${join(installation.dataDir, 'root.key')}`);
    expect(err).not.toContain(installation.server.rootKey);
    expect((await kim.ok('kf whoami')).err).toBe('');
  });

  it('repeated with its idempotency key changes nothing and prints the secret as null', async () => {
    const line = upsertLine('repeated', ' --webhook-subscription-id whs-repeated --idempotency-key once');
    const first = await sam.ok(line);
    const second = await sam.ok(line);
    expect(resultOf(first)['secret']).toMatch(/^whsec_/);
    expect(second.json).toMatchObject({ commandId: first.json['commandId'], revision: 1, position: first.json['position'], replayed: true, result: { secret: null } });
    expect(second.err).toContain('This idempotency key was used before');
  });

  it('on an existing subscription sets all, with the revision given, and no new secret', async () => {
    await sam.ok(upsertLine('set', ' --webhook-subscription-id whs-set'));
    const changed = await sam.ok(upsertLine('set', " --webhook-subscription-id whs-set --description 'of the orders team' --if-revision 1"));
    expect(changed.json).toMatchObject({ outcome: 'APPLIED', revision: 2, result: { secret: null } });
    const stale = await sam.run(upsertLine('set', ' --webhook-subscription-id whs-set --description other --if-revision 1'));
    expect([stale.code, stale.out]).toEqual([1, '']);
    expect(stale.err).toContain('precondition-failed, 412');
  });

  it('prints with --quiet the id and the secret, and as a table that it is shown this once', async () => {
    expect((await sam.ok(upsertLine('quiet', ' --webhook-subscription-id whs-quiet --quiet'))).out).toMatch(/^whs-quiet\nwhsec_\S+\n$/);
    const table = await sam.ok(upsertLine('table', ' --output table'));
    expect(table.out).toMatch(/^Secret +whsec_\S+$/m);
    expect(table.err).toContain("shown this once and can't be read again");
  });
});

describe('kf webhook pause-subscription and resume-subscription', () => {
  it('as typed: status, revision, position', async () => {
    const id = await subscribe();
    const paused = await sam.ok(`kf webhook pause-subscription --tenant tnt_demo --actor-type USER --actor-id usr_sam --webhook-subscription-id ${id}`);
    expect(paused.json).toMatchObject({ commandType: 'PauseWebhookSubscription', outcome: 'APPLIED', revision: 2, position: expect.any(String), result: { status: 'PAUSED' } });
    expect((await sam.ok(`kf webhook pause-subscription ${who} --webhook-subscription-id ${id}`)).json).toMatchObject({ outcome: 'NO_CHANGE', revision: 2 });
    const resumed = await sam.ok(`kf webhook resume-subscription ${who} --webhook-subscription-id ${id}`);
    expect(resumed.json).toMatchObject({ outcome: 'APPLIED', revision: 3, result: { status: 'ACTIVE' } });
  });
});

/** The line of a refusal's advice that starts so, without its indent. */
const advised = ({ err }: Run, start: string): string => err.split('\n').map((line) => line.trim()).find((line) => line.startsWith(start)) ?? '';

describe('kf webhook rotate-subscription-secret', () => {
  it('is refused with the line that asks for the approval; run verbatim, granted by another person, it takes effect once', async () => {
    const id = await subscribe();
    const refused = await sam.run(`kf webhook rotate-subscription-secret ${who} --webhook-subscription-id ${id} --grace-seconds 3600`);
    expect([refused.code, refused.out]).toEqual([1, '']);
    expect(refused.err).toContain('approval-required, 403');

    const requested = await sam.ok(advised(refused, 'kf approval request '));
    expect(requested.json).toMatchObject({ commandType: 'RequestApproval', outcome: 'APPLIED', revision: 1 });
    const approvalId = String(requested.json['resourceId']);
    const waiting = await sam.run(advised(refused, 'kf webhook rotate-subscription-secret '));
    expect([waiting.code, waiting.err]).toEqual([1, expect.stringContaining('approval-pending, 403')]);

    const own = await sam.run(`kf approval grant ${who} --approval-id ${approvalId} --yes`);
    expect([own.code, own.err]).toEqual([1, expect.stringMatching(/approver-(conflict|not-eligible), 403/)]);
    const granted = await kim.ok(advised(waiting, 'kf approval grant ').replace('<approver>', 'usr_kim'));
    expect(granted.json).toMatchObject({ result: { status: 'APPROVED' } });
    expect(granted.err).toMatch(new RegExp(`^Resource +${id}$`, 'm'));
    expect(granted.err).toMatch(/^Requested by +USER:usr_sam$/m);

    const again = advised(refused, 'kf webhook rotate-subscription-secret ');
    const rotated = await sam.ok(again);
    expect(resultOf(rotated)['secret']).toMatch(/^whsec_/);
    const replayed = await sam.ok(again);
    expect(replayed.json).toMatchObject({ replayed: true, result: { secret: null } });
    expect(await api.read(`/api/approvals/${approvalId}?siteId=${demo}`)).toMatchObject({ status: 'CONSUMED', usedBy: rotated.json['commandId'] });
    const spent = await sam.run(`kf webhook rotate-subscription-secret ${who} --webhook-subscription-id ${id} --approval-id ${approvalId}`);
    expect([spent.code, spent.err]).toEqual([1, expect.stringContaining('approval-already-used, 409')]);
  });

  it('takes a chosen secret from standard input and the approval by its id', async () => {
    const id = await subscribe();
    const { json } = await sam.ok(`kf approval request ${who} --command-type RotateWebhookSubscriptionSecret --resource-id ${id} --expires-on +2h --due-on +1h --reason 'key was in a log'`);
    const approvalId = String(json['resourceId']);
    await kim.ok(`kf approval grant ${other} --approval-id ${approvalId} --yes`);
    const rotated = await sam.ok(`echo whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | kf webhook rotate-subscription-secret ${who} --webhook-subscription-id ${id} --approval-id ${approvalId} --signing-secret-ref-stdin`);
    expect(rotated.json).toMatchObject({ outcome: 'APPLIED', result: { secret: null } });
  });
});

describe('kf webhook replay-delivery', () => {
  /** A dead letter, of which every attempt has failed. */
  async function deadLetter(name: string): Promise<{ readonly id: string; readonly attempts: () => Promise<number> }> {
    const { resourceId } = await api.subscribe(inbox.url(name, () => ({ status: 500 })), `replay.${name}`);
    await api.publish(`replay.${name}`);
    const dead = (): Promise<{ readonly id: string; readonly attempts: number }> => eventually('the dead letter', async () => (await api.deliveries(resourceId, '&status=DEAD_LETTERED')).items[0]);
    const { id } = await dead();
    return { id, attempts: async () => (await dead()).attempts };
  }

  it.each([
    ['--reset-attempts', 4],
    ['--reset-attempts true', 4],
    ['--reset-attempts=true', 4],
    ['--reset-attempts false', 3],
    ['', 3],
  ])('with "%s" brings a dead letter back to PENDING, and ends after %i attempts in all', async (flag, attempts) => {
    const name = `flag-${flag.replaceAll(/[^a-z]+/g, '')}${flag.includes('=') ? '-joined' : ''}`;
    const dead = await deadLetter(name);
    const { json } = await sam.ok(`kf webhook replay-delivery ${who} --webhook-delivery-id ${dead.id} ${flag}`);
    expect(json).toMatchObject({ commandType: 'ReplayWebhookDelivery', outcome: 'APPLIED', resourceId: dead.id, result: { status: 'PENDING' } });
    await inbox.arrived(name, attempts);
    expect(await eventually('the end', async () => ((await dead.attempts()) === attempts ? attempts : undefined))).toBe(attempts);
    expect(inbox.in(name)).toHaveLength(attempts);
  });

  it('with --include-delivered sends again what was delivered, and not without it', async () => {
    const { resourceId } = await api.subscribe(inbox.url('delivered'), 'replay.delivered');
    await api.publish('replay.delivered');
    await inbox.arrived('delivered', 1);
    const { id } = await eventually('the delivery', async () => (await api.deliveries(resourceId, '&status=DELIVERED')).items[0]);
    const refused = await sam.run(`kf webhook replay-delivery ${who} --webhook-delivery-id ${id}`);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('delivery-not-replayable, 409')]);
    await sam.ok(`kf webhook replay-delivery ${who} --webhook-delivery-id ${id} --include-delivered`);
    expect((await inbox.arrived('delivered', 2)).map(({ headers }) => headers['webhook-id'])).toEqual([id, id]);
  });
});

describe('kf approval', () => {
  const request = async (more = ''): Promise<string> => {
    const id = await subscribe();
    return String((await sam.ok(`kf approval request ${who} --command-type RotateWebhookSubscriptionSecret --resource-id ${id} --expires-on +4h${more}`)).json['resourceId']);
  };

  it('request is answered with the open one when the same is asked for again', async () => {
    const id = await subscribe();
    const line = `kf approval request ${who} --command-type RotateWebhookSubscriptionSecret --resource-id ${id} --expires-on 2099-01-01T00:00:00Z --quiet`;
    const far = await sam.run(line);
    expect([far.code, far.err]).toEqual([1, expect.stringContaining('expiresOn')]);
    const near = line.replace('2099-01-01T00:00:00Z', new Date(Date.now() + 3_600_000).toISOString());
    const first = await sam.ok(near);
    await api.read(`/api/approvals?siteId=${demo}&waitFor=${(await api.publish('unrelated')).position}`);
    expect((await sam.ok(near)).out).toBe(first.out);
  });

  it('request is refused where nobody could grant it, with how many could', async () => {
    const resourceId = await subscribe();
    const expiresOn = new Date(Date.now() + 600_000).toISOString();
    const { status, body } = await api.command('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId, expiresOn }, { actor: { type: 'USER', id: 'usr_kim' } });
    expect([status, body]).toEqual([403, expect.objectContaining({ type: expect.stringMatching(/approver-not-eligible$/), needed: 1, possible: 0 })]);
  });

  it('deny by another person needs a reason, and ends it', async () => {
    const id = await request();
    expect((await kim.run(`kf approval deny ${other} --approval-id ${id}`)).code).toBe(2);
    expect((await kim.ok(`kf approval deny ${other} --approval-id ${id} --reason 'not during the release'`)).json).toMatchObject({ result: { status: 'DENIED' } });
    const late = await kim.run(`kf approval grant ${other} --approval-id ${id}`);
    expect([late.code, late.err]).toEqual([1, expect.stringContaining('approval-not-pending, 409')]);
  });

  it('withdraw by the requester ends it; nobody else can', async () => {
    const id = await request();
    expect((await kim.run(`kf approval withdraw ${other} --approval-id ${id}`)).code).toBe(1);
    expect((await sam.ok(`kf approval withdraw ${who} --approval-id ${id}`)).json).toMatchObject({ result: { status: 'WITHDRAWN' } });
  });

  it('revoke takes a granted one back: the command it was for is refused', async () => {
    const id = await request();
    await kim.ok(`kf approval grant ${other} --approval-id ${id} --reason 'looks right'`);
    expect((await kim.ok(`kf approval revoke ${other} --approval-id ${id} --reason 'was a mistake' --yes`)).json).toMatchObject({ result: { status: 'REVOKED' } });
    const { resourceId } = await api.read<{ resourceId: string }>(`/api/approvals/${id}?siteId=${demo}`);
    const refused = await sam.run(`kf webhook rotate-subscription-secret ${who} --webhook-subscription-id ${resourceId} --approval-id ${id}`);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('approval-revoked, 403')]);
  });

  it('grant with a revision that is not the one shown is refused', async () => {
    const id = await request();
    const stale = await kim.run(`kf approval grant ${other} --approval-id ${id} --if-revision 7`);
    expect([stale.code, stale.err]).toEqual([1, expect.stringContaining('precondition-failed, 412')]);
  });

  it('list and get show it, by status and as one’s own', async () => {
    const id = await request(" --reason 'to be listed'");
    await api.read(`/api/approvals?siteId=${demo}&waitFor=${(await api.publish('unrelated')).position}`);
    const ids = ({ json }: Run): readonly string[] => (json['items'] as { id: string }[]).map((item) => item.id);
    expect(ids(await kim.ok('kf approval list --tenant tnt_demo --status PENDING --limit 500'))).toContain(id);
    expect(ids(await kim.ok('kf approval list --tenant tnt_demo --status DENIED --limit 500'))).not.toContain(id);
    expect(ids(await kim.ok('kf approval list --tenant tnt_demo --mine'))).toEqual([]);
    expect(ids(await sam.ok('kf approval list --tenant tnt_demo --mine --actor-type USER --actor-id usr_sam'))).toContain(id);
    expect((await kim.ok(`kf approval get ${id} --tenant tnt_demo`)).json).toMatchObject({ id, status: 'PENDING', reason: 'to be listed' });
    expect((await kim.ok(`kf approval get --tenant tnt_demo --approval-id ${id} --quiet`)).out).toBe('PENDING\n');
  });

  it('policy set gates another command, and get shows it; --payload-file binds what is approved', async () => {
    const tenant = '--tenant tnt_policy';
    const approver = await api.newKey({ name: 'kim', scopes: ['site:tnt_policy:read', 'site:tnt_policy:approve'], actor: { type: 'USER', id: 'usr_kim' } });
    expect((await sam.ok(`kf approval policy set ${tenant} --command-type UpsertWebhookSubscription --required --min-approvals 1 --approver USER:usr_kim --binding PAYLOAD`)).json).toMatchObject({ outcome: 'APPLIED', revision: 1 });
    expect((await sam.ok(`kf approval policy get ${tenant} --command-type UpsertWebhookSubscription`)).json).toMatchObject({ required: true, minApprovals: 1, binding: 'PAYLOAD', approvers: [{ type: 'USER', id: 'usr_kim' }] });
    expect((await sam.ok(`kf approval policy get ${tenant}`)).json['items']).toHaveLength(8);

    const upsert = upsertLine('policy', ' --webhook-subscription-id whs-bound').replace('tnt_demo', 'tnt_policy');
    const refused = await sam.run(upsert);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('approval-required, 403')]);
    writeFileSync(join(sam.home, 'payload.json'), advised(refused, '{'));
    const requested = await sam.ok(advised(refused, 'kf approval request '));
    await kim.ok(`kf approval grant --tenant tnt_policy --actor-type USER --actor-id usr_kim --approval-id ${String(requested.json['resourceId'])}`, { KF_API_KEY: approver.text });
    const smuggled = await sam.run(upsert.replace("'version.*,claim.**'", "'**'"));
    expect([smuggled.code, smuggled.err]).toEqual([1, expect.stringMatching(/approval-(required|binding-mismatch), 40[39]/)]);
    expect((await sam.ok(upsert)).json).toMatchObject({ outcome: 'APPLIED', result: { secret: expect.stringMatching(/^whsec_/) } });
  });
});

describe('kf event publish', () => {
  it('prints event id and position, and delivers', async () => {
    await api.subscribe(inbox.url('published'), 'version.published');
    const { json } = await sam.ok(`kf event publish --tenant tnt_demo --actor-type SERVICE --actor-id registry --type version.published --data '{"version":"1.4.0"}' --event-id evt-4711`);
    expect(json).toMatchObject({ commandType: 'PublishEvent', resourceId: 'evt-4711', position: expect.stringMatching(/^\d+$/), result: { eventId: 'evt-4711' } });
    const [delivered] = await inbox.arrived('published', 1);
    expect(delivered?.event).toMatchObject({ id: 'evt-4711', type: 'version.published', data: { version: '1.4.0' } });
    const repeated = await sam.ok(`echo '{"version":"1.4.0"}' | kf event publish --tenant tnt_demo --actor-type SERVICE --actor-id registry --type version.published --event-id evt-4711 --data-stdin`);
    expect(repeated.json).toMatchObject({ replayed: true, position: json['position'] });
  });
});

describe('kf key', () => {
  it('create prints the key once; it works; list shows it without its text; revoke ends it at once', async () => {
    const created = await sam.ok("kf key create --tenant tnt_demo --name 'the ci key' --scope site:tnt_demo:write --scope site:tnt_demo:read --actor USER:usr_ci --idempotency-key make-the-ci-key");
    const id = String(created.json['resourceId']);
    const text = String(resultOf(created)['secret']);
    expect(text).toMatch(/^kf_/);
    expect(resultOf(await sam.ok("kf key create --tenant tnt_demo --name 'the ci key' --scope site:tnt_demo:write --scope site:tnt_demo:read --actor USER:usr_ci --idempotency-key make-the-ci-key"))['secret']).toBeNull();
    expect((await kim.ok('kf whoami --quiet', { KF_API_KEY: text })).out).toBe('USER:usr_ci\n');
    const listed = await sam.ok('kf key list --limit 500');
    expect(listed.json['items']).toContainEqual(expect.objectContaining({ id, name: 'the ci key', actor: { type: 'USER', id: 'usr_ci' }, status: 'ACTIVE' }));
    expect(listed.out).not.toContain(text);
    expect((await kim.run('kf key list')).err).toContain('forbidden, 403');
    await sam.ok(`kf key revoke --tenant tnt_demo --key-id ${id}`);
    const refused = await kim.run('kf whoami', { KF_API_KEY: text });
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('unauthenticated, 401')]);
  });
});

describe('kf whoami, status and projection', () => {
  it('whoami tells whom the key speaks for, and its one site', async () => {
    expect((await sam.ok('kf whoami')).json).toMatchObject({ keyId: 'root', anyActor: true, defaultActor: { type: 'USER', id: 'root' }, siteId: null });
    expect((await kim.ok('kf whoami')).json).toMatchObject({ actor: { type: 'USER', id: 'usr_kim' }, anyActor: false, siteId: 'tnt_demo' });
  });

  it('status and projection status tell how it is doing; rebuild makes a read model anew', async () => {
    expect((await kim.ok('kf status')).json).toMatchObject({ status: 'READY', roles: ['api', 'sagas', 'dispatcher'], projections: expect.any(Array) });
    const names = ((await sam.ok('kf projection status')).json['items'] as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['subscriptions', 'deliveries', 'events', 'approvals', 'api-keys', 'commands']));
    expect((await sam.ok('kf projection rebuild deliveries')).json).toMatchObject({ name: 'deliveries' });
    await eventually('the end of the rebuild', async () => ((await api.read<{ items: { state: string }[] }>('/api/projections')).items.every(({ state }) => state === 'RUNNING') ? true : undefined));
    expect((await kim.run('kf projection rebuild deliveries')).code).toBe(1);
    const unknown = await sam.run('kf projection rebuild nothing');
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('not-found, 404')]);
  });
});

describe('kf profile', () => {
  it('keeps server, key, site and actor, so that they need not be typed, and never shows the key', async () => {
    const shell = new Terminal({});
    try {
      const key = await api.person('usr_pat');
      const set = await shell.ok(`kf profile set work --server ${installation.url} --api-key ${key.text} --site tnt_demo --actor USER:usr_pat`);
      expect(set.out + (await shell.ok('kf profile show')).out + (await shell.ok('kf profile list')).out).not.toContain(key.text);
      const { json } = await shell.ok(`kf event publish --type from.profile --data 1`);
      expect(await api.read(`/api/events/${String(json['resourceId'])}?siteId=${demo}`)).toMatchObject({ type: 'from.profile', data: 1 });
      await shell.ok(`kf profile set broken --server http://127.0.0.1:1`);
      expect((await shell.run('kf whoami --profile broken')).code).toBe(1);
      expect((await shell.ok('kf profile use work')).json).toMatchObject({ name: 'work', current: true, hasApiKey: true });
      expect((await shell.ok('kf whoami --quiet')).out).toBe('USER:usr_pat\n');
      expect(readFileSync(join(shell.home, 'config', 'kf', 'config.json'), 'utf8')).toContain('"work"');
    } finally {
      shell.end();
    }
  });
});

describe('exit codes', () => {
  it('0: done, help and version, on stdout', async () => {
    for (const line of ['kf --help', 'kf webhook --help', 'kf webhook pause-subscription --help', 'kf --version']) expect(await sam.run(line)).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/\S/) });
  });

  it('1: refused, or no answer, with the reason on stderr and nothing on stdout', async () => {
    expect(await sam.run(`kf webhook pause-subscription ${who} --webhook-subscription-id nobody`)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('not-found, 404') });
    const silent = await sam.run(`kf webhook pause-subscription ${who} --webhook-subscription-id nobody --server http://127.0.0.1:1 --idempotency-key mine`);
    expect(silent).toMatchObject({ code: 1, out: '', err: expect.stringContaining('Retry with --idempotency-key mine') });
  });

  it.each([
    [`kf webhook pause-subscription ${who}`, '--webhook-subscription-id <id> is required'],
    ['kf webhook pause-subscription --webhook-subscription-id whs_1', '--tenant <id> is required'],
    ['kf webhook pause-subscription --tenant tnt_demo --webhook-subscription-id whs_1', '--actor-type <type> is required'],
    [`kf webhook pause-subscription ${who.replace('USER', 'PERSON')} --webhook-subscription-id whs_1`, '--actor-type'],
    [`kf webhook pause-subscription ${who} --webhook-subscription-id whs_1 --webhook-subscription-idd x`, 'unknown option'],
    [`kf webhook pause-subscriptions ${who}`, 'unknown command'],
    [`echo nonsense | kf webhook upsert-subscription ${who} --event-pattern a.b --target-url https://example.com/ --signing-secret-ref-stdin --delivery-mode AT_LEAST_ONCE --status ACTIVE`, '--signing-secret-ref-stdin'],
    [`echo managed | kf webhook upsert-subscription ${who} --event-pattern 'a..b' --target-url https://example.com/ --signing-secret-ref-stdin --delivery-mode AT_LEAST_ONCE --status ACTIVE`, '--event-pattern'],
    [`kf webhook replay-delivery ${who} --webhook-delivery-id dlv_1 --reset-attempts maybe`, '--reset-attempts'],
    [`kf event publish ${who} --type a.b --data '{nonsense'`, '--data'],
    ['kf whoami --output xml', '--output'],
  ])('2: %s is not sent', async (line, message) => {
    const asked = inbox.connections();
    expect(await sam.run(line, { KF_SERVER: new URL(inbox.url('asked')).origin, KF_API_KEY: 'kf_some_key' })).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
    expect(inbox.connections()).toBe(asked);
  });
});
