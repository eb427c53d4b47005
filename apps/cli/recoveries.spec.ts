import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

const running = {
  id: 'rec_1',
  siteId: 'acme',
  subscriptionId: 'whs_1',
  status: 'RUNNING',
  since: '2026-11-02T08:00:00.000Z',
  until: '2026-11-02T10:00:00.000Z',
  statuses: ['DEAD_LETTERED', 'MISSED'],
  ratePerSecond: 100,
  total: null as number | null,
  recovered: 0,
  skipped: 0,
  requestedBy: { type: 'USER', id: 'sam' },
  createdAt: '2026-11-02T10:00:00.000Z',
  updatedAt: '2026-11-02T10:00:00.000Z',
  finishedAt: null as string | null,
  detail: null as string | null,
};
const finished = { ...running, status: 'FINISHED', total: 2_000, recovered: 1_998, skipped: 2 };
const one = 'GET /api/recoveries/rec_1';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
  api.answers('POST /api/webhooks/whs_1/recover', { status: 201, body: { recovery: running, commandId: 'c1', outcome: 'APPLIED', revision: 1, position: '42' } });
});
afterEach(() => api.close());

const line = 'webhook recover whs_1 --site acme --since 2h';

describe('kf webhook recover', () => {
  it('sends the span, the statuses once each, and the rate', async () => {
    const { code, out } = await kf(words('webhook recover whs_1 --site acme --since 2026-11-02T08:00:00Z --until 1h --status DEAD_LETTERED,MISSED --status MISSED --rate 500 --no-wait --idempotency-key k1'), { server: api.url });
    expect(code).toBe(0);
    expect(api.requests).toHaveLength(1);
    expect(api.requests[0]).toMatchObject({ method: 'POST', url: '/api/webhooks/whs_1/recover?siteId=acme', headers: { 'idempotency-key': 'k1' } });
    expect(api.requests[0]?.body).toEqual({ since: '2026-11-02T08:00:00Z', until: '2026-11-02T09:00:00.000Z', status: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 500 });
    expect(JSON.parse(out)).toMatchObject({ recovery: { id: 'rec_1' }, commandId: 'c1' });
  });

  it('leaves what is not typed to the server', async () => {
    await kf(words(`${line} --no-wait`), { server: api.url });
    expect(api.requests[0]?.body).toEqual({ since: '2026-11-02T08:00:00.000Z' });
  });

  it('waits until it is over, with one line per change where no terminal is', async () => {
    api.answers(one, { body: running }, { body: running }, { body: { ...running, total: 2_000, recovered: 1_000 } }, { body: finished });
    const { code, out, err } = await kf(words(`${line} --idempotency-key k1`), { server: api.url });
    expect(code).toBe(0);
    expect(err.split('\n')).toEqual(['0 of ?', '1,000 of 2,000', '2,000 of 2,000, 2 of them skipped', 'Finished: 1998 recovered, 2 skipped.', '']);
    expect(JSON.parse(out)).toMatchObject({ recovery: { id: 'rec_1', status: 'RUNNING' } });
    expect(api.requests[1]?.url).toBe('/api/recoveries/rec_1?siteId=acme');
  });

  it('draws a bar over itself on a terminal', async () => {
    api.answers(one, { body: { ...running, total: 2_000, recovered: 1_000 } }, { body: finished });
    const { err, out } = await kf(words(line), { server: api.url, tty: { stderr: true, stdout: true } });
    expect(err).toContain('\r\u001b[K[############............] 1,000 of 2,000');
    expect(err).toMatch(/\r\u001b\[KFinished: 1998 recovered, 2 skipped\.\n$/);
    expect(out).toMatch(/^Recovery +rec_1$/m);
  });

  it('prints its id and no progress with --quiet', async () => {
    api.answers(one, { body: finished });
    expect(await kf(words(`${line} --quiet`), { server: api.url })).toEqual({ code: 0, out: 'rec_1\n', err: '' });
  });

  it('that somebody cancelled is exit code 1', async () => {
    api.answers(one, { body: { ...finished, status: 'CANCELLED', detail: 'by USER:kim' } });
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('the recovery is CANCELLED: 1998 recovered, 2 skipped: by USER:kim') });
  });

  it('waits for a server that restarts', async () => {
    api.answers(one, { drops: true }, problem('store-unavailable', 503), { body: finished });
    expect((await kf(words(line), { server: api.url })).code).toBe(0);
    expect(api.requests).toHaveLength(4);
  });

  it('gives up on a server that stays silent, and says that the job goes on', async () => {
    api.answers(one, ...Array.from({ length: 60 }, () => problem('store-unavailable', 503)));
    const { code, err } = await kf(words(line), { server: api.url });
    expect(code).toBe(1);
    expect(api.requests).toHaveLength(61);
    expect(err).toContain('The recovery goes on.');
    expect(err).toContain('store-unavailable');
  });

  it('interrupted leaves it running and says how to follow and how to end it', async () => {
    const interrupt = new AbortController();
    api.answers(one, { body: running }, { hangs: true });
    const run = kf(words(`${line} --server ${api.url}`), { server: api.url, signal: interrupt.signal });
    while (api.requests.length < 3) await new Promise((resolve) => setImmediate(resolve));
    interrupt.abort(new Error('interrupted'));
    const { code, err } = await run;
    expect(code).toBe(0);
    expect(err).toContain(`  kf webhook recoveries rec_1 --server ${api.url} --site acme\n  kf webhook cancel-recovery rec_1 --server ${api.url} --site acme\n`);
  });

  it.each([
    ['--since', '+2h'],
    ['--until', 'now'],
    ['--status', 'PENDING'],
    ['--status', 'MISSED,'],
    ['--rate', '0'],
    ['--rate', '10001'],
  ])('%s %s is exit code 2, and nothing is sent', async (flag, value) => {
    const { code, err } = await kf([...words(line), flag, value], { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain(`${flag}: expected`);
    expect(api.requests).toHaveLength(0);
  });

  it.each(['--since 1h --until 2h', '--since 2h --until 2h', '--since 2026-11-02T10:00:01Z --until 2026-11-02T10:00:00Z'])('a span that ends before it begins (%s) is exit code 2', async (span) => {
    expect(await kf(words(`webhook recover whs_1 --site acme ${span}`), { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('--since: expected a time before --until') });
    expect(api.requests).toHaveLength(0);
  });

  it('needs to know from when on', async () => {
    expect(await kf(words('webhook recover whs_1 --site acme'), { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('--since <time> is required') });
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook recoveries', () => {
  it('lists them', async () => {
    api.answers('GET /api/recoveries', { body: { items: [finished], nextCursor: null } });
    const { out } = await kf(words('webhook recoveries --site acme --webhook-subscription-id whs_1 --status FINISHED --limit 3'), { server: api.url, tty: { stdout: true } });
    expect(api.requests[0]?.url).toBe('/api/recoveries?siteId=acme&webhookSubscriptionId=whs_1&status=FINISHED&limit=3');
    expect(out).toMatch(/^rec_1 +FINISHED +whs_1 +1998 +2 +2000 +2026-11-02 11:00:00 \+01:00 +USER:sam$/m);
  });

  it('shows one', async () => {
    api.answers(one, { body: finished });
    const { out } = await kf(words('webhook recoveries rec_1 --site acme'), { server: api.url, tty: { stdout: true } });
    expect(api.requests[0]?.url).toBe('/api/recoveries/rec_1?siteId=acme');
    expect(out).toMatch(/^Statuses +DEAD_LETTERED, MISSED$/m);
    expect(out).toMatch(/^Requested by +USER:sam$/m);
  });
});

describe('kf webhook cancel-recovery', () => {
  it('is a command of the site', async () => {
    const { code } = await kf(words('webhook cancel-recovery rec_1 --site acme.staging --actor-type USER --actor-id sam --idempotency-key k1'), { server: api.url });
    expect(api.requests[0]).toMatchObject({ method: 'POST', url: '/api/commands/CancelWebhookRecovery', headers: { 'idempotency-key': 'k1' } });
    expect(api.requests[0]?.body).toEqual({ tenant: 'acme', environment: 'staging', actor: { type: 'USER', id: 'sam' }, payload: { recoveryId: 'rec_1' } });
    expect(code).toBe(0);
  });

  it("is the API key's own when nobody is named", async () => {
    api.answers('GET /api/whoami', { body: { actor: { type: 'SERVICE', id: 'ci' } } });
    await kf(words('webhook cancel-recovery rec_1 --site acme'), { server: api.url });
    expect(api.requests[1]?.body).toMatchObject({ actor: { type: 'SERVICE', id: 'ci' } });
  });
});
