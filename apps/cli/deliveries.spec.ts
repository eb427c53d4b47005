import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

const delivery = {
  id: 'dlv_1',
  subscriptionId: 'whs_1',
  eventId: 'evt_1',
  eventType: 'claim.filed',
  status: 'SCHEDULED',
  reason: null,
  attempts: 1,
  nextAttemptAt: '2026-11-02T10:00:05.000Z',
  createdAt: '2026-11-02T10:00:00.000Z',
  updatedAt: '2026-11-02T10:00:01.000Z',
};
const transcript = {
  attempt: 1,
  startedAt: '2026-11-02T10:00:00.000Z',
  durationMs: 12.5,
  request: { method: 'POST', url: 'https://example.com/hook', headers: { 'content-type': 'application/json', 'webhook-id': 'dlv_1' }, body: '{"id":"evt_1"}' },
  response: { status: 503, headers: { 'content-type': 'text/plain' }, body: 'try\n\u001b[31mlater', truncated: true },
  error: null,
  timings: { dnsMs: 0.4, connectMs: 1.2, tlsMs: null, firstByteMs: 11, totalMs: 12.5 },
  remoteAddress: '192.0.2.1',
  decision: { next: 'SCHEDULED', why: 'status 503', nextAttemptAt: '2026-11-02T10:00:05.000Z' },
  subscriptionRevision: 3,
  secretVersionIds: ['ssv_1', 'ssv_2'],
};

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const only = (): FakeApi['requests'][number] => {
  expect(api.requests).toHaveLength(1);
  return api.requests[0]!;
};
const table = { stdout: true } as const;

