import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { applied, type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const transcript = {
  startedAt: '2026-11-02T10:00:00.000Z',
  durationMs: 3,
  request: { method: 'POST', url: 'https://example.com/hook', headers: { 'webhook-id': 'prb_1' }, body: '{"id":"prb_1"}' },
  response: { status: 200, headers: {}, body: 'thanks', truncated: false } as object | null,
  error: null as string | null,
  timings: { totalMs: 3 },
  remoteAddress: '192.0.2.1',
};
const came = (status: number, body: string): object => ({ ...transcript, response: { status, headers: {}, body, truncated: false } });
const answer = (more: object): { readonly body: object } => ({ body: { probeId: 'prb_1', position: '42', delivered: true, signatureRefused: false, transcript, ...more } });

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

describe('kf webhook probe', () => {
  const line = 'webhook probe --site acme --url https://example.com/hook --event version.published';
  const route = 'POST /api/webhooks/probe';

  it('sends URL and event, and shows the exchange', async () => {
    api.answers(route, answer({}));
    const { code, out, err } = await kf(words(line), { server: api.url, tty: { stdout: true } });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(api.requests[0]).toMatchObject({ method: 'POST', url: '/api/webhooks/probe?siteId=acme' });
    expect(api.requests[0]?.body).toEqual({ url: 'https://example.com/hook', event: 'version.published' });
    expect(out).toContain('> POST https://example.com/hook\n> webhook-id: prb_1\n>\n> {"id":"prb_1"}\n< 200\n<\n< thanks\n');
    expect(out).toMatch(/^Delivered +true$/m);
  });

  it('sends the payload byte for byte, the secret from standard input, and who acts', async () => {
    api.answers(route, answer({}));
    await kf([...words(line), '--payload', ' {"n":9007199254740993, "x":1.0} ', '--secret-stdin', '--actor-type', 'USER', '--actor-id', 'sam'], { server: api.url, stdin: `${secret}\n` });
    expect(api.requests[0]?.text).toBe(`{"url":"https://example.com/hook","event":"version.published","payload":{"n":9007199254740993, "x":1.0},"signingSecret":"${secret}"}`);
    expect(api.requests[0]?.headers['kf-actor']).toBe('USER:sam');
  });

  it.each([
    ['a refused signature', { delivered: false, signatureRefused: true, transcript: came(401, 'bad signature') }, 'the receiver refused the signature: it answered 401 bad signature'],
    ['any other answer but 2xx', { delivered: false, transcript: came(302, '') }, 'the receiver did not take it: it answered 302'],
    ['no answer', { delivered: false, transcript: { ...transcript, response: null, error: 'connect-refused' } }, 'the receiver did not answer: connect-refused'],
  ])('%s is exit code 1, with the whole answer on stdout', async (_, more, said) => {
    api.answers(route, answer(more));
    const { code, out, err } = await kf(words(line), { server: api.url });
    expect(code).toBe(1);
    expect(err).toBe(`error: ${said}\n`);
    expect(JSON.parse(out)).toMatchObject(more);
  });

  it('a target that is not allowed is exit code 1', async () => {
    api.answers(route, problem('target-url-refused', 422));
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, out: '', err: expect.stringContaining('target-url-refused, 422') });
  });

  it.each([
    ['--payload', '{"a":'],
    ['--payload', ''],
    ['--payload', "{'a':1}"],
    ['--event', 'Version.published'],
    ['--event', 'version.*'],
    ['--url', 'ftp://example.com'],
  ])('%s %s is exit code 2, and nothing is sent', async (flag, value) => {
    expect(await kf([...words(line), flag, value], { server: api.url })).toMatchObject({ code: 2, out: '', err: expect.stringContaining(`${flag}: expected`) });
    expect(api.requests).toHaveLength(0);
  });

  it('a payload beyond the limit is exit code 2', async () => {
    expect((await kf([...words(line), '--payload', JSON.stringify('x'.repeat(262_143))], { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });

  it.each(['hunter2', 'whsec_aGk=', ''])('the malformed secret %j is exit code 2, and is not repeated', async (text) => {
    const { code, err } = await kf(words(`${line} --secret-stdin`), { server: api.url, stdin: text });
    expect(code).toBe(2);
    expect(err).toContain('--secret-stdin: expected a signing secret: whsec_');
    if (text !== '') expect(err).not.toContain(text);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook test', () => {
  const line = 'webhook test --tenant acme --actor-type USER --actor-id sam --webhook-subscription-id whs_1 --idempotency-key k1';
  const delivery = 'GET /api/webhooks/whs_1/deliveries/dlv_1';
  const route = 'POST /api/commands/TestWebhookSubscription';
  const attempted = (status: string, of: object): { readonly body: object } => ({ body: { id: 'dlv_1', status, transcripts: [{ ...of, attempt: 1 }] } });
  beforeEach(() => api.answers(route, { body: applied('TestWebhookSubscription', 'whs_1', { deliveryId: 'dlv_1', eventId: 'evt_1' }) }));

  it('is a command, and shows what the receiver answered', async () => {
    api.answers(delivery, problem('not-found', 404), { body: { id: 'dlv_1', status: 'PENDING', transcripts: [] } }, attempted('PENDING', transcript), attempted('DELIVERED', transcript));
    const { code, out, err } = await kf(words(`${line} --event claim.filed`), { server: api.url });
    expect(code).toBe(0);
    expect(api.requests[0]).toMatchObject({ method: 'POST', url: '/api/commands/TestWebhookSubscription', body: { tenant: 'acme', environment: 'production', actor: { type: 'USER', id: 'sam' }, payload: { webhookSubscriptionId: 'whs_1', event: 'claim.filed' } } });
    expect(api.requests[1]?.url).toBe('/api/webhooks/whs_1/deliveries/dlv_1?siteId=acme');
    expect(JSON.parse(out)).toMatchObject({ commandType: 'TestWebhookSubscription', result: { deliveryId: 'dlv_1' } });
    expect(err).toContain('< 200\n<\n< thanks\n');
    expect(err).toMatch(/The receiver took it\.\n$/);
  });

  it('that the receiver did not take is exit code 1', async () => {
    api.answers(delivery, attempted('SCHEDULED', came(500, 'oops')));
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('error: the receiver did not take it: it answered 500; the delivery is SCHEDULED now') });
  });

  it('that is not attempted for a while is no failure', async () => {
    api.answers(delivery, ...Array.from({ length: 40 }, () => ({ body: { id: 'dlv_1', status: 'PENDING', transcripts: [] } })));
    const { code, err } = await kf(words(line), { server: api.url });
    expect(code).toBe(0);
    expect(err).toContain('was not attempted within 10 s. See later: kf webhook delivery get whs_1 dlv_1');
  });

  it('of a paused subscription waits for its resumption, not we', async () => {
    const paused = await startFakeApi();
    paused.answers(route, { body: applied('TestWebhookSubscription', 'whs_1', { deliveryId: 'dlv_1', status: 'PAUSED' }) });
    const { code, err } = await kf(words(line), { server: paused.url });
    await paused.close();
    expect({ code, err }).toEqual({ code: 0, err: 'The subscription is PAUSED: delivery dlv_1 waits until it is resumed.\n' });
  });

  it('needs tenant and actor as every command does', async () => {
    const { code, err } = await kf(words('webhook test --webhook-subscription-id whs_1'), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--tenant <id> is required');
    expect(api.requests).toHaveLength(0);
  });
});
