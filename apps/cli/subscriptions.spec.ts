import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

const subscription = {
  id: 'whs_1',
  siteId: 'acme',
  events: ['version.*', 'claim.**'],
  url: 'https://example.com/hook',
  description: null,
  deliveryMode: 'AT_LEAST_ONCE',
  status: 'PAUSED',
  pausedReason: 'gone',
  secret: { kind: 'managed', versionId: 'ssv_1', graceUntil: '2026-11-03T10:00:00.000Z' },
  health: { lastSuccessAt: '2026-11-02T09:00:00.000Z', consecutiveFailures: 2, oldestUndeliveredAt: null, missedWhilePaused: 7 },
  revision: 3,
  createdAt: '2026-11-01T10:00:00.000Z',
  updatedAt: '2026-11-02T10:00:00.000Z',
  purgeAt: null,
};
const changed = (more: object = {}): { readonly body: object } => ({ body: { subscription, commandId: 'c1', outcome: 'APPLIED', revision: 4, position: '42', ...more } });

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

describe('kf webhook create', () => {
  const line = 'webhook create --site acme --url https://example.com/hook --events version.*,claim.** --idempotency-key k1';
  beforeEach(() => api.answers('POST /api/webhooks', { status: 201, ...changed({ secret: 'whsec_new' }) }));

  it('sends what was typed, the pattern as a list, and leaves the rest to the server', async () => {
    expect((await kf(words(line), { server: api.url })).code).toBe(0);
    expect(only()).toMatchObject({ method: 'POST', url: '/api/webhooks?siteId=acme', headers: { 'idempotency-key': 'k1', authorization: 'Bearer kf_test_key' } });
    expect(only().body).toEqual({ url: 'https://example.com/hook', events: ['version.*', 'claim.**'] });
  });

  it('sends a filter, a description, a delivery mode, a timeout, a retry schedule, a rate limit and labels', async () => {
    await kf([...words(line), '--filter', 'data.amount > 100', '--description', 'orders & claims', '--delivery-mode', 'ORDERED', '--timeout-ms', '5000', '--retry-schedule', '0s,5s', '--rate-limit', '10', '--label', 'team=orders', '--label', 'tier=a=b'], { server: api.url });
    expect(only().body).toMatchObject({ filter: 'data.amount > 100', description: 'orders & claims', deliveryMode: 'ORDERED', timeoutMs: 5_000, retrySchedule: '0s,5s', rateLimit: 10, labels: { team: 'orders', tier: 'a=b' } });
  });

  it('shows the secret this once, and says so on stderr', async () => {
    const { out, err } = await kf(words(line), { server: api.url, tty: table });
    expect(out).toMatch(/^Subscription +whs_1$/m);
    expect(out).toMatch(/^Secret +whsec_new$/m);
    expect(out).toMatch(/^Events +version\.\*, claim\.\*\*$/m);
    expect(err).toContain('shown this once');
    expect(err).not.toContain('whsec_new');
  });

  it('prints the answer as it came with --json, one line with jsonl, id and secret with --quiet', async () => {
    api.answers('POST /api/webhooks', { text: '{"subscription": {"id":"whs_1"}, "secret":"whsec_new", "revision":1.0}' }, changed({ secret: 'whsec_new' }));
    await kf(words(line), { server: api.url });
    expect((await kf(words(`${line} --json`), { server: api.url })).out).toBe('{"subscription": {"id":"whs_1"}, "secret":"whsec_new", "revision":1.0}\n');
    expect(await kf(words(`${line} --quiet`), { server: api.url })).toEqual({ code: 0, out: 'whs_1\nwhsec_new\n', err: '' });
  });

  it.each([
    ['an empty item', ['--events', 'a,,b']],
    ['an empty item at the end', ['--events', 'a.b,']],
    ['nothing at all', ['--events', '']],
    ['a blank', ['--events', 'a.b, c.d']],
    ['a capital', ['--events', 'a.B']],
    ['another character', ['--events', 'a.b$']],
    ['an empty segment', ['--events', 'a..b']],
    ['a star inside a segment', ['--events', 'a.b*']],
    ['no URL', ['--url', 'example.com']],
    ['an unknown delivery mode', ['--delivery-mode', 'ordered']],
    ['a blank description', ['--description', ' ']],
    ['a blank filter', ['--filter', ' ']],
    ['too long a filter', ['--filter', 'x'.repeat(1_001)]],
    ['too short a timeout', ['--timeout-ms', '999']],
    ['too long a timeout', ['--timeout-ms', '30001']],
    ['no rate', ['--rate-limit', '0']],
    ['too high a rate', ['--rate-limit', '1001']],
    ['a retry schedule that starts late', ['--retry-schedule', '5s,5m']],
    ['a retry schedule with a pause too long', ['--retry-schedule', '0s,8d']],
    ['a label without a value', ['--label', 'team']],
    ['a label with a blank', ['--label', 'team=the orders']],
    ['a label with a capital', ['--label', 'Team=orders']],
    ['an empty label where there is none yet', ['--label', '']],
    ['a header without a value', ['--header', 'X-Key']],
    ['a header with a blank in its name', ['--header', 'X Key=a']],
    ['a header of a reserved name', ['--header', 'Webhook-Id=a']],
    ['a header with a line end', ['--header', 'X-Key=a\nb']],
    ['an empty header where there is none yet', ['--header', '']],
  ])('%s: exit code 2, and nothing is sent', async (_, more) => {
    const { code, err } = await kf([...words(line), ...more], { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain(`${more[0]!}: expected`);
    expect(api.requests).toHaveLength(0);
  });

  it.each([
    ['twice', ['team=a', 'tier=1', 'team=b'], 'team is given twice'],
    ['more than 20 times', Array.from({ length: 21 }, (_, n) => `n${n}=x`), '21 are given; at most 20'],
  ])('a label %s: exit code 2, and nothing is sent', async (_, given, said) => {
    const { code, err } = await kf([...words(line), ...given.flatMap((label) => ['--label', label])], { server: api.url });
    expect([code, err]).toEqual([2, expect.stringContaining(said)]);
    expect(api.requests).toHaveLength(0);
  });

  it.each([
    ['twice, also in other letters', ['X-Key=hidden', 'x-key=hidden'], 'must not have x-key twice'],
    ['more than 20 times', Array.from({ length: 21 }, (_, n) => `n${n}=hidden`), 'must be at most 20, not 21'],
    ['too long', [`a=${'hidden'.repeat(400)}`, `b=${'hidden'.repeat(400)}`], 'at most 4096 bytes of names and values together, not 4802'],
    ['with a value that no header may have', ['X-Key=hidden\u20ac'], '--header: expected NAME=VALUE'],
  ])('a header %s: exit code 2, nothing is sent, and no value is repeated', async (_, given, said) => {
    const { code, err } = await kf([...words(line), ...given.flatMap((header) => ['--header', header])], { server: api.url });
    expect([code, err]).toEqual([2, expect.stringContaining(said)]);
    expect(err).not.toContain('hidden');
    expect(api.requests).toHaveLength(0);
  });

  it('names every flag that is missing', async () => {
    const { code, err } = await kf(words('webhook create'), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--url <url> is required');
    expect(err).toContain('--events <csv> is required');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook list', () => {
  it('asks for a page, and shows a line for each', async () => {
    api.answers('GET /api/webhooks', { body: { items: [subscription, { ...subscription, id: 'whs_0', status: 'ACTIVE', pausedReason: null }], nextCursor: 'next' } });
    const { out, err } = await kf(words('webhook list --site acme --include-deleted --label team=a=b --limit 2 --cursor c'), { server: api.url, tty: table });
    expect(only().url).toBe('/api/webhooks?siteId=acme&includeDeleted=true&label=team%3Da%3Db&limit=2&cursor=c');
    expect(out).toMatch(/^ID +STATUS +EVENTS +URL/);
    expect(out).toMatch(/^whs_1 +PAUSED \(gone\) +version\.\*, claim\.\*\* +https:\/\/example\.com\/hook +AT_LEAST_ONCE +2 +-$/m);
    expect(err).toContain('There are more: --cursor next');
  });

  it('prints one item a line with jsonl and ids with --quiet', async () => {
    const page = { text: '{"items":[{"id":"whs_1","n":1.0},{"id":"whs_2"}],"nextCursor":null}' };
    api.answers('GET /api/webhooks', page, page);
    expect((await kf(words('webhook list --site acme --output jsonl'), { server: api.url })).out).toBe('{"id":"whs_1","n":1.0}\n{"id":"whs_2"}\n');
    expect((await kf(words('webhook list --site acme --quiet'), { server: api.url })).out).toBe('whs_1\nwhs_2\n');
    expect(api.requests[0]?.url).toBe('/api/webhooks?siteId=acme');
  });

  it.each(['--limit 0', '--limit 501', '--cursor'])('%s is exit code 2', async (more) => {
    expect((await kf(words(`webhook list --site acme ${more}`), { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook get', () => {
  it('shows all of it, times in local time with their zone', async () => {
    api.answers('GET /api/webhooks/whs_1', { body: subscription });
    const { out } = await kf(words('webhook get whs_1 --site acme'), { server: api.url, tty: table });
    expect(only()).toMatchObject({ method: 'GET', url: '/api/webhooks/whs_1?siteId=acme' });
    expect(out).toMatch(/^Status +PAUSED \(gone\)$/m);
    expect(out).toMatch(/^Signed with +ssv_1 \(managed\), and with the one before until 2026-11-03 11:00:00 \+01:00$/m);
    expect(out).toMatch(/^Last success at +2026-11-02 10:00:00 \+01:00$/m);
    expect(out).toMatch(/^Missed while paused +7$/m);
    expect(out).toMatch(/^Revision +3$/m);
    expect(out).not.toContain('Can be restored');
  });

  it('says until when a deleted one can be restored', async () => {
    api.answers('GET /api/webhooks/whs_1', { body: { ...subscription, status: 'DELETED', purgeAt: '2026-12-02T10:00:00.000Z' } });
    expect((await kf(words('webhook get whs_1 --site acme'), { server: api.url, tty: table })).out).toMatch(/^Can be restored until +2026-12-02 11:00:00 \+01:00$/m);
  });

  it('that is not there is exit code 1', async () => {
    expect(await kf(words('webhook get whs_2 --site acme'), { server: api.url })).toMatchObject({ code: 1, out: '', err: expect.stringContaining('not-found, 404') });
  });

  it('without an id, or with a malformed one, is exit code 2', async () => {
    expect((await kf(words('webhook get --site acme'), { server: api.url })).code).toBe(2);
    expect((await kf(words('webhook get a/b --site acme'), { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook update', () => {
  beforeEach(() => api.answers('PATCH /api/webhooks/whs_1', changed()));
  const line = 'webhook update whs_1 --site acme --idempotency-key k1';

  it.each([
    ['a URL', ['--url', 'https://example.com/new'], { url: 'https://example.com/new' }],
    ['a pattern', ['--events', 'a.*,b.c'], { events: ['a.*', 'b.c'] }],
    ['a description', ['--description', 'x y'], { description: 'x y' }],
    ['no description any more', ['--description', ''], { description: null }],
    ['a filter', ['--filter', 'data.amount > 100'], { filter: 'data.amount > 100' }],
    ['no filter any more', ['--filter', ''], { filter: null }],
    ['a timeout', ['--timeout-ms', '5000'], { timeoutMs: 5_000 }],
    ['the usual timeout again', ['--timeout-ms', ''], { timeoutMs: null }],
    ['a rate limit', ['--rate-limit', '1000'], { rateLimit: 1_000 }],
    ['no rate limit again', ['--rate-limit', ''], { rateLimit: null }],
    ['a retry schedule', ['--retry-schedule', '0s,1h'], { retrySchedule: '0s,1h' }],
    ["the server's retry schedule again", ['--retry-schedule', ''], { retrySchedule: null }],
    ['all labels', ['--label', 'team=orders', '--label', 'tier=1'], { labels: { team: 'orders', tier: '1' } }],
    ['no labels any more', ['--label', ''], { labels: null }],
    ['all headers', ['--header', 'X-Api-Key=a=b c', '--header=Authorization=[redacted]'], { headers: { 'X-Api-Key': 'a=b c', Authorization: '[redacted]' } }],
    ['no headers any more', ['--header', ''], { headers: null }],
    ['a delivery mode', ['--delivery-mode', 'BEST_EFFORT'], { deliveryMode: 'BEST_EFFORT' }],
    ['a pause', ['--paused'], { status: 'PAUSED' }],
    ['a pause in words', ['--paused=true'], { status: 'PAUSED' }],
    ['a resumption', ['--paused=false'], { status: 'ACTIVE' }],
    ['an approval to use', ['--paused', '--approval-id', 'apr_1'], { status: 'PAUSED', approvalId: 'apr_1' }],
  ])('sends %s and nothing else', async (_, more, body) => {
    expect((await kf([...words(line), ...more], { server: api.url })).code).toBe(0);
    expect(only()).toMatchObject({ method: 'PATCH', url: '/api/webhooks/whs_1?siteId=acme', headers: { 'idempotency-key': 'k1' } });
    expect(only().body).toEqual(body);
    expect(only().headers).not.toHaveProperty('if-match');
  });

  it('sends the revision it is meant for', async () => {
    await kf(words(`${line} --paused --if-revision 3`), { server: api.url });
    expect(only().headers['if-match']).toBe('"3"');
  });

  it('repeats no value of a header that is refused', async () => {
    const { code, err } = await kf([...words(line), '--header', 'Host=hidden'], { server: api.url });
    expect([code, err]).toEqual([2, expect.stringContaining('--header: expected NAME=VALUE')]);
    expect(err).not.toContain('hidden');
  });

  it('repeats no value of a header where it says how to try again', async () => {
    api.answers('PATCH /api/webhooks/whs_9', { drops: true });
    const { code, err } = await kf(['webhook', 'update', 'whs_9', '--site', 'acme', '--header', 'X-Api-Key=hidden value', '--header=Authorization=hidden too', '--idempotency-key', 'k1'], { server: api.url });
    expect([code, only().body]).toEqual([1, { headers: { 'X-Api-Key': 'hidden value', Authorization: 'hidden too' } }]);
    expect(err).toContain("--header 'X-Api-Key=…' --header 'Authorization=…' --idempotency-key k1  (with the same values for --header)");
    expect(err).not.toContain('hidden');
  });

  it('with labels and none is exit code 2, and nothing is sent', async () => {
    const { code, err } = await kf([...words(line), '--label', 'team=orders', '--label', ''], { server: api.url });
    expect([code, err]).toEqual([2, expect.stringContaining('stands alone')]);
    expect(api.requests).toHaveLength(0);
  });

  it('without anything to change is exit code 2, and nothing is sent', async () => {
    const { code, err } = await kf(words('webhook update whs_1 --if-revision 3 --approval-id apr_1'), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('nothing to change');
    expect(api.requests).toHaveLength(0);
  });

  it('shows the subscription as it is then', async () => {
    const { out } = await kf(words(`${line} --paused`), { server: api.url, tty: table });
    expect(out).toMatch(/^Outcome +APPLIED$/m);
    expect(out).toMatch(/^Position +42$/m);
  });

  it('that was changed by others is exit code 1 and says so', async () => {
    api.answers('PATCH /api/webhooks/whs_9', problem('precondition-failed', 412));
    expect(await kf(words('webhook update whs_9 --site acme --paused --if-revision 2'), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('It changed since that revision') });
  });
});

describe('kf webhook delete', () => {
  const terminal = { stdin: true, stderr: true } as const;
  const deleted = changed({ subscription: { ...subscription, status: 'DELETED', purgeAt: '2026-12-02T10:00:00.000Z' } });

  it('with --yes deletes without asking', async () => {
    api.answers('DELETE /api/webhooks/whs_1', deleted);
    expect(await kf(words('webhook delete whs_1 --site acme --yes --approval-id apr_1 --quiet'), { server: api.url })).toEqual({ code: 0, out: 'whs_1\n', err: '' });
    expect(only()).toMatchObject({ method: 'DELETE', url: '/api/webhooks/whs_1?siteId=acme&approvalId=apr_1', text: '' });
    expect(only().headers).not.toHaveProperty('if-match');
  });

  it('without a terminal and without --yes is exit code 2, and nothing is sent', async () => {
    expect(await kf(words('webhook delete whs_1'), { server: api.url, stdin: 'y\n' })).toMatchObject({ code: 2, err: expect.stringContaining('--yes is required') });
    expect(api.requests).toHaveLength(0);
  });

  it('on a terminal says what it deletes and until when it can be restored, asks, and deletes what it showed', async () => {
    api.answers('GET /api/webhooks/whs_1', { body: subscription });
    api.answers('DELETE /api/webhooks/whs_1', deleted);
    const { code, err, out } = await kf(words('webhook delete whs_1 --site acme'), { server: api.url, stdin: 'y\n', tty: { ...terminal, stdout: true } });
    expect(code).toBe(0);
    expect(err).toContain('This deletes whs_1: version.*, claim.** to https://example.com/hook. It can be restored until 2026-12-02 11:00:00 +01:00.');
    expect(err).toContain('Delete it? [y/N]');
    expect(api.requests[1]).toMatchObject({ method: 'DELETE', headers: { 'if-match': '"3"' } });
    expect(out).toMatch(/^Can be restored until +2026-12-02 11:00:00 \+01:00$/m);
  });

  it.each(['n\n', '\n', ''])('answered %j deletes nothing', async (answer) => {
    api.answers('GET /api/webhooks/whs_1', { body: subscription });
    expect(await kf(words('webhook delete whs_1 --site acme'), { server: api.url, stdin: answer, tty: terminal })).toMatchObject({ code: 1, err: expect.stringContaining('nothing was deleted') });
    expect(api.requests.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('kf webhook restore', () => {
  it('sends the approval only where there is one', async () => {
    api.answers('POST /api/webhooks/whs_1/restore', changed(), changed());
    expect((await kf(words('webhook restore whs_1 --site acme'), { server: api.url })).code).toBe(0);
    await kf(words('webhook restore whs_1 --site acme --approval-id apr_1'), { server: api.url });
    expect(api.requests.map(({ url, body }) => ({ url, body }))).toEqual([
      { url: '/api/webhooks/whs_1/restore?siteId=acme', body: {} },
      { url: '/api/webhooks/whs_1/restore?siteId=acme', body: { approvalId: 'apr_1' } },
    ]);
  });
});

describe('kf webhook rotate-secret', () => {
  const line = 'webhook rotate-secret whs_1 --site acme';
  beforeEach(() => api.answers('POST /api/webhooks/whs_1/rotate-secret', changed({ secret: 'whsec_new' })));

  it('sends approval, grace time and a reference from standard input', async () => {
    await kf(words(`${line} --approval-id apr_1 --grace-seconds 3600 --signing-secret-ref-stdin`), { server: api.url, stdin: 'env:KF_WEBHOOK_SECRET_A\n' });
    expect(only()).toMatchObject({ method: 'POST', url: '/api/webhooks/whs_1/rotate-secret?siteId=acme' });
    expect(only().body).toEqual({ approvalId: 'apr_1', graceSeconds: 3600, signingSecretRef: 'env:KF_WEBHOOK_SECRET_A' });
  });

  it('prints the secret alone with --quiet', async () => {
    expect(await kf(words(`${line} --quiet`), { server: api.url })).toEqual({ code: 0, out: 'whsec_new\n', err: '' });
    expect(only().body).toEqual({});
  });

  it.each([['--grace-seconds', '604801'], ['--grace-seconds', '1h'], ['--approval-id', 'A B']])('%s %s is exit code 2', async (flag, value) => {
    expect((await kf([...words(line), flag, value], { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });

  it('never repeats a malformed reference', async () => {
    const { code, err } = await kf(words(`${line} --signing-secret-ref-stdin`), { server: api.url, stdin: 'hunter2' });
    expect(code).toBe(2);
    expect(err).not.toContain('hunter2');
    expect(api.requests).toHaveLength(0);
  });
});
