import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { approvalAnnouncements } from '#approvals';
import { deliveryAnnouncements } from '#deliveries';
import type { Announcements, RecordedEvent } from '#kernel';
import { subscriptionAnnouncements } from '#subscriptions';
import { emptyHome, type FakeApi, kf, type KfOptions, type KfRun, problem, startFakeApi, words } from '../../test/support/kf.ts';
import { type Answer, type HttpReceiver, startReceiver, systemClock } from '../../test/support/webhook-receivers.ts';
import { cannedData, operationalTypes } from './canned.ts';

let api: FakeApi;
let receiver: HttpReceiver;
let answer: Answer;
beforeEach(async () => {
  api = await startFakeApi();
  answer = (response) => response.writeHead(202).end('taken');
  receiver = await startReceiver((response, request) => answer(response, request));
});
afterEach(() => Promise.all([api.close(), receiver.close()]));

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const trigger = (flags = '', options: KfOptions = {}): Promise<KfRun> => kf([...words(`trigger version.published --to ${receiver.url} ${flags}`)], options);
const sent = (): HttpReceiver['requests'][number] => {
  const [request] = receiver.requests;
  if (request === undefined) throw new Error('nothing was sent');
  return request;
};

describe('kf trigger', () => {
  it('posts a sample in the body of a delivery, without a server, a site or a key', async () => {
    const { code, out, err } = await trigger();
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ eventId: expect.stringMatching(/^evt_[0-9a-z]{26}$/), type: 'version.published', url: receiver.url, delivered: true, status: 202, error: null, latencyMs: 0, body: 'taken' });
    const { eventId } = JSON.parse(out) as { eventId: string };
    expect(JSON.parse(sent().body)).toEqual({ id: eventId, type: 'version.published', timestamp: '2026-11-02T10:00:00.000Z', tenant: 'tnt_example', environment: 'production', data: { message: expect.any(String) } });
    expect(Object.keys(JSON.parse(sent().body) as object)).toEqual(['id', 'type', 'timestamp', 'tenant', 'environment', 'data']);
    expect(sent().headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'Countersign/9.9.9', 'webhook-id': eventId, 'roost-signature': expect.stringContaining('t=1793613600,v1=') });
    expect(err).toMatch(/^Signing secret of this session: whsec_\S+$/m);
  });

  it('signs with the secret given, like production', async () => {
    const { err } = await trigger('--secret-stdin', { stdin: secret, clock: systemClock });
    expect(() => new Webhook(secret).verify(sent().body, sent().headers as Record<string, string>)).not.toThrow();
    expect(err).not.toContain('whsec_');
  });

  it.each(['{"n":1.0, "big":9007199254740993}', '"größe"', 'null'])('sends the payload %s byte for byte', async (payload) => {
    expect((await kf(['trigger', 'a.b', '--to', receiver.url, '--payload', payload])).code).toBe(0);
    expect(sent().body).toContain(`"data":${payload}}`);
  });

  it('takes the payload from a file', async () => {
    const file = join(emptyHome(), 'claim.json');
    writeFileSync(file, '{\n  "claim": 4711\n}\n');
    await kf(['trigger', 'claim.filed', '--to', receiver.url, '--payload', `@${file}`, '--site', 'acme.staging']);
    expect(sent().body).toMatch(/"tenant":"acme","environment":"staging","data":\{\n {2}"claim": 4711\n\}\}$/);
  });

  it('is the same verb below webhook', async () => expect((await kf(words(`webhook trigger a.b --to ${receiver.url} --quiet`))).out).toBe('202\n'));

  it.each<readonly [string, Answer, string]>([
    ['refuses', (response) => response.writeHead(401).end('bad signature'), 'the receiver did not take it: it answered 401 bad signature'],
    ['redirects', (response) => response.writeHead(302, { location: '/' }).end(), 'the receiver did not take it: it answered 302'],
    ['breaks off', (response) => response.destroy(), 'the receiver did not answer: connection-lost'],
  ])('exits with 1 when the receiver %s', async (_case, how, said) => {
    answer = how;
    const { code, out, err } = await trigger();
    expect([code, (JSON.parse(out) as { delivered: boolean }).delivered, receiver.requests.length]).toEqual([1, false, 1]);
    expect(err).toContain(`error: ${said}`);
  });

  it('shows the beginning of a long answer, and does not wait for its end', async () => {
    answer = (response) => void response.writeHead(200).write('x'.repeat(100_000));
    const { code, out } = await trigger();
    expect([code, (JSON.parse(out) as { body: string }).body.length]).toEqual([0, 16_384]);
  });

  it('shows a sheet on a terminal', async () => {
    const { out } = await trigger('', { tty: { stdout: true } });
    expect(out).toMatch(/^Event id +evt_\S+\nType +version\.published\nUrl +\S+\nDelivered +true\nStatus +202\nLatency ms +0\nAnswer +taken\n$/);
  });

  it.each([
    [['a.b', '--payload', '{"a":'], '--payload: expected JSON text, or @<file> with JSON text in it'],
    [['a.b', '--payload', '@/nowhere/claim.json'], "--payload: /nowhere/claim.json can't be read"],
    [['a.b', '--payload', '@/etc/hostname'], '--payload: expected JSON text in /etc/hostname'],
    [['a.b', '--payload', `"${'x'.repeat(262_144)}"`], '--payload: expected at most 262144 bytes, got 262146'],
    [['Version'], 'expected a dotted event type'],
    [[], "missing required argument 'event'"],
    [['a.b', '--secret-stdin'], '--secret-stdin: expected a signing secret'],
  ])('%p is a usage error, and nothing is sent', async (flags, issue) => {
    for (const viaApi of [[], ['--via-api', '--site', 'acme']]) {
      const { code, err } = await kf(['trigger', ...flags, '--to', receiver.url, ...viaApi], { server: api.url });
      expect([code, err.includes(issue), receiver.requests.length, api.requests.length]).toEqual([2, true, 0, 0]);
    }
  });
});