describe('kf webhook deliveries', () => {
  beforeEach(() => api.answers('GET /api/webhooks/whs_1/deliveries', { body: { items: [delivery], nextCursor: null } }));

  it('asks for those of one subscription and status', async () => {
    const { out } = await kf(words('webhook deliveries whs_1 --site acme --status SCHEDULED --limit 10 --cursor c'), { server: api.url, tty: table });
    expect(only()).toMatchObject({ method: 'GET', url: '/api/webhooks/whs_1/deliveries?siteId=acme&status=SCHEDULED&limit=10&cursor=c' });
    expect(out).toMatch(/^dlv_1 +SCHEDULED +evt_1 +claim\.filed +1 +2026-11-02 11:00:05 \+01:00 +2026-11-02 11:00:00 \+01:00 +-$/m);
  });

  it('prints ids with --quiet', async () => {
    expect(await kf(words('webhook deliveries whs_1 --site acme --quiet'), { server: api.url })).toEqual({ code: 0, out: 'dlv_1\n', err: '' });
  });

  it('refuses a status there is not', async () => {
    expect(await kf(words('webhook deliveries whs_1 --site acme --status FAILED'), { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('DEAD_LETTERED') });
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook delivery get', () => {
  const line = 'webhook delivery get whs_1 dlv_1 --site acme';
  const shown = async (of: object): Promise<string> => {
    api.answers('GET /api/webhooks/whs_1/deliveries/dlv_1', { body: { ...delivery, transcripts: [of] } });
    return (await kf(words(line), { server: api.url, tty: table })).out;
  };

  it('shows the whole exchange of each attempt, how long it took and what was decided', async () => {
    const out = await shown(transcript);
    expect(only()).toMatchObject({ method: 'GET', url: '/api/webhooks/whs_1/deliveries/dlv_1?siteId=acme' });
    expect(out.split('\n\n')[0]).toMatch(/^Status +SCHEDULED$/m);
    expect(out.slice(out.indexOf('Attempt 1')).split('\n').map((shownLine) => shownLine.replaceAll(/ {2,}/g, '  '))).toEqual([
      'Attempt 1',
      '> POST https://example.com/hook',
      '> content-type: application/json',
      '> webhook-id: dlv_1',
      '>',
      '> {"id":"evt_1"}',
      '< 503',
      '< content-type: text/plain',
      '<',
      '< try',
      '< \\u{1b}[31mlater',
      '(the answer was longer: this is what is kept of it)',
      'Started at  2026-11-02 11:00:00 +01:00',
      'Remote address  192.0.2.1',
      'Took  12.5 ms (dns 0.4, connect 1.2, first byte 11)',
      'Decided  SCHEDULED: status 503, next attempt 2026-11-02 11:00:05 +01:00',
      'Subscription revision  3',
      'Secret versions  ssv_1, ssv_2',
      '',
    ]);
  });

  it('says why no answer came', async () => {
    expect(await shown({ ...transcript, response: null, error: 'connect-refused' })).toContain('< no answer: connect-refused\n');
  });

  it('says that the body is gone, and shows an answer without one', async () => {
    const out = await shown({ ...transcript, request: { ...transcript.request, body: null }, response: { status: 204, headers: {}, body: '', truncated: false } });
    expect(out).toContain('> (the body is no longer kept)\n< 204\nStarted at');
  });

  it('prints the answer as it came with --json', async () => {
    api.answers('GET /api/webhooks/whs_1/deliveries/dlv_1', { text: '{"id":"dlv_1",  "transcripts":[]}' });
    expect((await kf(words(`${line} --json`), { server: api.url })).out).toBe('{"id":"dlv_1",  "transcripts":[]}\n');
  });

  it('needs both ids', async () => {
    expect((await kf(words('webhook delivery get whs_1 --site acme'), { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook retry', () => {
  beforeEach(() => api.answers('POST /api/webhooks/whs_1/deliveries/dlv_1/retry', { body: { delivery: { ...delivery, status: 'PENDING' }, commandId: 'c1', outcome: 'APPLIED', revision: 2, position: '42' } }));

  it('asks for one more attempt', async () => {
    const { code, out } = await kf(words('webhook retry whs_1 dlv_1 --site acme --idempotency-key k1'), { server: api.url, tty: table });
    expect(code).toBe(0);
    expect(only()).toMatchObject({ method: 'POST', url: '/api/webhooks/whs_1/deliveries/dlv_1/retry?siteId=acme', headers: { 'idempotency-key': 'k1' } });
    expect(only().body).toEqual({});
    expect(out).toMatch(/^Status +PENDING$/m);
  });

  it('sends whether to start anew, and the approval', async () => {
    await kf(words('webhook retry whs_1 dlv_1 --site acme --reset-attempts --approval-id apr_1'), { server: api.url });
    expect(only().body).toEqual({ resetAttempts: true, approvalId: 'apr_1' });
  });

  it('that can not be is exit code 1', async () => {
    api.answers('POST /api/webhooks/whs_1/deliveries/dlv_2/retry', problem('delivery-not-replayable', 409));
    expect((await kf(words('webhook retry whs_1 dlv_2 --site acme'), { server: api.url })).code).toBe(1);
  });
});

describe('kf deliveries', () => {
  it('asks for those of the whole site, and shows whose each is', async () => {
    api.answers('GET /api/deliveries', { body: { items: [delivery], nextCursor: null } });
    const { out } = await kf(words('deliveries --site acme --status DEAD_LETTERED --event-id evt_1 --since 2h --limit 5'), { server: api.url, tty: table });
    expect(only().url).toBe('/api/deliveries?siteId=acme&status=DEAD_LETTERED&eventId=evt_1&since=2026-11-02T08%3A00%3A00.000Z&limit=5');
    expect(out).toMatch(/^ID +SUBSCRIPTION +STATUS/);
    expect(out).toMatch(/^dlv_1 +whs_1 +SCHEDULED/m);
  });

  it.each([['2026-11-02T08:00:00+01:00', '2026-11-02T08%3A00%3A00%2B01%3A00'], ['-30m', '2026-11-02T09%3A30%3A00.000Z'], ['3d', '2026-10-30T10%3A00%3A00.000Z']])('takes --since %s', async (typed, sent) => {
    api.answers('GET /api/deliveries', { body: { items: [], nextCursor: null } });
    expect((await kf(['deliveries', '--site', 'acme', '--since', typed], { server: api.url })).code).toBe(0);
    expect(only().url).toBe(`/api/deliveries?siteId=acme&since=${sent}`);
  });

  it.each(['+2h', 'yesterday', '2026-11-02', '2026-02-30T00:00:00Z', '2 h'])('refuses --since %s', async (typed) => {
    expect(await kf(['deliveries', '--site', 'acme', '--since', typed], { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('how long ago') });
    expect(api.requests).toHaveLength(0);
  });
});
