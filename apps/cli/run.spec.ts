import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

const who = '--tenant tnt_demo --actor-type USER --actor-id usr_sam';
const rotate = `webhook rotate-subscription-secret ${who} --webhook-subscription-id whs_1 --idempotency-key k1`;
const route = 'POST /api/commands/RotateWebhookSubscriptionSecret';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const template = (payload: object): object => ({ tenant: 'tnt_demo', environment: 'production', actor: { type: 'USER', id: 'usr_sam' }, payload: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', expiresOn: '2026-11-03T10:00:00.000Z', ...payload } });

describe('a refusal', () => {
  it('goes to stderr with title, case, detail, fields and correlation id; stdout stays empty', async () => {
    api.answers(route, problem('validation-failed', 400, { errors: [{ path: 'payload.graceSeconds', message: 'must be a whole number' }] }));
    const { code, out, err } = await kf(words(`${rotate} --json`), { server: api.url });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.split('\n')).toEqual([
      'error: Title of validation-failed (validation-failed, 400)',
      '  Detail of validation-failed.',
      '  payload.graceSeconds: must be a whole number',
      '  correlation id: cor_1',
      '',
    ]);
  });

  it('approval-required gives the complete line that asks for it, and the line to type afterwards', async () => {
    api.answers(route, problem('approval-required', 403, { unmet: [{ code: 'approval-required', detail: 'needs 1 approval(s).' }], candidates: [], approvalRequest: template({}) }));
    const { code, err } = await kf([...words(rotate), '--on-behalf-of', "USER:o'brien", '--server', api.url, '--api-key', 'kf_secret'], {});
    expect(code).toBe(1);
    expect(err).toContain('- needs 1 approval(s).');
    expect(err).toContain(
      `  kf approval request --server ${api.url} --tenant tnt_demo --environment production --actor-type USER --actor-id usr_sam --on-behalf-of 'USER:o'\\''brien' --command-type RotateWebhookSubscriptionSecret --resource-id whs_1 --expires-on 2026-11-03T10:00:00.000Z --reason 'why it is needed'\n`,
    );
    expect(err).not.toContain('--payload-file');
    expect(err).toContain(`  kf ${rotate} --on-behalf-of 'USER:o'\\''brien' --server ${api.url}\n`);
    expect(err).not.toContain('kf_secret');
  });

  it('says each thing that is missing once', async () => {
    const detail = 'Approval apr_1 was used by command c1.';
    api.answers(route, problem('approval-already-used', 409, { detail, unmet: [{ code: 'approval-already-used', detail }, { code: 'approval-already-used', detail }, { code: 'approval-expired', detail: 'It has expired.' }] }));
    const { err } = await kf(words(rotate), { server: api.url });
    expect(err.split('\n').slice(1, 4)).toEqual([`  ${detail}`, '  - It has expired.', '  correlation id: cor_1']);
  });

  it('a line to type next begins as the one before: npx kf where npx ran it', async () => {
    api.answers(route, problem('outcome-unknown', 503));
    const { err } = await kf(words(rotate), { server: api.url, variables: { npm_command: 'exec' } });
    expect(err).toContain(`  npx kf ${rotate}\n`);
  });

  it('a request that nobody could grant says how to make an approver', async () => {
    api.answers('POST /api/commands/RequestApproval', problem('approver-not-eligible', 403));
    const { err } = await kf(words(`approval request ${who} --command-type RotateWebhookSubscriptionSecret --resource-id whs_1 --expires-on +4h`), { server: api.url });
    expect(err).toContain('  kf key create --tenant tnt_demo --environment production --name approver --scope site:tnt_demo:approve --actor USER:<approver>\n');
  });

  it('approval-required shows the payload to be approved where the approval is for that payload', async () => {
    api.answers(route, problem('approval-required', 403, { approvalRequest: template({ payload: { webhookSubscriptionId: 'whs_1' } }) }));
    const { err } = await kf(words(rotate), { server: api.url });
    expect(err).toContain(" --reason 'why it is needed' --payload-file payload.json\n");
    expect(err).toContain('  {"webhookSubscriptionId":"whs_1"}\n');
  });

  it('the line that asks for an approval is one that kf takes', async () => {
    api.answers(route, problem('approval-required', 403, { approvalRequest: template({}) }));
    const { err } = await kf(words(rotate), { server: api.url });
    const line = /^ {2}kf (approval request .*)$/m.exec(err)?.[1] ?? '';
    expect((await kf(words(line.replace("'why it is needed'", 'why')), { server: api.url })).code).toBe(0);
  });

  it('approval-pending says who must grant it, and how', async () => {
    api.answers(route, problem('approval-pending', 403, { approvalId: 'apr_1', candidates: [{ approvalId: 'apr_1', status: 'PENDING' }] }));
    const { err } = await kf(words(rotate), { server: api.url });
    expect(err).toContain('with an API key of their own');
    expect(err).toContain('  kf approval grant --tenant tnt_demo --environment production --approval-id apr_1 --actor-type USER --actor-id <approver>\n');
  });

  it.each([
    ['approval-expired', 403, 'kf approval request'],
    ['approval-denied', 403, 'kf approval request'],
    ['approval-invalidated', 403, 'kf approval request'],
    ['approver-conflict', 403, 'Somebody else must decide'],
    ['idempotency-key-reused', 422, 'use a new one'],
    ['concurrent-modification', 409, `kf ${rotate}`],
    ['outcome-unknown', 503, `kf ${rotate}`],
    ['store-unavailable', 503, 'Repeating it with the same key is safe'],
    ['internal-error', 500, 'Repeating it with the same key is safe'],
  ])('%s says what helps', async (slug, status, advice) => {
    api.answers(route, problem(slug, status));
    const { code, err } = await kf(words(rotate), { server: api.url });
    expect(code).toBe(1);
    expect(err).toContain(advice);
  });

  it('idempotency-request-in-flight says when to repeat with the same key', async () => {
    api.answers(route, problem('idempotency-request-in-flight', 409, {}, { 'retry-after': '3' }));
    const { err } = await kf(words(rotate), { server: api.url });
    expect(err).toContain('Repeat it in 3 s');
    expect(err).toContain('--idempotency-key k1');
  });

  it('is shown without the control characters in it', async () => {
    api.answers(route, problem('forbidden', 403, { detail: 'a\u001b[31mb\nc' }));
    expect((await kf(words(rotate), { server: api.url })).err).toContain('a\\u{1b}[31mb\\u{a}c');
  });

  it('is red on a terminal, unless colours are off', async () => {
    const paint = '\u001b[31merror:\u001b[39m';
    const on = { server: api.url, tty: { stderr: true, stdout: true }, variables: { NO_COLOR: '' } } as const;
    expect((await kf(words('whoami'), on)).err).toContain(paint);
    expect((await kf(words('whoami --no-color'), on)).err).not.toContain('\u001b');
    expect((await kf(words('whoami'), { ...on, variables: { NO_COLOR: '1' } })).err).not.toContain('\u001b');
    expect((await kf(words('whoami'), { ...on, tty: {} })).err).not.toContain('\u001b');
  });
});

describe('no answer', () => {
  const closedPort = async (): Promise<string> => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return `http://127.0.0.1:${port}`;
  };

  it('because nothing listens says so, and how to retry', async () => {
    const { code, out, err } = await kf(words(rotate), { server: await closedPort() });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('Is the server running? Start it with: npm start');
    expect(err).toContain('Nothing was sent. Retry with --idempotency-key k1:');
    expect(err).toContain(`  kf ${rotate}\n`);
  });

  it('because the port is barred says that nothing was sent', async () => {
    const { code, err } = await kf(words(rotate), { server: 'http://127.0.0.1:1' });
    expect(code).toBe(1);
    expect(err).toContain("can't reach http://127.0.0.1:1");
    expect(err).toContain('Nothing was sent');
  });

  it('because the connection broke says that it may have taken effect, with the generated key', async () => {
    api.answers('POST /api/commands/PauseWebhookSubscription', { drops: true });
    const { code, err } = await kf(words(`webhook pause-subscription ${who} --webhook-subscription-id whs_1 --quiet`), { server: api.url });
    const key = api.requests[0]?.headers['idempotency-key'];
    expect(code).toBe(1);
    expect(err).toContain(`It may or may not have taken effect. Retry with --idempotency-key ${String(key)}`);
    expect(api.requests).toHaveLength(1);
  });

  it('in time says how long it waited', async () => {
    api.answers(route, { hangs: true });
    const { code, err } = await kf(words(rotate), { server: api.url, requestTimeoutMs: 50 });
    expect(code).toBe(1);
    expect(err).toContain('within 0.05 s');
    expect(err).toContain('Retry with --idempotency-key k1');
  });

  it('because the person interrupted says how to find out', async () => {
    api.answers(route, { hangs: true });
    const interrupted = new AbortController();
    const running = kf(words(rotate), { server: api.url, signal: interrupted.signal });
    while (api.requests.length === 0) await new Promise(setImmediate);
    interrupted.abort(new Error('interrupted'));
    const { code, err } = await running;
    expect(code).toBe(1);
    expect(err).toContain('interrupted before the answer came');
  });

  it.each([
    [{ text: '<html>' }, 'not with JSON: is it a Countersign server?'],
    [{ text: '[]' }, 'not with JSON: is it a Countersign server?'],
    [{ status: 502, text: 'Bad Gateway' }, 'answered 502 Bad Gateway'],
    [{ status: 302, text: '', headers: { location: 'https://elsewhere.example/' } }, 'it points to https://elsewhere.example/'],
  ])('of ours: %j', async (scripted, message) => {
    api.answers(route, scripted);
    const { code, out, err } = await kf(words(rotate), { server: api.url });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
    expect(api.requests).toHaveLength(1);
  });

  it('gives a retry line that means the same command: full times, the key, no API key', async () => {
    api.answers('POST /api/commands/RequestApproval', { drops: true });
    const line = `approval request ${who} --command-type PauseWebhookSubscription --resource-id whs_1 --expires-on=+4h --due-on +1h --api-key=kf_secret --idempotency-key=k9`;
    const { err } = await kf(words(line), { server: api.url });
    expect(err).toContain(`  kf approval request ${who} --command-type PauseWebhookSubscription --resource-id whs_1 --expires-on 2026-11-02T14:00:00.000Z --due-on 2026-11-02T11:00:00.000Z --idempotency-key k9\n`);
    expect(err).not.toContain('kf_secret');
  });

  it('names standard input where the retry needs it again', async () => {
    api.answers(route, { drops: true });
    const { err } = await kf(words(`${rotate} --signing-secret-ref-stdin`), { server: api.url, stdin: 'managed' });
    expect(err).toContain('(with the same standard input for --signing-secret-ref-stdin)');
  });
});

