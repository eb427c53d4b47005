// The sender vectors of the compliance suite `postel` (postel-sh/postel, compliance/vectors/sender), in words of our own; docs/conformance.md says what comes of each.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type Driver, startDriver } from '../support/conformance/driver.ts';
import { textOf } from '../support/e2e/checkout.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Delivered, Inbox, type Replies, type Reply } from '../support/e2e/inbox.ts';

const secret = `whsec_${Buffer.alloc(32, 0x5a).toString('base64')}`;
const start = 60_000;

let driver: Driver;
let inbox: Inbox;
beforeAll(async () => {
  [driver, inbox] = await Promise.all([startDriver(), Inbox.start()]);
}, start);
afterAll(() => Promise.all([driver?.stop(), inbox?.close()]), start);

interface Said {
  readonly status: number;
  readonly code: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask(path: string, body?: object): Promise<Said> {
  const answer = await fetch(`${driver.url}/control/${path}`, body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return { status: answer.status, code: answer.headers.get('x-postel-verify-error'), body: (await answer.json()) as Said['body'] };
}

async function done(path: string, body: object = {}): Promise<Said['body']> {
  const said = await ask(path, body);
  expect(said).toMatchObject({ status: 200 });
  return said.body;
}

const endpoint = (types: readonly string[], url: string, more: object = {}): Promise<Said['body']> => done('endpoints', { url, types, allowHttp: true, signing: { fixture_id: 'hmac_primary' }, ...more });
const send = async (event: object): Promise<string> => String((await done('send', event))['messageId']);

/** The statuses of all attempts of a message, as soon as there are so many. */
const attempts = (messageId: string, count: number): Promise<readonly string[]> =>
  eventually(`${count} attempts`, async () => {
    const found = (await ask(`messages/${messageId}`)).body['attempts'] as readonly { readonly status: string }[];
    return found.length < count ? undefined : found.map(({ status }) => status);
  });

/** A reset, and an empty sender with one key. */
async function anew(): Promise<void> {
  await done('reset');
  await done('keys/install', { id: 'hmac_primary', algorithm: 'hmac-sha256', key_material: secret });
}

const verifies = ({ body, headers }: Delivered): unknown => new Webhook(secret).verify(body, headers as Record<string, string>);
const gapMs = ([first, second]: readonly Delivered[]): number => (second?.atMs ?? Number.NaN) - (first?.atMs ?? Number.NaN);
const times = (count: number, status: number, headers: Readonly<Record<string, string>> = {}): Replies => {
  let asked = 0;
  return () => (++asked > count ? {} : { status, headers });
};
const always = (status: number): Replies => times(Number.POSITIVE_INFINITY, status);

const verdicts = new Map<string, 'passes' | 'differs'>();
const vector =
  (verdict: 'passes' | 'differs') =>
  (name: string, what: string, test: () => Promise<void>): void => {
    verdicts.set(name, verdict);
    it(`${name}: ${what}`, test, start);
  };
const passes = vector('passes');
const differs = vector('differs');

describe('a sender with its workers started', () => {
  beforeAll(async () => {
    await anew();
    await done('workers/start', { concurrency: 1 });
  }, start);

  it('says who it is', async () => {
    expect(await ask('info')).toMatchObject({ status: 200, body: { port_name: 'countersign', port_version: expect.stringMatching(/^\d+\.\d+\.\d+/), suite_compat: '0.2', mock_receiver_required: true } });
  });

  passes('wire-output/hmac-v1-byte-stable', 'one POST of JSON with the three headers, and a v1 signature by the key of the endpoint', async () => {
    await endpoint(['test.hello'], inbox.url('signed'));
    const messageId = await send({ type: 'test.hello', data: { hello: 'world' } });
    const [request] = await inbox.arrived('signed', 1);
    expect(messageId).toMatch(/^msg_[A-Za-z0-9]+$/);
    expect(request).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json', 'webhook-id': expect.any(String), 'webhook-timestamp': expect.any(String) } });
    expect(request !== undefined && verifies(request)).toMatchObject({ type: 'test.hello' });
    expect(() => request !== undefined && new Webhook(`whsec_${Buffer.alloc(32, 1).toString('base64')}`).verify(request.body, request.headers as Record<string, string>)).toThrow();
    expect(await attempts(messageId, 1)).toEqual(['success']);
  });

  passes('wire-output/body-structure', 'the body has type, timestamp and data', async () => {
    await endpoint(['body.structure'], inbox.url('body'));
    await send({ type: 'body.structure', data: { id: 'ord_1' } });
    expect((await inbox.arrived('body', 1))[0]?.event).toMatchObject({ type: 'body.structure', timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), data: { id: 'ord_1' } });
  });

  passes('wire-output/custom-headers-emitted', 'the headers of an endpoint stand in its requests, beside those of the standard', async () => {
    await endpoint(['own.headers'], inbox.url('headers'), { headers: { 'X-Tenant': 'acme', authorization: 'Bearer abc' } });
    await send({ type: 'own.headers' });
    const [request] = await inbox.arrived('headers', 1);
    expect(request?.headers).toMatchObject({ 'x-tenant': 'acme', authorization: 'Bearer abc', 'webhook-signature': expect.stringMatching(/^v1,/) });
    expect(await ask('endpoints', { url: inbox.url('headers'), headers: { 'Webhook-Id': 'x' }, allowHttp: true })).toMatchObject({ status: 422, code: 'ENDPOINT_VALIDATION' });
  });

  differs('wire-output/ed25519-v1a-byte-stable', 'a key that is not for HMAC is refused, and so is an endpoint that would sign with it', async () => {
    expect(await ask('keys/install', { id: 'ed25519_a', algorithm: 'ed25519', key_material: 'whsk_x' })).toMatchObject({ status: 422, code: 'NOT_SUPPORTED' });
    expect(await ask('endpoints', { url: inbox.url('v1a'), signing: { fixture_id: 'ed25519_a' }, allowHttp: true })).toMatchObject({ status: 422, code: 'INVALID_REQUEST' });
  });

  passes('idempotency/duplicate-key-no-dispatch', 'the same key twice is one message and one request', async () => {
    await endpoint(['idem.same'], inbox.url('same'));
    const event = { type: 'idem.same', data: { id: 'ord_1' }, idempotencyKey: 'idem-abc' };
    const [first, second] = [await send(event), await send(event)];
    await send({ ...event, idempotencyKey: 'idem-end' });
    expect(second).toBe(first);
    expect((await inbox.arrived('same', 2)).map((request) => request.event.id).filter((id) => id === first)).toHaveLength(1);
  });

  passes('idempotency/distinct-keys-distinct-dispatch', 'two keys are two messages and two requests', async () => {
    await endpoint(['idem.two'], inbox.url('two'));
    const sent = [await send({ type: 'idem.two', idempotencyKey: 'idem-a' }), await send({ type: 'idem.two', idempotencyKey: 'idem-b' })];
    const requests = await inbox.arrived('two', 2);
    expect(requests.map((request) => request.event.id).sort()).toEqual(sent.sort());
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
  });

  passes('fanout/matching-endpoints-receive-all', 'every endpoint that matches gets its own request', async () => {
    await endpoint(['all.x'], inbox.url('all-a'));
    await endpoint(['all.x'], inbox.url('all-b'));
    await send({ type: 'all.x' });
    expect([...(await inbox.arrived('all-a', 1)), ...(await inbox.arrived('all-b', 1))].map(verifies)).toEqual([expect.anything(), expect.anything()]);
  });

  for (const name of ['fanout/filtered-endpoint-no-dispatch', 'filtering/type-filter-glob-no-match', 'filtering/type-filter-glob-match']) {
    passes(name, 'an endpoint gets the types that its glob matches, and no other', async () => {
      const [segment = '', box = ''] = [name.replace(/\W/g, '_'), name.replace(/\W/g, '-')];
      await endpoint([`${segment}.*`], inbox.url(box));
      const other = await send({ type: 'order.created' });
      const own = await send({ type: `${segment}.created` });
      expect((await inbox.arrived(box, 1)).map((request) => request.event.id)).toEqual([own]);
      expect(await attempts(own, 1)).toEqual(['success']);
      expect(await attempts(other, 0)).toEqual([]);
      expect(inbox.in(box)).toHaveLength(1);
    });
  }

  for (const name of ['filtering/channel-filter-match', 'filtering/channel-filter-no-match']) {
    differs(name, 'endpoints and events with channels are refused', async () => {
      expect(await ask('endpoints', { url: inbox.url('channel'), channels: ['tenant_42'], allowHttp: true })).toMatchObject({ status: 422, code: 'NOT_SUPPORTED' });
      expect(await ask('send', { type: 'order.created', channels: ['tenant_42'] })).toMatchObject({ status: 422, code: 'NOT_SUPPORTED' });
    });
  }

  for (const [name, ttl] of [['ttl/expired-message-skipped', '1s'], ['ttl/fresh-message-delivers', '10m']] as const) {
    differs(name, 'an event with an end is refused, not sent without one', async () => {
      expect(await ask('send', { type: 'evt.x', ttl })).toMatchObject({ status: 422, code: 'NOT_SUPPORTED', body: { error: expect.stringContaining('ttl') } });
    });
  }

  differs('deadlines/per-request-timeout', 'a timeout of less than a second is refused; one of a second ends the request, and the attempt has failed', async () => {
    expect(await ask('endpoints', { url: inbox.url('hurried'), http: { requestTimeout: '200ms' }, allowHttp: true })).toMatchObject({ status: 422, code: 'ENDPOINT_VALIDATION' });
    let answer = (): void => undefined;
    const held = new Promise<Reply>((resolve) => (answer = () => resolve({})));
    await endpoint(['slow.x'], inbox.url('slow', () => held), { http: { requestTimeout: '1s' } });
    expect(await attempts(await send({ type: 'slow.x' }), 1)).toEqual(['failed']);
    answer();
  });

  differs('deadlines/overall-deadline-respected', 'an endpoint with an end of all attempts is refused', async () => {
    expect(await ask('endpoints', { url: inbox.url('deadline'), http: { overallDeadline: '5m' }, allowHttp: true })).toMatchObject({ status: 422, code: 'NOT_SUPPORTED', body: { error: expect.stringContaining('overallDeadline') } });
  });

  for (const [name, url] of [
    ['ssrf-tls/https-only-rejected', 'http://8.8.8.8/hook'],
    ['ssrf-tls/ssrf-private-ip-create-blocked', 'http://10.0.0.5/hook'],
    ['ssrf-tls/ssrf-link-local-refused', 'http://169.254.169.254/hook'],
  ] as const) {
    passes(name, 'the endpoint is refused when it is made', async () => {
      const refused = await ask('endpoints', { url, types: ['evt.x'], allowHttp: !name.includes('https-only') });
      expect(refused).toMatchObject({ status: 422, code: 'ENDPOINT_VALIDATION', body: { error_code: 'ENDPOINT_VALIDATION', error: expect.stringContaining('target-url-refused') } });
    });
  }

  passes('multi-tenancy/tenant-scoped-fanout', 'an event reaches the endpoints of its own tenant alone', async () => {
    await endpoint(['tenancy.x'], inbox.url('t42'), { tenantId: 't_42' });
    await endpoint(['tenancy.x'], inbox.url('t99'), { tenantId: 't_99' });
    await send({ type: 'tenancy.x', tenantId: 't_42' });
    const other = await send({ type: 'tenancy.x', tenantId: 't_99' });
    await inbox.arrived('t42', 1);
    expect((await inbox.arrived('t99', 1)).map((request) => request.event.id)).toEqual([other]);
    expect(inbox.in('t42')).toHaveLength(1);
  });

  passes('multi-tenancy/null-tenant-default', 'who names no tenant has one all the same', async () => {
    await endpoint(['tenancy.none'], inbox.url('nobody'));
    await send({ type: 'tenancy.none' });
    expect(await inbox.arrived('nobody', 1)).toHaveLength(1);
  });
});

describe('a sender with a retry schedule', () => {
  const retryPolicy = { schedule: ['100ms', '100ms'], jitter: 0, maxAttempts: 3 };
  beforeAll(async () => {
    await anew();
    await done('workers/start');
  }, start);

  passes('retry-schedule/5xx-then-success', 'after a 503 it is tried again when its pause is over, give or take a fifth', async () => {
    await endpoint(['flaky.x'], inbox.url('flaky', times(1, 503)), { retryPolicy });
    const messageId = await send({ type: 'flaky.x' });
    const requests = await inbox.arrived('flaky', 2);
    expect(gapMs(requests)).toBeGreaterThanOrEqual(80);
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(await attempts(messageId, 2)).toEqual(['failed', 'success']);
  });

  for (const name of ['retry-schedule/programmable-schedule', 'dead-letter/exhaustion-marks-dead-letter']) {
    passes(name, 'it is tried as often as the schedule says, and the last failure is a dead letter', async () => {
      const box = name.replace(/\W/g, '-');
      await endpoint([`dead.${box}`], inbox.url(box, always(500)), { retryPolicy });
      const messageId = await send({ type: `dead.${box}` });
      expect(await attempts(messageId, 3)).toEqual(['failed', 'failed', 'dead-letter']);
      expect(inbox.in(box)).toHaveLength(3);
    });
  }

  passes('retry-schedule/retry-after-honored', 'after a 429 it is not tried again before Retry-After', async () => {
    await endpoint(['limited.x'], inbox.url('limited', times(1, 429, { 'retry-after': '2' })), { retryPolicy });
    const messageId = await send({ type: 'limited.x' });
    expect(gapMs(await inbox.arrived('limited', 2))).toBeGreaterThanOrEqual(1_800);
    expect(await attempts(messageId, 2)).toEqual(['failed', 'success']);
  });

  differs('retry-schedule/4xx-no-retry', 'a 400 is tried again', async () => {
    await endpoint(['bad.once'], inbox.url('bad-once', times(1, 400)), { retryPolicy });
    const messageId = await send({ type: 'bad.once' });
    expect(await attempts(messageId, 2)).toEqual(['failed', 'success']);
  });

  differs('dead-letter/attempt-status-casing', 'a 400 to the last attempt is a dead letter like any other; 410 alone ends a delivery at once', async () => {
    await endpoint(['bad.always'], inbox.url('bad-always', always(400)), { retryPolicy });
    await endpoint(['gone.x'], inbox.url('gone', always(410)), { retryPolicy });
    const [bad, gone] = [await send({ type: 'bad.always' }), await send({ type: 'gone.x' })];
    expect(await attempts(bad, 3)).toEqual(['failed', 'failed', 'dead-letter']);
    expect(await attempts(gone, 1)).toEqual(['failed-permanent']);
    expect(inbox.in('gone')).toHaveLength(1);
  });

  passes('fanout/fanout-with-exhaustion', 'each endpoint has a schedule of its own, and the end of one leaves the other alone', async () => {
    await endpoint(['worn.x'], inbox.url('worn-slow', always(500)), { retryPolicy });
    await endpoint(['worn.x'], inbox.url('worn-fast', always(500)), { retryPolicy: { ...retryPolicy, maxAttempts: 1 } });
    const messageId = await send({ type: 'worn.x' });
    expect([...(await attempts(messageId, 4))].sort()).toEqual(['dead-letter', 'dead-letter', 'failed', 'failed']);
    expect([inbox.in('worn-slow').length, inbox.in('worn-fast').length]).toEqual([3, 1]);
  });
});

describe('a sender whose workers start late', () => {
  beforeAll(anew, start);

  const retryPolicy = { schedule: ['1h'], jitter: 0, maxAttempts: 2 };
  const once = { type: 'late.x', idempotencyKey: 'once' };

  differs('fanout/late-binding-new-endpoint', 'an endpoint gets what was sent after it was made', async () => {
    await endpoint(['late.x'], inbox.url('early', times(1, 503)), { retryPolicy });
    await send(once);
    await endpoint(['late.x'], inbox.url('late'), { retryPolicy });
    expect([...inbox.in('early'), ...inbox.in('late')]).toEqual([]);
    await done('workers/start');
    await inbox.arrived('early', 1);
    const after = await send({ type: 'late.x' });
    await inbox.arrived('early', 2);
    expect((await inbox.arrived('late', 1)).map((request) => request.event.id)).toEqual([after]);
  });

  it('tries again when its clock says so', async () => {
    const messageId = await send(once);
    expect(await attempts(messageId, 1)).toEqual(['failed']);
    await done('clock/advance', { ms: 73 * 60_000 });
    expect(await attempts(messageId, 2)).toEqual(['failed', 'success']);
  });

  it('knows nothing any more after a reset', async () => {
    const messageId = await send(once);
    expect(await attempts(messageId, 2)).toHaveLength(2);
    await anew();
    expect(await ask(`messages/${messageId}`)).toMatchObject({ status: 404 });
    // Both find the same new server.
    for (const sent of await Promise.all([send(once), send({ type: 'late.x' })])) expect(await attempts(sent, 0)).toEqual([]);
  }, start);

  it.each([
    ['send', [], 'a JSON object'],
    ['send', { data: {} }, 'type is missing'],
    ['send', { type: 'Not A Type' }, 'validation-failed'],
    ['endpoints', { url: 'https://hooks.example.com/x', retryPolicy: { schedule: ['soon'], maxAttempts: 2 } }, 'retryPolicy.schedule'],
    ['clock/advance', { ms: -1 }, 'ms must be'],
    ['clock/advance', { to_iso8601: 'tomorrow' }, 'to_iso8601'],
  ])('refuses what makes no sense: %s %j', async (path, body, words) => {
    expect(await ask(path, body)).toMatchObject({ status: 422, code: 'INVALID_REQUEST', body: { error: expect.stringContaining(words) } });
  });
});

it('docs/conformance.md says of each vector what is true of it here', () => {
  const rows = [...textOf('docs/conformance.md').matchAll(/^\| `([a-z0-9-]+\/[a-z0-9-]+)` \| (passes|differs)\b/gm)].map(([, name, verdict]) => [name, verdict]);
  expect(rows.sort()).toEqual([...verdicts].sort());
});