describe('kf trigger --via-api', () => {
  const probed = (status: number, more: object = {}): object => ({
    probeId: 'prb_1', position: '9', delivered: status < 300, signatureRefused: status === 401,
    transcript: { startedAt: '2026-11-02T10:00:00.000Z', durationMs: 3, request: { method: 'POST', url: receiver.url, headers: {}, body: '{}' }, response: { status, headers: {}, body: 'said', truncated: false }, error: null, timings: {}, remoteAddress: '127.0.0.1', ...more },
  });

  it('lets the server send it, as a probe does', async () => {
    api.answers('POST /api/webhooks/probe', { body: probed(200) });
    const { code, out } = await trigger('--via-api --site acme --payload {"n":1.0} --secret-stdin', { server: api.url, stdin: secret });
    expect([code, JSON.parse(out), receiver.requests.length]).toEqual([0, probed(200), 0]);
    expect(api.requests.map(({ method, url, text }) => [method, url, text])).toEqual([['POST', '/api/webhooks/probe?siteId=acme', `{"url":"${receiver.url}","event":"version.published","payload":{"n":1.0},"signingSecret":"${secret}"}`]]);
  });

  it('exits with 1 when the receiver refuses the signature', async () => {
    api.answers('POST /api/webhooks/probe', { body: probed(401) });
    const { code, err } = await trigger('--via-api --site acme', { server: api.url });
    expect([code, err.includes('error: the receiver refused the signature: it answered 401 said')]).toEqual([1, true]);
  });

  it('exits with 1 when the server refuses the address', async () => {
    api.answers('POST /api/webhooks/probe', problem('target-url-refused', 422));
    expect((await trigger('--via-api --site acme', { server: api.url })).code).toBe(1);
  });

  it('needs a site', async () => {
    api.answers('GET /api/whoami', { body: { siteId: null } });
    expect((await trigger('--via-api', { server: api.url })).code).toBe(2);
    expect(api.requests.map(({ url }) => url)).toEqual(['/api/whoami']);
  });
});

describe('the samples of operational events', () => {
  const origin = {
    ApprovalRequested: { binding: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1' }, requester: { type: 'USER', id: 'sam' }, dueOn: null, expiresOn: '' },
    WebhookDeliveryScheduled: { subscriptionId: 'whs_1', eventId: 'e1', eventType: 'a.b', operational: false },
  };
  const recorded = (data: object): RecordedEvent => ({ id: '', type: '', stream: 'approval-acme.production.x', revision: 0, position: '1', data: JSON.stringify({ reason: '', cause: '', commandId: '', purgeAt: '', attempt: 1, ...data }), metadata: { recordedat: '2026-11-02T10:00:00.000Z' } });

  it('have the members of the real ones, and there is one for each', () => {
    const all: Announcements = { ...approvalAnnouncements, ...deliveryAnnouncements, ...subscriptionAnnouncements };
    const real = Object.values(all).flatMap((announce) => announce(recorded({}), recorded({ ...origin.ApprovalRequested, ...origin.WebhookDeliveryScheduled })) ?? []);
    const membersOf = (data: unknown): readonly string[] => Object.keys(data as object).sort();
    expect(operationalTypes.map((type) => [type, membersOf(JSON.parse(cannedData(type).text))]).sort()).toEqual(real.map(({ type, data }) => [type, membersOf(data)]).sort());
  });
});
