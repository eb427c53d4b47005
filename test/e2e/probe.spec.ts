import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { findCanary } from '../support/canary.ts';
import { type Answer, type Api, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Delivered, Inbox, type Reply } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { startTcpReceiver } from '../support/webhook-receivers.ts';

const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;
const known = newSecret();
const other = newSecret();

/** A receiver as receivers are: it verifies with a Standard Webhooks library, under its one secret. */
const verifies = ({ headers, body }: Delivered): Reply => {
  try {
    new Webhook(known).verify(body, headers as Record<string, string>);
    return { status: 204 };
  } catch (error) {
    return { status: 401, body: `no: ${(error as Error).message}` };
  }
};

let installation: Installation;
let inbox: Inbox;
let api: Api;

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start({ KF_LOG_LEVEL: 'trace' });
  api = installation.root;
}, 60_000);
afterAll(async () => {
  await inbox?.close();
  await installation?.end();
});

const probe = (body: object | string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  api.ask('POST', '/api/webhooks/probe?siteId=tnt_demo', { headers, ...(typeof body === 'string' ? { text: body } : { body }) });

interface Transcript {
  readonly request: { readonly headers: Readonly<Record<string, string>>; readonly body: string };
  readonly response: { readonly status: number; readonly body: string } | null;
  readonly error: string | null;
}
const transcriptOf = ({ body }: Answer): Transcript => body['transcript'] as Transcript;

describe('a probe', () => {
  it('signed with the receiver’s secret is accepted, and its transcript is the answer', async () => {
    const { status, body, headers } = await probe({ url: inbox.url('right', verifies), event: 'version.published', payload: { n: 1 }, signingSecret: known });
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toMatchObject({ probeId: expect.stringMatching(/^prb_[a-z0-9]{26}$/), position: expect.stringMatching(/^\d+$/), delivered: true, signatureRefused: false });
    const [received] = inbox.in('right');
    expect(body['transcript']).toMatchObject({ request: { method: 'POST', url: inbox.url('right'), body: received?.body }, response: { status: 204 }, error: null, remoteAddress: '127.0.0.1' });
    expect(received?.headers['webhook-id']).toBe(body['probeId']);
    expect(JSON.parse(received?.body ?? '')).toEqual({ id: expect.stringMatching(/^evt_[a-z0-9]{26}$/), type: 'version.published', timestamp: expect.any(String), tenant: 'tnt_demo', environment: 'production', data: { n: 1 } });
  });

  it.each([
    ['another secret', { signingSecret: other }],
    ['none given, and so a random one', {}],
  ])('signed with %s is refused by a receiver that verifies, and shows what it answered', async (_with, given) => {
    const answer = await probe({ url: inbox.url('wrong', verifies), event: 'version.published', ...given });
    expect(answer.body).toMatchObject({ delivered: false, signatureRefused: true });
    expect(transcriptOf(answer).response).toMatchObject({ status: 401, body: 'no: No matching signature found' });
  });

  it('without a payload sends a canned one; a payload goes out byte for byte', async () => {
    const canned = await probe({ url: inbox.url('canned'), event: 'a.b' });
    expect(JSON.parse(transcriptOf(canned).request.body)).toMatchObject({ data: { message: expect.any(String) } });
    const exact = await probe(`{"url":"${inbox.url('exact')}","event":"a.b","payload":[9007199254740993, 1.0]}`);
    expect(transcriptOf(exact).request.body).toContain('"data":[9007199254740993, 1.0]}');
  });

  it.each([[403, true], [404, false], [500, false], [302, false]])('that is answered %i was not delivered; whether the signature was refused: %p', async (status, signatureRefused) => {
    expect((await probe({ url: inbox.url(`s${status}`, () => ({ status })), event: 'a.b' })).body).toMatchObject({ delivered: false, signatureRefused });
  });

  it('to where nobody listens is an answer too', async () => {
    const answer = await probe({ url: 'http://127.0.0.1:9/', event: 'a.b' });
    expect([answer.status, answer.body['delivered'], transcriptOf(answer).response, transcriptOf(answer).error]).toEqual([200, false, null, 'connect-refused']);
  });

  it.each(['http://10.0.0.1/', 'https://169.254.169.254/latest', 'http://[::ffff:10.0.0.1]/'])('to %s is refused, names the setting, and leaves no record', async (url) => {
    const before = await records();
    const answer = await probe({ url, event: 'a.b' });
    expect([answer.status, slugOf(answer), answer.body['setting']]).toEqual([422, 'target-url-refused', expect.stringContaining('KF_ALLOW_')]);
    expect(await records()).toEqual(before);
  });

  it.each([
    ['a secret that is none', { signingSecret: 'whsec_tooshort' }, 'signingSecret'],
    ['a secret with another prefix', { signingSecret: randomBytes(32).toString('base64') }, 'signingSecret'],
    ['a secret that is no text', { signingSecret: 7 }, 'signingSecret'],
    ['an event type that is none', { event: 'Version Published' }, 'event'],
    ['no URL', { url: 'not a url' }, 'url'],
    ['an unknown member', { signingSecrets: known }, 'signingSecrets'],
  ])('with %s is refused without repeating it', async (_with, change, path) => {
    const answer = await probe({ url: inbox.url('never'), event: 'a.b', ...change });
    expect([answer.status, slugOf(answer)]).toEqual([400, 'validation-failed']);
    expect(answer.body['errors']).toEqual([{ path, message: expect.any(String) }]);
    for (const value of Object.values(change)) expect(String(value).length > 7 && answer.text.includes(String(value))).toBe(false);
    expect(inbox.in('never')).toEqual([]);
  });

  it('with a payload over the limit is 413', async () => {
    const answer = await probe({ url: inbox.url('never'), event: 'a.b', payload: 'x'.repeat(256 * 1024) });
    expect([answer.status, answer.body['limitBytes']]).toEqual([413, 256 * 1024]);
  });

  it('more than ten at a time are too many; when they have ended there may be others', async () => {
    const held: (() => void)[] = [];
    const silent = await startTcpReceiver((socket) => held.push(() => socket.destroy()));
    try {
      const waiting = Array.from({ length: 10 }, () => probe({ url: silent.url, event: 'a.b' }));
      await eventually('ten requests', () => (held.length === 10 ? true : undefined));
      const answer = await probe({ url: silent.url, event: 'a.b' });
      expect([answer.status, slugOf(answer), answer.headers.get('retry-after'), silent.connections()]).toEqual([429, 'too-many-probes', '1', 10]);
      for (const end of held) end();
      expect((await Promise.all(waiting)).map((one) => transcriptOf(one).error)).toEqual(Array(10).fill('connection-reset'));
      expect((await probe({ url: inbox.url('after'), event: 'a.b' })).status).toBe(200);
    } finally {
      await silent.close();
    }
  });

  it('is recorded with who sent it and what came of it, and its secret is nowhere', async () => {
    const { body } = await probe({ url: inbox.url('recorded?token=only-for-the-receiver', verifies), event: 'version.published', signingSecret: known }, { 'kf-actor': 'AGENT:bot', 'kf-on-behalf-of': 'USER:usr_sam' });
    await api.get('/metrics');
    const { position, probeId } = body as { position: string; probeId: string };
    await installation.stop();
    const texts = Object.fromEntries(api.answers.map(({ asked, text }, index) => [`answer ${index} to ${asked}`, text]));
    for (const secret of [known, other]) expect(findCanary(secret, { folders: [installation.dataDir], texts })).toEqual([]);
    expect(findCanary('only-for-the-receiver', { folders: [installation.dataDir] })).toEqual([]);
    const recorded = (await installation.home.readLog()).find((event) => event.position === position);
    expect(recorded).toMatchObject({ stream: `probe-tnt_demo.production.${probeId}`, revision: 0, type: 'WebhookProbeSent', metadata: { actortype: 'AGENT', actorid: 'bot', onbehalfof: 'USER:usr_sam', correlationid: expect.any(String) } });
    expect(JSON.parse(recorded?.data ?? '')).toEqual({ url: inbox.url('recorded'), eventType: 'version.published', status: 204, error: null, durationMs: expect.any(Number), signed: 'given' });
    await installation.startServer({ KF_LOG_LEVEL: 'trace' });
  }, 30_000);
});

const records = async (): Promise<unknown> => (await api.read('/api/audit/events?siteId=tnt_demo&limit=500'))['items'];
