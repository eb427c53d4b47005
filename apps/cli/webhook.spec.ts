import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { applied, type FakeApi, kf, startFakeApi, words } from '../../test/support/kf.ts';

const who = '--tenant tnt_demo --actor-type USER --actor-id usr_sam';
const settings = '--event-pattern version.*,claim.** --target-url https://example.com/hook --signing-secret-ref-stdin --delivery-mode AT_LEAST_ONCE --status ACTIVE';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const only = (): FakeApi['requests'][number] => {
  expect(api.requests).toHaveLength(1);
  return api.requests[0]!;
};
const sent = (): object => only().body;

describe('kf webhook upsert-subscription', () => {
  const line = `webhook upsert-subscription ${who} ${settings}`;

  it('sends every setting, and the reference from standard input without its line end', async () => {
    const { code } = await kf(words(`${line} --webhook-subscription-id orders --environment staging --if-revision 3 --idempotency-key k1`), { server: api.url, stdin: 'managed\n' });
    expect(code).toBe(0);
    expect(only()).toMatchObject({ method: 'POST', url: '/api/commands/UpsertWebhookSubscription' });
    expect(only().headers).toMatchObject({ 'idempotency-key': 'k1', authorization: 'Bearer kf_test_key', 'content-type': 'application/json', 'user-agent': 'kf/9.9.9' });
    expect(sent()).toEqual({
      tenant: 'tnt_demo',
      environment: 'staging',
      actor: { type: 'USER', id: 'usr_sam' },
      expectedRevision: 3,
      payload: {
        webhookSubscriptionId: 'orders',
        eventPattern: 'version.*,claim.**',
        targetUrl: 'https://example.com/hook',
        signingSecretRef: 'managed',
        deliveryMode: 'AT_LEAST_ONCE',
        status: 'ACTIVE',
      },
    });
  });

  it('leaves out what was not given, takes production by default and sends a description as it is', async () => {
    await kf([...words(line), '--description', 'orders & claims', '--filter', 'data.amount > 100', '--timeout-ms', '1000', '--retry-schedule', '0s,5s', '--rate-limit', '7', '--label', 'team=orders', '--header', 'X-Api-Key=a b'], { server: api.url, stdin: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' });
    expect(sent()).toMatchObject({ environment: 'production', payload: { description: 'orders & claims', filter: 'data.amount > 100', timeoutMs: 1_000, retrySchedule: '0s,5s', rateLimit: 7, labels: { team: 'orders' }, headers: { 'X-Api-Key': 'a b' }, signingSecretRef: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' } });
    expect(sent()).not.toHaveProperty('payload.webhookSubscriptionId');
    expect(sent()).not.toHaveProperty('expectedRevision');
  });

  it('shows a new secret once in the table, says so on stderr, and prints the key it made', async () => {
    api.answers('POST /api/commands/UpsertWebhookSubscription', { body: applied('UpsertWebhookSubscription', 'whs_1', { webhookSubscriptionId: 'whs_1', status: 'ACTIVE', created: true, secret: 'whsec_new' }) });
    const { out, err } = await kf(words(line), { server: api.url, stdin: 'managed\n', tty: { stdout: true } });
    expect(out).toMatch(/^Resource +whs_1$/m);
    expect(out).toMatch(/^Secret +whsec_new$/m);
    expect(out).toMatch(/^Created +true$/m);
    expect(out).toMatch(/^Revision +1$/m);
    expect(out).toMatch(/^Position +42$/m);
    const key = /Idempotency key: (\S+)/.exec(err)?.[1];
    expect(key).toMatch(/^req_[0-9a-z]{26}$/);
    expect(out).toContain(key);
    expect(api.requests[0]?.headers['idempotency-key']).toBe(key);
    expect(err).toContain('shown this once');
    expect(err).not.toContain('whsec_new');
  });

  it('says that a replay shows no secret', async () => {
    api.answers('POST /api/commands/UpsertWebhookSubscription', { body: applied('UpsertWebhookSubscription', 'whs_1', { secret: null }, { replayed: true }) });
    const { code, out, err } = await kf(words(`${line} --idempotency-key k1 --json`), { server: api.url, stdin: 'managed' });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ replayed: true, result: { secret: null } });
    expect(err).toContain('used before');
  });

  it('prints only id and secret with --quiet, and no notes', async () => {
    api.answers('POST /api/commands/UpsertWebhookSubscription', { body: applied('UpsertWebhookSubscription', 'whs_1', { secret: 'whsec_new' }) });
    expect(await kf(words(`${line} --quiet`), { server: api.url, stdin: 'managed' })).toEqual({ code: 0, out: 'whs_1\nwhsec_new\n', err: '' });
  });

  it.each([
    ['a blank in the pattern', ['--event-pattern', 'a.b, c.d'], '--event-pattern: expected'],
    ['an empty item in the pattern', ['--event-pattern', 'a,,b'], '--event-pattern: expected'],
    ['a target that is no URL', ['--target-url', 'example.com'], '--target-url: expected'],
    ['a target with a password in it', ['--target-url', 'https://u:p@example.com/'], '--target-url: expected'],
    ['a delivery mode that does not exist', ['--delivery-mode', 'at_least_once'], '--delivery-mode: expected one of AT_LEAST_ONCE, ORDERED, BEST_EFFORT'],
    ['the status DELETED', ['--status', 'DELETED'], '--status: expected one of ACTIVE, PAUSED'],
    ['a negative revision', ['--if-revision', '-1'], '--if-revision: expected'],
    ['a tenant in capitals', ['--tenant', 'TNT'], '--tenant: expected'],
    ['an unknown actor type', ['--actor-type', 'ROBOT'], '--actor-type: expected one of USER'],
    ['an actor id with a comma', ['--actor-id', 'a,b'], '--actor-id: expected'],
    ['a key with a blank', ['--idempotency-key', 'a b'], '--idempotency-key: expected'],
    ['a chain without types', ['--on-behalf-of', 'sam'], '--on-behalf-of: expected TYPE:ID'],
  ])('refuses %s with exit code 2 and sends nothing', async (_case, flags, message) => {
    const { code, out, err } = await kf([...words(line), ...flags], { server: api.url, stdin: 'managed' });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err).toContain('Nothing was sent');
    expect(api.requests).toHaveLength(0);
  });

  it.each(['', '\n', 'nonsense', 'whsec_bad secret', 'env:PATH', 'file:../etc/passwd', 'managed\nmanaged'])('refuses the reference %j without repeating it', async (stdin) => {
    const { code, err } = await kf(words(line), { server: api.url, stdin });
    expect(code).toBe(2);
    expect(err).toContain('--signing-secret-ref-stdin: expected');
    if (stdin.trim() !== '' && !stdin.startsWith('managed')) expect(err).not.toContain(stdin);
    expect(api.requests).toHaveLength(0);
  });

  it('names every required flag that is missing, not only the first', async () => {
    const { code, err } = await kf(['webhook', 'upsert-subscription'], { server: api.url });
    expect(code).toBe(2);
    for (const flag of ['--tenant', '--actor-type', '--actor-id', '--event-pattern', '--target-url', '--signing-secret-ref-stdin', '--delivery-mode', '--status']) expect(err).toMatch(new RegExp(`${flag}\\b.* is required`));
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook pause-subscription and resume-subscription', () => {
  it.each([
    ['pause-subscription', 'PauseWebhookSubscription'],
    ['resume-subscription', 'ResumeWebhookSubscription'],
  ])('%s sends the subscription and nothing else', async (verb, commandType) => {
    const { code, out } = await kf(words(`webhook ${verb} ${who} --webhook-subscription-id whs_1 --on-behalf-of USER:usr_a,USER:usr_b --on-behalf-of USER:usr_c`), { server: api.url });
    expect(code).toBe(0);
    expect(only().url).toBe(`/api/commands/${commandType}`);
    expect(sent()).toEqual({
      tenant: 'tnt_demo',
      environment: 'production',
      actor: { type: 'USER', id: 'usr_sam', onBehalfOf: [{ type: 'USER', id: 'usr_a' }, { type: 'USER', id: 'usr_b' }, { type: 'USER', id: 'usr_c' }] },
      payload: { webhookSubscriptionId: 'whs_1' },
    });
    expect(JSON.parse(out)).toMatchObject({ commandType, resourceId: 'res_1' });
  });

  it('needs the subscription', async () => {
    const { code, err } = await kf(words(`webhook pause-subscription ${who}`), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--webhook-subscription-id <id> is required');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook rotate-subscription-secret', () => {
  const line = `webhook rotate-subscription-secret ${who} --webhook-subscription-id whs_1`;

  it('leaves the choice of secret, grace and approval to the server unless given', async () => {
    await kf(words(line), { server: api.url });
    expect(sent()).toMatchObject({ payload: { webhookSubscriptionId: 'whs_1' } });
    expect(Object.keys((sent() as { payload: object }).payload)).toEqual(['webhookSubscriptionId']);
    expect(sent()).not.toHaveProperty('approvalId');
  });

  it('sends the approval beside the payload, the grace time as a number, and a reference from standard input', async () => {
    await kf(words(`${line} --approval-id apr_1 --grace-seconds 0 --signing-secret-ref-stdin`), { server: api.url, stdin: 'file:orders\n' });
    expect(sent()).toMatchObject({ approvalId: 'apr_1', payload: { webhookSubscriptionId: 'whs_1', graceSeconds: 0, signingSecretRef: 'file:orders' } });
  });

  it('prints the secret alone with --quiet, and nothing where it is null', async () => {
    const route = 'POST /api/commands/RotateWebhookSubscriptionSecret';
    api.answers(route, { body: applied('RotateWebhookSubscriptionSecret', 'whs_1', { secret: 'whsec_next' }) }, { body: applied('RotateWebhookSubscriptionSecret', 'whs_1', { secret: null }, { replayed: true }) });
    expect((await kf(words(`${line} --quiet --idempotency-key k1`), { server: api.url })).out).toBe('whsec_next\n');
    expect((await kf(words(`${line} --quiet --idempotency-key k1`), { server: api.url })).out).toBe('');
  });

  it.each(['-1', '604801', '1.5', 'soon'])('refuses a grace time of %s seconds', async (grace) => {
    const { code, err } = await kf([...words(line), '--grace-seconds', grace], { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--grace-seconds: expected a whole number from 0 to 604800');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf webhook replay-delivery', () => {
  const line = `webhook replay-delivery ${who} --webhook-delivery-id dlv_1`;

  it.each([
    ['', {}],
    ['--reset-attempts', { resetAttempts: true }],
    ['--reset-attempts true', { resetAttempts: true }],
    ['--reset-attempts false', { resetAttempts: false }],
    ['--reset-attempts --include-delivered', { resetAttempts: true, includeDelivered: true }],
  ])('with "%s" sends %j', async (flags, expected) => {
    expect((await kf(words(`${line} ${flags}`), { server: api.url })).code).toBe(0);
    expect(sent()).toMatchObject({ payload: { webhookDeliveryId: 'dlv_1', ...expected } });
    expect(Object.keys((sent() as { payload: object }).payload)).toEqual(['webhookDeliveryId', ...Object.keys(expected)]);
  });

  it('refuses another word than true or false', async () => {
    const { code, err } = await kf(words(`${line} --reset-attempts maybe`), { server: api.url });
    expect(code).toBe(2);
    expect(err).toContain('--reset-attempts: expected true or false, got "maybe"');
    expect(api.requests).toHaveLength(0);
  });
});

describe('the verbs that exist', () => {
  it('suggests the nearest one for a typo', async () => {
    expect(await kf(['webhook', 'pause-subscriptoin'], { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean pause-subscription?') });
    expect(await kf(words(`webhook pause-subscription ${who} --webhook-subscripton-id x`), { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('Did you mean --webhook-subscription-id?') });
  });

  it('refuses one that does not exist, and sends nothing', async () => {
    expect((await kf(['webhook', 'delete-subscription'], { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });
});