describe('the global flags', () => {
  it.each([
    ['whoami --output xml', '--output: expected one of table, json, jsonl'],
    ['whoami --json --output table', 'contradict each other'],
    ['whoami --server example.com', '--server: expected an http: or https: URL'],
    ['whoami --server http://u:p@example.com', '--server: expected an http: or https: URL'],
    ['whoami --sevrer http://127.0.0.1', 'Did you mean --server?'],
    ['whoamI', 'Did you mean whoami?'],
    ['', 'Usage: kf'],
    ['webhook', 'Usage: kf webhook'],
  ])('"%s" is a usage error', async (line, message) => {
    const { code, out, err } = await kf(words(line), { server: api.url });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(api.requests).toHaveLength(0);
  });

  it('may stand before and after the verb', async () => {
    api.answers('GET /api/whoami', { text: '{"a":1}' }, { text: '{"a":1}' });
    expect((await kf(['--json', 'whoami', '--server', api.url], { tty: { stdout: true } })).out).toBe('{"a":1}\n');
    expect((await kf(['--server', api.url, 'whoami', '--output', 'jsonl'], { tty: { stdout: true } })).out).toBe('{"a":1}\n');
  });

  it('prints one line as jsonl whatever the answer\'s white space', async () => {
    api.answers('GET /api/status', { text: '{\n "a": 1.0\n}' });
    expect((await kf(['status', '--output', 'jsonl'], { server: api.url })).out).toBe('{"a":1.0}\n');
  });

  it('refuses KF_SERVER when it is malformed, and an API key without repeating it', async () => {
    expect(await kf(['whoami'], { server: 'example' })).toMatchObject({ code: 2, err: expect.stringContaining('KF_SERVER: expected') });
    const bad = await kf(['whoami'], { server: api.url, variables: { KF_API_KEY: 'kf_\u00e9secret' } });
    expect(bad).toMatchObject({ code: 2, err: expect.stringContaining('KF_API_KEY: expected') });
    expect(bad.err).not.toContain('secret');
    expect(api.requests).toHaveLength(0);
  });

  it('keeps a path before the API\'s in the server\'s address', async () => {
    await kf(['whoami'], { server: `${api.url}/countersign/` });
    expect(api.requests[0]?.url).toBe('/countersign/api/whoami');
  });

  it('warns when the key leaves the machine unencrypted', async () => {
    const answers: typeof fetch = () => Promise.resolve(new Response('{}'));
    expect((await kf(['whoami'], { server: 'http://kf.example.com', fetch: answers })).err).toContain('unencrypted');
    expect((await kf(['whoami'], { server: 'https://kf.example.com', fetch: answers })).err).toBe('');
  });

  it('prints version and help to stdout with exit code 0', async () => {
    expect(await kf(['--version'])).toEqual({ code: 0, out: '9.9.9\n', err: '' });
    const help = await kf(['webhook', 'rotate-subscription-secret', '--help']);
    expect(help).toMatchObject({ code: 0, err: '' });
    for (const part of ['--grace-seconds', '0 to 604800', 'Global Options', '--api-key', 'Examples:', 'Exit codes: 0']) expect(help.out).toContain(part);
  });
});
