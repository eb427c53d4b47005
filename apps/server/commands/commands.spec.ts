import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { commandPayloads } from '#contracts';
import { refuse, Secret } from '#kernel';
import { commandAnswer, type Shell, startShell } from '../../../test/support/http-shell.ts';

const upsert = { eventPattern: 'version.*', targetUrl: 'https://example.com/in', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
const body = { tenant: 'acme', actor: { type: 'USER', id: 'sam' }, payload: upsert };
const headers = { 'idempotency-key': 'k1' };
const url = '/api/commands/UpsertWebhookSubscription';

let shell: Shell;
beforeAll(async () => {
  shell = await startShell();
});
afterAll(() => shell.close());
beforeEach(() => {
  shell.commands.length = 0;
  shell.published.length = 0;
  shell.answerCommand = commandAnswer;
});

describe('POST /api/commands/{commandType}', () => {
  it('takes the command through the pipeline as it was received, and answers 200', async () => {
    const { status, body: answer } = await shell.send('POST', url, { headers: { ...headers, 'x-correlation-id': 'c-1', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }, body });
    expect(status).toBe(200);
    expect(answer).toEqual({ commandId: expect.any(String), commandType: 'UpsertWebhookSubscription', resourceId: 'orders', outcome: 'APPLIED', revision: 1, position: '10', replayed: false, result: { webhookSubscriptionId: 'orders', secret: null } });
    expect(shell.commands).toEqual([
      expect.objectContaining({
        commandType: 'UpsertWebhookSubscription',
        site: { tenant: 'acme', environment: 'production' },
        actor: { type: 'USER', id: 'sam' },
        caller: expect.objectContaining({ keyId: 'root', isRoot: true, isAdmin: true, boundTo: null }),
        idempotencyKey: 'k1',
        payload: upsert,
        correlationId: 'c-1',
        traceparent: expect.stringContaining('aaaa'),
      }),
    ]);
    expect(shell.commands[0]).not.toHaveProperty('payloadText');
  });

  it('passes on approval, expected revision, environment and on behalf of', async () => {
    await shell.send('POST', url, { headers, body: { ...body, environment: 'staging', approvalId: 'apr_1', expectedRevision: 3, actor: { type: 'AGENT', id: 'bot', onBehalfOf: [{ type: 'USER', id: 'sam' }] } } });
    expect(shell.commands[0]).toMatchObject({ site: { environment: 'staging' }, approvalId: 'apr_1', expectedRevision: 3, actor: { type: 'AGENT', id: 'bot', onBehalfOf: [{ type: 'USER', id: 'sam' }] } });
  });

  it('shows a secret in result.secret, once, in an answer that no cache keeps', async () => {
    shell.answerCommand = (request) => ({ ...commandAnswer(request), secret: new Secret('whsec_shown') });
    const { body: answer, headers: sent } = await shell.send('POST', url, { headers, body });
    expect(answer).toMatchObject({ result: { secret: 'whsec_shown' } });
    expect(sent['cache-control']).toBe('no-store');
    expect(shell.logLines.join('')).not.toContain('whsec_shown');
  });

  it('marks a replay, without the secret', async () => {
    shell.answerCommand = (request) => ({ ...commandAnswer(request), replayed: true });
    const { body: answer, headers: sent } = await shell.send('POST', url, { headers, body });
    expect(sent['idempotency-replayed']).toBe('true');
    expect(answer).toMatchObject({ replayed: true, result: { secret: null } });
  });

  it('answers no member for a secret where the command makes none', async () => {
    const { body: answer } = await shell.send('POST', '/api/commands/PauseWebhookSubscription', { headers, body: { ...body, payload: { webhookSubscriptionId: 'orders' } } });
    expect(answer['result']).toEqual({ webhookSubscriptionId: 'orders' });
  });

  it('answers a dry run from the pipeline, with every unmet condition', async () => {
    shell.answerDryRun = ({ commandType }) => ({ commandId: 'c', commandType, resourceId: 'orders', outcome: 'REFUSED', events: [{ type: 'WebhookSubscriptionPaused', data: {} }], unmet: [refuse('approval-required', 'It needs one.', { candidates: [] })] });
    const { status, body: answer } = await shell.send('POST', `${url}?dryRun=true`, { headers, body });
    expect(status).toBe(200);
    expect(answer).toMatchObject({ outcome: 'REFUSED', events: [{ type: 'WebhookSubscriptionPaused' }], unmet: [{ code: 'approval-required', detail: 'It needs one.', candidates: [] }] });
  });

  it('answers every refusal as the problem of its name, with its members', async () => {
    shell.answerCommand = () => refuse('approval-required', 'It needs an approval.', { candidates: [], unmet: [], approvalRequest: { payload: {} } });
    const { status, headers: sent, body: problem } = await shell.send('POST', url, { headers, body });
    expect(status).toBe(403);
    expect(sent['content-type']).toBe('application/problem+json');
    expect(problem).toEqual({
      type: 'https://countersign.dev/problems/approval-required', title: 'An approval is required', status: 403, detail: 'It needs an approval.', instance: url,
      correlationId: expect.any(String), candidates: [], unmet: [], approvalRequest: { payload: {} },
    });
  });

  it('says when to try again', async () => {
    shell.answerCommand = () => refuse('idempotency-request-in-flight', 'Wait.', { retryAfterSeconds: 7 });
    const { status, headers: sent, body: problem } = await shell.send('POST', url, { headers, body });
    expect([status, sent['retry-after'], problem['retryAfterSeconds']]).toEqual([409, '7', undefined]);
    shell.answerCommand = () => refuse('outcome-unknown', 'Wait.');
    expect((await shell.send('POST', url, { headers, body })).headers['retry-after']).toBe('1');
  });

  it('hides what broke, and logs it under the correlation id', async () => {
    shell.answerCommand = () => Promise.reject(new Error('the inside of us'));
    const { status, body: problem } = await shell.send('POST', url, { headers, body });
    expect(status).toBe(500);
    expect(JSON.stringify(problem)).not.toContain('inside');
    expect(shell.logLines.find((line) => line.includes('the inside of us'))).toContain(String(problem['correlationId']));
  });

  it('knows every command type, and names the nearest for another', async () => {
    for (const type of Object.keys(commandPayloads)) expect((await shell.send('POST', `/api/commands/${type}`, { headers, body })).status).not.toBe(404);
    const { status, body: problem } = await shell.send('POST', '/api/commands/UpsertSubscription', { headers, body });
    expect(status).toBe(404);
    expect((await shell.send('POST', '/api/commands/PauseWebhookSubscriptions', { headers, body })).body['detail']).toContain('Did you mean "PauseWebhookSubscription"?');
    expect(problem['type']).toContain('not-found');
    expect((await shell.send('POST', '/api/commands/toString', { headers, body })).status).toBe(404);
  });
});

describe('the body of a command', () => {
  const errorsOf = async (sent: unknown): Promise<unknown> => {
    const { status, body: problem } = await shell.send('POST', url, { headers, body: sent });
    expect(status).toBe(400);
    expect(problem['type']).toBe('https://countersign.dev/problems/validation-failed');
    expect(shell.commands).toHaveLength(0);
    return problem['errors'];
  };

  it('is refused with everything that is wrong with it', async () => {
    expect(await errorsOf({ tenat: 'acme', actor: { type: 'USER', id: 'sam' }, payload: { ...upsert, status: 'ON', targetUrl: undefined } })).toEqual([
      { path: 'tenat', message: 'is not a known field. Did you mean "tenant"?' },
      { path: 'tenant', message: expect.stringContaining('is required') },
      { path: 'payload.targetUrl', message: expect.stringContaining('is required') },
      { path: 'payload.status', message: 'must be one of ACTIVE, PAUSED' },
    ]);
  });

  it('says where it is not JSON', async () => {
    expect(await errorsOf('{"tenant": "acme",\n "actor": oops}')).toEqual([{ path: '', message: 'the body is not JSON: expected a JSON value, found "o" at line 2, column 11' }]);
    expect(await errorsOf('')).toEqual([{ path: '', message: expect.stringContaining('expected a JSON value, found the end') }]);
  });

  it('must be an object with an object as payload', async () => {
    expect(await errorsOf('[]')).toEqual([{ path: '', message: 'must be a JSON object' }]);
    expect(await errorsOf({ ...body, payload: [] })).toEqual([{ path: 'payload', message: 'must be a JSON object' }]);
  });

  it('may have no member twice, since readers differ in which they take', async () => {
    expect(await errorsOf(JSON.stringify(body).replace('{', '{"tenant":"other",'))).toEqual([{ path: 'tenant', message: 'is there twice' }]);
    expect(await errorsOf(JSON.stringify(body).replace('"payload":{', '"payload":{"targetUrl":"https://a.example",'))).toEqual([{ path: 'payload.targetUrl', message: 'is there twice' }]);
  });

  it('may have none twice further in, in the actor and in the payload that is to be approved', async () => {
    expect(await errorsOf(JSON.stringify(body).replace('"actor":{', '"actor":{"id":"kim",'))).toEqual([{ path: 'actor.id', message: 'is there twice' }]);
    const asked = '{"commandType":"SetApprovalPolicy","resourceId":"PauseWebhookSubscription","expiresOn":"2026-12-01T00:00:00Z","payload":{"required":true,"approvers":[{"id":"a"},{"id":"a","id":"b"}],"required":false}}';
    const text = JSON.stringify({ ...body, payload: 0 }).replace('"payload":0', `"payload":${asked}`);
    expect((await shell.send('POST', '/api/commands/RequestApproval', { headers, body: text })).body['errors']).toEqual(['payload.payload.approvers[1].id', 'payload.payload.required'].map((path) => ({ path, message: 'is there twice' })));
  });

  it('may have what it likes in the data of an event', async () => {
    const text = JSON.stringify({ ...body, payload: { type: 'a.b', data: 0 } }).replace('"data":0', '"data":{"a":1,"a":2}');
    expect((await shell.send('POST', '/api/commands/PublishEvent', { headers, body: text })).status).toBe(200);
    expect(shell.published.at(-1)?.event.dataText).toBe('{"a":1,"a":2}');
  });

  it('is refused in one sentence, however many things are wrong', async () => {
    const detailOf = async (more: object) => (await shell.send('POST', url, { headers, body: { ...body, ...more } })).body['detail'];
    expect(await detailOf({ qqqqqqqq: 1 })).toBe('qqqqqqqq is not a known field.');
    expect(await detailOf({ qqqqqqqq: 1, zzzzzzzz: 1 })).toBe('qqqqqqqq is not a known field (and 1 more).');
    expect(await detailOf({ tenat: 'x' })).toBe('tenat is not a known field. Did you mean "tenant"?');
    expect(await detailOf({ expectedRevision: -1 })).toBe('expectedRevision must be a whole number, at least 0.');
  });

  it('must be UTF-8', async () => {
    expect(await errorsOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toEqual([{ path: '', message: 'the body must be JSON in UTF-8' }]);
  });

  it('must be there', async () => {
    expect((await shell.send('POST', url, { headers })).status).toBe(400);
  });
});

describe('the idempotency key', () => {
  const keyed = (key: string | undefined) => shell.send('POST', url, { headers: key === undefined ? {} : { 'idempotency-key': key }, body });

  it('is required', async () => {
    const { status, body: problem } = await keyed(undefined);
    expect([status, problem['type']]).toEqual([400, 'https://countersign.dev/problems/idempotency-key-missing']);
  });

  it.each([
    ['plain', 'plain'],
    ['"quoted"', 'quoted'],
    ['"with \\"quotes\\" and \\\\"', null],
    ['"a\\"b\\\\c"', 'a"b\\c'],
    ['x'.repeat(255), 'x'.repeat(255)],
    ['x'.repeat(256), null],
    ['', null],
    ['""', null],
    ['two words', null],
    ['"open', null],
    ['"bad\\escape"', null],
    ['caf\u00e9', null],
  ])('%p means %p', async (header, key) => {
    const { status, body: problem } = await keyed(header);
    if (key === null) {
      expect([status, problem['type']]).toEqual([400, 'https://countersign.dev/problems/idempotency-key-invalid']);
      expect(shell.commands).toHaveLength(0);
    } else {
      expect(status).toBe(200);
      expect(shell.commands[0]?.idempotencyKey).toBe(key);
    }
  });
});

describe('PublishEvent', () => {
  const publishUrl = '/api/commands/PublishEvent';
  const event = (data: string, more = ''): string => `{"tenant":"acme","actor":{"type":"SERVICE","id":"registry"},"payload":{"type":"version.published",${more}"data": ${data} }}`;

  it('publishes under the idempotency key, with the data byte for byte', async () => {
    const data = '{"big":9007199254740993,"one":1.0,"text":"\\u00e9 é", "a" : [ ] }';
    const { status, body: answer } = await shell.send('POST', publishUrl, { headers, body: event(data) });
    expect(status).toBe(200);
    expect(answer).toMatchObject({ commandType: 'PublishEvent', resourceId: 'k1', outcome: 'APPLIED', replayed: false, result: { eventId: 'k1' } });
    expect(shell.published).toEqual([{ publisher: expect.objectContaining({ site: { tenant: 'acme', environment: 'production' }, actor: { type: 'SERVICE', id: 'registry' } }), event: { eventId: 'k1', type: 'version.published', dataText: data, occurredAt: null } }]);
  });

  it('refuses an event id that is not the key', async () => {
    expect((await shell.send('POST', publishUrl, { headers, body: event('1', '"eventId":"k1",') })).status).toBe(200);
    expect((await shell.send('POST', publishUrl, { headers, body: event('1', '"eventId":"other",') })).body['errors']).toEqual([{ path: 'payload.eventId', message: expect.stringContaining('Idempotency-Key') }]);
  });

  it('answers a duplicate as a replay', async () => {
    shell.answerPublish = () => ({ status: 'DUPLICATE', commandId: 'c', eventId: 'k1', position: '4', idempotent: true });
    const { headers: sent, body: answer } = await shell.send('POST', publishUrl, { headers, body: event('1') });
    expect([sent['idempotency-replayed'], answer['replayed'], answer['position']]).toEqual(['true', true, '4']);
  });

  it('refuses data over 256 KiB, naming the limit', async () => {
    const { status, body: problem } = await shell.send('POST', publishUrl, { headers, body: event(JSON.stringify('x'.repeat(262_143))) });
    expect([status, problem['limitBytes']]).toEqual([413, 262_144]);
    expect((await shell.send('POST', publishUrl, { headers, body: event(JSON.stringify('x'.repeat(262_142))) })).status).toBe(200);
  });

  it('says in a dry run what it would write', async () => {
    const { body: answer } = await shell.send('POST', `${publishUrl}?dryRun=true`, { headers, body: event('1') });
    expect(answer).toMatchObject({ outcome: 'APPLIED', events: [{ type: 'EventPublished', data: { eventId: 'k1', type: 'version.published' } }], unmet: [] });
    expect(shell.published).toHaveLength(0);
  });
});
