import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rootKeyText, type Shell, startShell } from '../../../test/support/http-shell.ts';
import type { Upload } from '../../../test/support/uploader.ts';

let shell: Shell;
let port: number;
beforeAll(async () => {
  shell = await startShell();
  await shell.app.listen(0, '127.0.0.1');
  const address = shell.app.getHttpServer().address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
afterAll(() => shell.close());

/** Sends bytes as they are and answers what comes back until the server closes the connection. */
const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });

const slugOf = (body: Readonly<Record<string, unknown>>): string => String(body['type']).replace('https://countersign.dev/problems/', '');

describe('a path that is none', () => {
  it.each(['/', '/api', '/api/nothing', '/api/recoveries/r/more', '/docs/nothing.js', '/docs/..%2fpackage.json', '/api/events/e1/more', '/api/keys/', '//api/keys', '/api/webhooks/orders/deliveries/d/more'])('%p is 404', async (path) => {
    const { status, headers, body } = await shell.send('GET', path);
    expect([status, slugOf(body), headers['content-type']]).toEqual([404, 'not-found', 'application/problem+json']);
  });

  it('is 404 also without a key, since paths are no secret', async () => expect((await shell.send('GET', '/api/nothing', { key: null })).status).toBe(404));

  it.each(['/api/events/%zz', `/api/events/${'x'.repeat(2_000)}`])('%p is 404 and breaks nothing', async (path) => {
    const { status, body } = await shell.send('GET', path);
    expect([status, slugOf(body)]).toEqual([404, 'not-found']);
  });
});

describe('a method that is not allowed', () => {
  it.each([
    ['DELETE', '/api/keys', 'GET, HEAD'],
    ['PUT', '/api/events', 'POST'],
    ['GET', '/api/events', 'POST'],
    ['PATCH', '/api/events/e1', 'GET, HEAD'],
    ['OPTIONS', '/api/commands/PublishEvent', 'GET, HEAD, POST'],
    ['POST', '/health/live', 'GET, HEAD'],
    ['POST', '/docs', 'GET, HEAD'],
    ['DELETE', '/docs/start.js', 'GET, HEAD'],
  ])('%s %s is 405 and says which are', async (method, path, allow) => {
    const { status, headers, body } = await shell.send(method, path);
    expect([status, slugOf(body), headers['allow']]).toEqual([405, 'method-not-allowed', allow]);
  });
});

describe('a body', () => {
  const publish = (body: unknown, headers: Record<string, string> = {}) => shell.send('POST', '/api/events?siteId=acme', { headers, body });

  it('over 8 MiB is 413 and names the limit', async () => {
    const { status, body } = await publish('x'.repeat(8 * 1024 * 1024 + 1));
    expect([status, slugOf(body), body['limitBytes']]).toEqual([413, 'payload-too-large', 8_388_608]);
  });

  it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded'])('of type %p is 415', async (type) => {
    const { status, body } = await publish('{}', { 'content-type': type });
    expect([status, slugOf(body)]).toEqual([415, 'unsupported-media-type']);
  });

  it.each(['gzip', 'br', 'identity, gzip'])('in the coding %p is 415 and says what is taken', async (coding) => {
    const { status, headers, body } = await publish('{}', { 'content-encoding': coding });
    expect([status, slugOf(body), headers['accept-encoding'], body['detail']]).toEqual([415, 'unsupported-media-type', 'identity', expect.stringContaining('Content-Encoding')]);
  });

  it('may say that it is in no coding', async () => expect((await publish({ type: 'a.b', data: 1 }, { 'content-encoding': 'identity' })).status).toBe(200));

  it('with a million things wrong is told some of them', async () => {
    const { status, body } = await publish(`{${Array.from({ length: 20_000 }, () => '"twice":1').join()}}`);
    expect([status, (body['errors'] as unknown[]).length]).toEqual([400, 100]);
  });

  it('may say its charset', async () => expect((await publish({ type: 'a.b', data: 1 }, { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200));

  it('is not read before the key is checked', async () => {
    const socket = connect(port, '127.0.0.1', () => socket.write('POST /api/events?siteId=acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{'));
    const closed = once(socket, 'close');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 [^]*\r\nconnection: close\r\n[^]*}$/);
    await shell.clock.advance(1_999);
    expect(socket.readableEnded).toBe(false);
    await shell.clock.advance(1);
    await closed;
  });
});

