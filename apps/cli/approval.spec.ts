import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { gateableCommands } from '#contracts';
import { applied, type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';
import { gateable } from './forms.ts';

const who = '--tenant tnt_demo --actor-type USER --actor-id usr_sam';
const kim = '--tenant tnt_demo --actor-type USER --actor-id usr_kim';

const approval = {
  id: 'apr_1',
  siteId: 'tnt_demo',
  status: 'PENDING',
  commandType: 'RotateWebhookSubscriptionSecret',
  resourceId: 'whs_1',
  requester: { type: 'AGENT', id: 'bot' },
  onBehalfOf: [{ type: 'USER', id: 'usr_sam' }],
  reason: 'key was in a log',
  binding: 'RESOURCE',
  overdue: false,
  payload: null,
  dueOn: '2026-11-02T11:00:00.000Z',
  expiresOn: '2026-11-02T14:00:00.000Z',
  minApprovals: 1,
  votes: [],
  eligible: [{ type: 'USER', id: 'usr_kim' }],
  revision: 1,
};

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());
const last = (): FakeApi['requests'][number] => api.requests.at(-1)!;

describe('kf approval request', () => {
  const line = `approval request ${who} --command-type RotateWebhookSubscriptionSecret --resource-id whs_1`;

  it('sends times relative to now as full times, and the reason', async () => {
    const { code } = await kf([...words(`${line} --expires-on +4h --due-on +30m`), '--reason', 'key was in a log'], { server: api.url });
    expect(code).toBe(0);
    expect(last()).toMatchObject({
      url: '/api/commands/RequestApproval',
      body: {
        tenant: 'tnt_demo',
        payload: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', expiresOn: '2026-11-02T14:00:00.000Z', dueOn: '2026-11-02T10:30:00.000Z', reason: 'key was in a log' },
      },
    });
  });

  it('sends an RFC 3339 time as it was typed', async () => {
    await kf(words(`${line} --expires-on 2026-11-03T16:00:00+02:00`), { server: api.url });
    expect(last().body).toMatchObject({ payload: { expiresOn: '2026-11-03T16:00:00+02:00' } });
  });

  it('sends the payload of a file byte for byte', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'kf-')), 'payload.json');
    writeFileSync(file, '\n{ "n": 9007199254740993, "x": 1.0 }\n');
    expect((await kf([...words(`${line} --expires-on +1h --payload-file`), file], { server: api.url })).code).toBe(0);
    expect(last().text).toContain('"payload":{ "n": 9007199254740993, "x": 1.0 }}');
  });

  it('knows exactly the commands that can be gated', () => {
    expect(gateableCommands.every((type) => gateable.read(type) === type)).toBe(true);
    expect(gateable.expected).toBe(`one of ${gateableCommands.join(', ')}`);
  });

  it.each([
    ['--expires-on tomorrow', '--expires-on: expected RFC 3339'],
    ['--expires-on 2026-11-03T14:00:00', '--expires-on: expected RFC 3339'],
    ['--expires-on 2026-02-30T14:00:00Z', '--expires-on: expected RFC 3339'],
    ['--expires-on +2', '--expires-on: expected RFC 3339'],
    ['--expires-on +999999999d', '--expires-on: expected RFC 3339'],
    ['--expires-on +1h --due-on +2h', '--due-on: expected a time not after --expires-on'],
    ['--expires-on +1h --payload-file /nowhere/payload.json', "--payload-file: /nowhere/payload.json can't be read"],
    ['--expires-on +1h --command-type PublishEvent', '--command-type: expected one of'],
    ['', '--expires-on <time> is required'],
  ])('refuses "%s" with exit code 2 and sends nothing', async (flags, message) => {
    const { code, err } = await kf(words(`${line} ${flags}`), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(api.requests).toHaveLength(0);
  });

  it.each(['[1]', '{"a":', ''])('refuses a payload file that holds %j', async (content) => {
    const file = join(mkdtempSync(join(tmpdir(), 'kf-')), 'payload.json');
    writeFileSync(file, content);
    const { code, err } = await kf([...words(`${line} --expires-on +1h --payload-file`), file], { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('to hold a JSON object');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf approval grant', () => {
  const line = `approval grant ${kim} --approval-id apr_1`;
  const terminal = { stdin: true, stderr: true } as const;
  beforeEach(() => api.answers('GET /api/approvals/apr_1', { body: approval }));

  it('shows who asks, for whom, for what and until when, and sends the revision it showed', async () => {
    const { code, err } = await kf(words(line), { server: api.url });
    expect(code).toBe(0);
    expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /api/approvals/apr_1?siteId=tnt_demo', 'POST /api/commands/GrantApproval']);
    expect(last().body).toMatchObject({ actor: { type: 'USER', id: 'usr_kim' }, expectedRevision: 1, payload: { approvalId: 'apr_1' } });
    for (const line of [
      /^Requested by +AGENT:bot$/m,
      /^On behalf of +USER:usr_sam$/m,
      /^Resource +whs_1$/m,
      /^Reason +key was in a log$/m,
      /^Allows +one RotateWebhookSubscriptionSecret on whs_1, with any payload$/m,
      /^Due +2026-11-02 12:00:00 \+01:00 \(in 1 h\)$/m,
      /^Expires +2026-11-02 15:00:00 \+01:00 \(in 4 h\)$/m,
    ]) expect(err).toMatch(line);
  });

  it('asks on a terminal, and grants on yes', async () => {
    const { code, err } = await kf(words(line), { server: api.url, tty: terminal, stdin: 'y\n' });
    expect(code).toBe(0);
    expect(err).toContain('Grant it? [y/N]');
    expect(last().url).toBe('/api/commands/GrantApproval');
  });

  it.each(['n\n', '\n', ''])('sends nothing when the answer is %j', async (stdin) => {
    const { code, err } = await kf(words(line), { server: api.url, tty: terminal, stdin });
    expect(code).toBe(1);
    expect(err).toContain('not confirmed: nothing was sent');
    expect(api.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it('shows what it asks about also with --quiet', async () => {
    const { err } = await kf(words(`${line} --quiet`), { server: api.url, tty: terminal, stdin: 'y\n' });
    expect(err).toContain('AGENT:bot');
  });

  it('does not ask with --yes', async () => {
    const { code, err } = await kf(words(`${line} --yes`), { server: api.url, tty: terminal });
    expect(code).toBe(0);
    expect(err).not.toContain('[y/N]');
  });

  it('sends another revision than the shown one only when told to', async () => {
    await kf(words(`${line} --if-revision 7`), { server: api.url });
    expect(last().body).toMatchObject({ expectedRevision: 7 });
  });

  it('shows exactly what a bound payload would change, with nothing hidden in it', async () => {
    const bound = { ...approval, id: 'apr_2', reason: 'please\u001b[2K\u202eevil\u2060\u061c\u{e0041}', binding: 'PAYLOAD', payload: { targetUrl: 'https://example.com/\u202e' } };
    api.answers('GET /api/approvals/apr_2', { body: bound });
    const { err } = await kf(words(`approval grant ${kim} --approval-id apr_2`), { server: api.url });
    expect(err).toContain('with exactly this payload: {"targetUrl":"https://example.com/\\u{202e}"}');
    expect(err).toContain('please\\u{1b}[2K\\u{202e}evil\\u{2060}\\u{61c}\\u{e0041}');
  });

  it('does not take a payload that is not bound for a promise', async () => {
    api.answers('GET /api/approvals/apr_2', { body: { ...approval, id: 'apr_2', overdue: true, payload: { graceSeconds: 0 }, minApprovals: 2, votes: [{ voter: { type: 'USER', id: 'usr_lee' }, keyId: 'key_1', asserted: true }] } });
    const { err } = await kf(words(`approval grant ${kim} --approval-id apr_2`), { server: api.url });
    expect(err).toMatch(/^Allows +.* with any payload; the requester says it will be {"graceSeconds":0}$/m);
    expect(err).toMatch(/^Status +PENDING \(overdue\)$/m);
    expect(err).toMatch(/^Votes +1 of 2, USER:usr_lee \(asserted\)$/m);
  });

  it('decides nothing when there is no such approval', async () => {
    const { code, err } = await kf(words(`approval grant ${kim} --approval-id apr_none`), { server: api.url });
    expect(code).toBe(1);
    expect(err).toContain('not-found');
    expect(api.requests).toHaveLength(1);
  });

  it('says what to do when it changed meanwhile', async () => {
    api.answers('POST /api/commands/GrantApproval', problem('precondition-failed', 412));
    const { code, err } = await kf(words(line), { server: api.url });
    expect(code).toBe(1);
    expect(err).toContain('It changed since that revision');
  });
});

describe('kf approval deny, withdraw and revoke', () => {
  it.each([
    ['deny', 'DenyApproval', ['--reason', 'not now']],
    ['withdraw', 'WithdrawApproval', []],
    ['revoke', 'RevokeApproval', ['--reason', 'not now']],
  ])('%s sends the decision', async (verb, commandType, reason) => {
    const { code } = await kf([...words(`approval ${verb} ${kim} --approval-id apr_1 --if-revision 2`), ...reason], { server: api.url });
    expect(code).toBe(0);
    expect(api.requests).toHaveLength(1);
    expect(last()).toMatchObject({ url: `/api/commands/${commandType}`, body: { expectedRevision: 2, payload: { approvalId: 'apr_1', ...(reason[1] === undefined ? {} : { reason: reason[1] }) } } });
  });

  it.each(['deny', 'revoke'])('%s needs a reason', async (verb) => {
    const { code, err } = await kf(words(`approval ${verb} ${kim} --approval-id apr_1`), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--reason <text> is required');
    expect(api.requests).toHaveLength(0);
  });

  it('shows the approval and asks on a terminal', async () => {
    api.answers('GET /api/approvals/apr_1', { body: approval });
    const { code, err } = await kf([...words(`approval deny ${kim} --approval-id apr_1 --reason no`)], { server: api.url, tty: { stdin: true, stderr: true }, stdin: 'n\n' });
    expect(code).toBe(1);
    expect(err).toContain('Deny it? [y/N]');
    expect(err).toContain('AGENT:bot');
    expect(api.requests).toHaveLength(1);
  });
});

describe('kf approval list', () => {
  const other = { ...approval, id: 'apr_2', requester: { type: 'USER', id: 'usr_kim' }, onBehalfOf: [] };

  it('asks for one page of the site and passes the answer on as it is', async () => {
    const text = `{"items":[${JSON.stringify(approval)}, {"id":"apr_2","n":1.0}],"nextCursor":"c2"}`;
    api.answers('GET /api/approvals', { text });
    const { code, out, err } = await kf(words('approval list --tenant tnt_demo --environment staging --status PENDING --limit 2 --cursor c1'), { server: api.url });
    expect(code).toBe(0);
    expect(last().url).toBe('/api/approvals?siteId=tnt_demo.staging&status=PENDING&limit=2&cursor=c1');
    expect(out).toBe(`${text}\n`);
    expect(err).toContain('--cursor c2');
  });

  it('shows a table with local times', async () => {
    api.answers('GET /api/approvals', { body: { items: [approval], nextCursor: null } });
    const { out } = await kf(words('approval list --tenant tnt_demo'), { server: api.url, tty: { stdout: true } });
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^ID +STATUS +COMMAND +RESOURCE +REQUESTED BY +DUE +EXPIRES$/),
      expect.stringMatching(/^apr_1 +PENDING +RotateWebhookSubscriptionSecret +whs_1 +AGENT:bot +2026-11-02 12:00:00 \+01:00 \(in 1 h\) +2026-11-02 15:00:00 \+01:00 \(in 4 h\)$/),
      '',
    ]);
  });

  it('prints one line an item as jsonl, numbers as they came, and ids with --quiet', async () => {
    const text = '{"items":[{"id":"apr_1","n":1.0},{"id":"apr_2","n":9007199254740993}],"nextCursor":null}';
    api.answers('GET /api/approvals', { text }, { text });
    expect((await kf(words('approval list --tenant tnt_demo --output jsonl'), { server: api.url })).out).toBe('{"id":"apr_1","n":1.0}\n{"id":"apr_2","n":9007199254740993}\n');
    expect((await kf(words('approval list --tenant tnt_demo --quiet'), { server: api.url })).out).toBe('apr_1\napr_2\n');
  });

  it('says on stderr that there are none', async () => {
    api.answers('GET /api/approvals', { body: { items: [], nextCursor: null } });
    expect(await kf(words('approval list --tenant tnt_demo'), { server: api.url, tty: { stdout: true } })).toEqual({ code: 0, out: '', err: 'There are none.\n' });
  });

  it('--mine reads all pages and keeps what I asked for or what was asked for me', async () => {
    api.answers('GET /api/approvals', { body: { items: [other], nextCursor: 'c2' } }, { body: { items: [approval], nextCursor: null } });
    const { out } = await kf(words('approval list --tenant tnt_demo --mine --actor-type USER --actor-id USR_SAM'), { server: api.url });
    expect(JSON.parse(out)).toEqual({ items: [approval], nextCursor: null });
    expect(api.requests.map(({ url }) => url)).toEqual(['/api/approvals?siteId=tnt_demo&limit=500', '/api/approvals?siteId=tnt_demo&limit=500&cursor=c2']);
  });

  it('--mine without an actor asks whom the key speaks for', async () => {
    api.answers('GET /api/whoami', { body: { actor: { type: 'USER', id: 'usr_kim' } } });
    api.answers('GET /api/approvals', { body: { items: [approval, other], nextCursor: null } });
    expect(JSON.parse((await kf(words('approval list --tenant tnt_demo --mine'), { server: api.url })).out)).toEqual({ items: [other], nextCursor: null });
  });

  it('--watch prints what is new or changed, one line each, until interrupted', async () => {
    const interrupted = new AbortController();
    const granted = { ...approval, status: 'APPROVED' };
    api.answers('GET /api/approvals', ...[[approval], [approval, other], [approval, other], [granted, other]].map((items) => ({ body: { items, nextCursor: null } })));
    const { code, out } = await kf(words('approval list --tenant tnt_demo --watch'), { server: api.url, signal: interrupted.signal, onOut: (text) => text.includes('APPROVED') && interrupted.abort(new Error('interrupted')) });
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([approval, other, granted]);
  });

  it('--watch prints the headings of a table once', async () => {
    const interrupted = new AbortController();
    api.answers('GET /api/approvals', ...[[approval], [approval, other]].map((items) => ({ body: { items, nextCursor: null } })));
    const { out } = await kf(words('approval list --tenant tnt_demo --watch'), { server: api.url, tty: { stdout: true }, signal: interrupted.signal, onOut: (text) => text.includes('apr_2') && interrupted.abort(new Error('interrupted')) });
    expect(out.match(/REQUESTED BY/g)).toHaveLength(1);
    expect(out).toMatch(/^apr_2 /m);
  });

  it('does not page while it reads all pages', async () => {
    expect(await kf(words('approval list --tenant tnt_demo --mine --limit 5'), { server: api.url })).toMatchObject({ code: 2 });
    expect(api.requests).toHaveLength(0);
  });

  it('needs the tenant', async () => {
    const { code, err } = await kf(['approval', 'list'], { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--tenant <id> is required');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf approval get', () => {
  it.each(['approval get --tenant tnt_demo --approval-id apr_1', 'approval get apr_1 --tenant tnt_demo'])('%s answers the approval', async (line) => {
    api.answers('GET /api/approvals/apr_1', { body: approval });
    const { code, out } = await kf(words(line), { server: api.url });
    expect(code).toBe(0);
    expect(last().url).toBe('/api/approvals/apr_1?siteId=tnt_demo');
    expect(JSON.parse(out)).toEqual(approval);
  });

  it('refuses an id given twice, and none', async () => {
    expect((await kf(words('approval get apr_1 --approval-id apr_2 --tenant tnt_demo'), { server: api.url })).code).toBe(2);
    expect((await kf(words('approval get --tenant tnt_demo'), { server: api.url })).err).toContain('--approval-id <id> is required');
    expect(api.requests).toHaveLength(0);
  });

  it('--watch ends when it is no longer pending', async () => {
    const granted = { ...approval, status: 'APPROVED', votes: [{ voter: { type: 'USER', id: 'usr_kim' } }] };
    api.answers('GET /api/approvals/apr_1', { body: approval }, { body: approval }, { body: granted });
    const { code, out } = await kf(words('approval get apr_1 --tenant tnt_demo --watch --quiet'), { server: api.url });
    expect({ code, out }).toEqual({ code: 0, out: 'PENDING\nAPPROVED\n' });
  });
});

describe('kf approval policy', () => {
  it('get shows one policy, or all', async () => {
    api.answers('GET /api/approval-policies/PauseWebhookSubscription', { body: { commandType: 'PauseWebhookSubscription', required: false } });
    api.answers('GET /api/approval-policies', { body: { items: [{ commandType: 'PauseWebhookSubscription', required: false, minApprovals: 1, approvers: null, binding: 'RESOURCE', executor: 'REQUESTER' }], nextCursor: null } });
    expect((await kf(words('approval policy get --tenant tnt_demo --command-type PauseWebhookSubscription'), { server: api.url, tty: { stdout: true } })).out).toMatch(/^Required +false$/m);
    expect((await kf(words('approval policy get --tenant tnt_demo'), { server: api.url, tty: { stdout: true } })).out).toMatch(/^PauseWebhookSubscription +false +1 +- +RESOURCE +REQUESTER$/m);
    expect(api.requests.map(({ url }) => url)).toEqual(['/api/approval-policies/PauseWebhookSubscription?siteId=tnt_demo', '/api/approval-policies?siteId=tnt_demo']);
  });

  const set = `approval policy set ${who} --command-type RotateWebhookSubscriptionSecret`;

  it('set sends what was given, lengths of time in seconds', async () => {
    const flags = '--required --min-approvals 2 --approver USER:usr_kim --approver USER:usr_lee --binding PAYLOAD --max-ttl 24h --due-on-mode closesDecision --executor ANYONE --voters ASSERTED';
    expect((await kf(words(`${set} ${flags}`), { server: api.url })).code).toBe(0);
    expect(last()).toMatchObject({ url: '/api/commands/SetApprovalPolicy' });
    expect(last().body['payload']).toEqual({
      commandType: 'RotateWebhookSubscriptionSecret',
      required: true,
      minApprovals: 2,
      approvers: [{ type: 'USER', id: 'usr_kim' }, { type: 'USER', id: 'usr_lee' }],
      binding: 'PAYLOAD',
      maxTtlSeconds: 86_400,
      dueOnMode: 'closesDecision',
      executor: 'ANYONE',
      voters: 'ASSERTED',
    });
  });

  it('set opens the vote to everybody again with --approver any', async () => {
    await kf(words(`${set} --required false --approver any`), { server: api.url });
    expect(last().body['payload']).toEqual({ commandType: 'RotateWebhookSubscriptionSecret', required: false, approvers: null });
  });

  it('set acts as the key itself when nobody is named', async () => {
    api.answers('GET /api/whoami', { body: { actor: null, defaultActor: { type: 'USER', id: 'root' } } });
    await kf(words('approval policy set --tenant tnt_demo --command-type RotateWebhookSubscriptionSecret --required'), { server: api.url });
    expect(last().body).toMatchObject({ actor: { type: 'USER', id: 'root' } });
  });

  it.each([
    ['', '--required [true|false] is required'],
    ['--required --min-approvals 0', '--min-approvals: expected a whole number from 1 to 20'],
    ['--required --max-ttl 90', '--max-ttl: expected a length of time'],
    ['--required --approver any --approver USER:usr_kim', '--approver: give names, or any, not both'],
    ['--required --approver kim', '--approver: expected TYPE:ID'],
    ['--required --voters ANY', '--voters: expected one of BOUND, ASSERTED'],
  ])('set refuses "%s" and sends nothing', async (flags, message) => {
    const { code, err } = await kf(words(`${set} ${flags}`), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(api.requests).toHaveLength(0);
  });
});

describe('what the answer to a command says', () => {
  it('is printed as it came', async () => {
    const text = JSON.stringify(applied('RequestApproval', 'apr_9', { approvalId: 'apr_9', n: 0 })).replace('"n":0', '"n":1.0');
    api.answers('POST /api/commands/RequestApproval', { text }, { text });
    const line = words(`approval request ${who} --command-type PauseWebhookSubscription --resource-id whs_1 --expires-on +1h`);
    expect((await kf(line, { server: api.url })).out).toBe(`${text}\n`);
    expect((await kf([...line, '--quiet'], { server: api.url })).out).toBe('apr_9\n');
  });
});