describe('a body that is refused while it is still being sent', () => {
  /** What a client on a thread of its own gets for each of its bodies of 8 MiB + 1 KiB. */
  const uploaded = async (headers: Upload['headers'], inPieces: boolean): Promise<readonly string[]> => {
    const workerData: Upload = { url: `http://127.0.0.1:${port}/api/events?siteId=acme`, headers, inPieces, bytes: 8 * 1024 * 1024 + 1_024, times: 20 };
    const client = new Worker(new URL('../../../test/support/uploader.ts', import.meta.url), { workerData, execArgv: ['--conditions=source', '--disable-warning=ExperimentalWarning'] });
    const answers: string[] = [];
    client.on('message', (answer: string) => answers.push(answer));
    await once(client, 'exit');
    return answers;
  };
  const json = 'application/json';

  it.each([
    ['too large by its Content-Length', '413 payload-too-large', rootKeyText, json, false],
    ['too large when it is there', '413 payload-too-large', rootKeyText, json, true],
    ['of another type', '415 unsupported-media-type', rootKeyText, 'text/plain', false],
    ['without a valid key', '401 unauthenticated', 'wrong', json, false],
    ['without a valid key, in pieces', '401 unauthenticated', 'wrong', json, true],
  ] as const)('%s: a client that is busy writing reads why, each time', async (_case, expected, key, type, inPieces) => {
    const answers = await uploaded({ authorization: `Bearer ${key}`, 'content-type': type }, inPieces);
    expect(answers.map((answer) => answer.replace(/^(\d+) .*problems\/([a-z-]+)".*$/, '$1 $2'))).toEqual(Array.from({ length: 20 }, () => expected));
  });

  it('is not taken without end', async () => {
    const sent = 64 * 1024 * 1024;
    const accepted = once(shell.app.getHttpServer(), 'connection');
    const socket = connect(port, '127.0.0.1');
    // It is cut off in the middle of its writing, which is what is wanted.
    socket.on('error', () => undefined);
    socket.write(`POST /api/events?siteId=acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${sent}\r\n\r\n`);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.write(Buffer.alloc(sent));
    const [atServer] = (await accepted) as [Socket];
    await closed;
    expect(atServer.bytesRead).toBeGreaterThan(16 * 1024 * 1024);
    expect(atServer.bytesRead).toBeLessThan(18 * 1024 * 1024);
  });
});

describe('what is no request at all', () => {
  it('with headers over 16 KiB is 431', async () => {
    const answer = await raw(`GET /api/keys HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toMatchObject({ type: 'https://countersign.dev/problems/headers-too-large', status: 431, limitBytes: 16_384 });
  });

  it('that is not HTTP is 400', async () => {
    const answer = await raw('hello\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('application/problem+json');
  });

  it('is found in the log by its correlation id', async () => {
    const answer = await raw('hello\r\n\r\n');
    const { correlationId } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as { correlationId: string };
    expect(correlationId).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer).toContain(`\r\nX-Correlation-Id: ${correlationId}\r\n`);
    expect(shell.logLines.at(-1)).toContain(`"correlationId":"${correlationId}"`);
  });
});

describe('a correlation id', () => {
  const asked = async (headers: Record<string, string>, path = '/api/whoami') => shell.send('GET', path, { headers });

  it('is taken from the caller when it is well-formed, echoed and logged', async () => {
    const { headers } = await asked({ 'x-correlation-id': 'my.request-1:a_b' });
    expect(headers['x-correlation-id']).toBe('my.request-1:a_b');
    expect(shell.logLines.at(-1)).toContain('"correlationId":"my.request-1:a_b"');
  });

  it.each(['', 'two words', 'x'.repeat(129), 'a"b', '<script>'])('%p is replaced by one of ours', async (id) => {
    const { headers } = await asked({ 'x-correlation-id': id });
    expect(headers['x-correlation-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('stands in every problem', async () => {
    for (const path of ['/nothing', '/api/approvals', '/api/events/%zz']) {
      const { headers, body } = await asked({ 'x-correlation-id': 'c-9' }, path);
      expect([body['correlationId'], path.startsWith('/api/events') || headers['x-correlation-id'] === 'c-9']).toEqual(['c-9', true]);
    }
  });
});

describe('the access log', () => {
  it('has one line per request, without query and body', async () => {
    shell.logLines.length = 0;
    await shell.send('GET', '/api/approvals?siteId=acme&cursor=hunter2');
    await shell.send('POST', '/api/events?siteId=acme', { body: { type: 'a.b', data: 'hunter2' } });
    const lines = shell.logLines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toEqual([
      expect.objectContaining({ msg: 'request', method: 'GET', path: '/api/approvals', route: '/api/approvals', status: 200, keyId: 'root', durationMs: expect.any(Number) }),
      expect.objectContaining({ method: 'POST', path: '/api/events', status: 200 }),
    ]);
    expect(shell.logLines.join('')).not.toContain('hunter2');
  });

  it('feeds the metrics by route, never by path', async () => {
    await shell.send('GET', '/api/events/secret-customer?siteId=acme');
    const { text } = await shell.send('GET', '/metrics', { key: null });
    expect(text).toContain('countersign_http_request_seconds_count{method="GET",route="/api/events/:eventId",status="404"}');
    expect(text).not.toContain('secret-customer');
  });
});

describe('query parameters', () => {
  it('that a path does not know are refused, naming the nearest', async () => {
    const { status, body } = await shell.send('GET', '/api/approvals?siteId=acme&limt=5&x=1');
    expect(status).toBe(400);
    expect(body['errors']).toEqual([{ path: 'limt', message: 'is not a parameter of this path. Did you mean "limit"?' }, { path: 'x', message: 'is not a parameter of this path.' }]);
  });

  it.each(['limit=0', 'limit=501', 'limit=x', 'limit=-1', 'status=OPEN', 'limit=5&limit=6', 'waitFor=x', 'waitFor=01'])('%p is refused', async (query) => {
    const { status, body } = await shell.send('GET', `/api/approvals?siteId=acme&${query}`);
    expect([status, slugOf(body)]).toEqual([400, 'validation-failed']);
  });
});
