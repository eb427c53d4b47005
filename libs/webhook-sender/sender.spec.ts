import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Clock, Secret } from '#kernel';
import { formatSigningSecret, verifyRoost } from '#webhook-sender/signing';
import { Webhook } from 'standardwebhooks';
import { findCanary } from '../../test/support/canary.ts';
import { type Answer, type HttpReceiver, type Receiver, receiverCertificate, StandingClock, startReceiver, startTcpReceiver, startTlsReceiver, systemClock } from '../../test/support/webhook-receivers.ts';
import { type AttemptRequest, createSender, type Sender, type SenderOptions } from './sender.ts';
import { createTargetPolicy } from './target-policy.ts';
import type { AttemptTranscript } from './transcript.ts';

const key = new Secret(new Uint8Array(Buffer.from('a-signing-key-nobody-may-ever-see')));
const oldKey = new Secret(new Uint8Array(Buffer.from('an-older-key-nobody-may-ever-see!')));
const apiKey = new Secret('custom-header-value-nobody-may-see');

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of cleanUp.splice(0).reverse()) await close();
});

function sender(options: Partial<SenderOptions> = {}): Sender {
  const made = createSender({ policy: createTargetPolicy({ allowTargets: ['loopback'], allowHttp: false }), clock: systemClock, userAgent: 'Countersign/0.0.0', ...options });
  cleanUp.push(() => made.close());
  return made;
}

function kept<R extends Receiver>(receiver: R): R {
  cleanUp.push(() => receiver.close());
  return receiver;
}

const receiver = async (answer?: Answer): Promise<HttpReceiver> => kept(await startReceiver(answer));
const tcpReceiver = async (serve: (socket: Socket) => void): Promise<Receiver> => kept(await startTcpReceiver(serve));

const request = (url: string, change: Partial<AttemptRequest> = {}): AttemptRequest => ({
  url,
  webhookId: 'dlv_1',
  body: '{"id":"evt_1","data":{"größe":1.0}}',
  keys: [key],
  timestampSeconds: Math.floor(Date.now() / 1000),
  ...change,
});

/** Resolves when the sender has closed the connection, politely or not. */
const hasClosed = (socket: Socket): Promise<void> =>
  new Promise((closed) => {
    if (socket.closed) return closed();
    socket.once('close', closed).resume();
  });

/** A TCP receiver that answers any request with these bytes, and then does what it is told. */
const rawReceiver = (answer: string, then: (socket: Socket) => void = () => undefined): Promise<Receiver> =>
  tcpReceiver((socket) => {
    socket.once('data', () => {
      socket.write(answer, () => then(socket));
    });
  });

describe('a request', () => {
  it('is a POST of the very bytes, with exactly the headers that the transcript shows', async () => {
    const target = await receiver();
    const transcript = await sender().attempt(request(`${target.url}/a?b=c#d`, { headers: { 'X-Api-Key': apiKey } }));
    expect(target.requests).toHaveLength(1);
    const [received] = target.requests;
    expect(received).toMatchObject({ method: 'POST', path: '/hook/a?b=c', body: request('').body });
    const sent = Object.fromEntries(Array.from({ length: (received?.rawHeaders.length ?? 0) / 2 }, (_, index) => received?.rawHeaders.slice(2 * index, 2 * index + 2) as [string, string]));
    expect(sent).toEqual({ ...transcript.request.headers, 'X-Api-Key': apiKey.reveal() });
    expect(transcript.request).toMatchObject({
      method: 'POST',
      url: `${target.url}/a?b=c`,
      headers: { 'content-type': 'application/json', 'accept-encoding': 'identity', 'user-agent': 'Countersign/0.0.0', 'webhook-id': 'dlv_1', 'X-Api-Key': '[redacted]' },
    });
  });

  it('is verified by any Standard Webhooks library, with either secret of a grace window', async () => {
    const target = await receiver();
    await sender().attempt(request(target.url, { keys: [key, oldKey] }));
    const [received] = target.requests;
    for (const one of [key, oldKey]) {
      const webhook = new Webhook(formatSigningSecret(one).reveal());
      expect(webhook.verify(received?.body ?? '', received?.headers as Record<string, string>)).toEqual({ id: 'evt_1', data: { größe: 1 } });
      const roost = String(received?.headers['roost-signature']);
      expect(verifyRoost({ signature: roost, body: received?.body ?? '', keys: [one], nowSeconds: Date.now() / 1000 })).toBe('valid');
    }
  });

  it('may have bytes as its body', async () => {
    const target = await receiver();
    await sender().attempt(request(target.url, { body: new Uint8Array(Buffer.from('..{"a":1}..')).subarray(2, 9) }));
    expect(target.requests[0]?.body).toBe('{"a":1}');
    expect(() => new Webhook(formatSigningSecret(key).reveal()).verify('{"a":1}', target.requests[0]?.headers as Record<string, string>)).not.toThrow();
  });

  it('is answered by a transcript that is ready for JSON', async () => {
    const clock = new StandingClock(Date.UTC(2026, 1, 3, 4, 5, 6));
    const target = await receiver((response) => {
      clock.advance(250);
      response.writeHead(429, { 'retry-after': '30', 'x-two': ['a', 'b'] }).end('slow down, größe');
    });
    const transcript = await sender({ clock }).attempt(request(target.url));
    expect(JSON.parse(JSON.stringify(transcript))).toEqual(transcript);
    expect(transcript).toMatchObject({
      startedAt: '2026-02-03T04:05:06.000Z',
      durationMs: 250,
      response: { status: 429, headers: { 'retry-after': '30', 'x-two': 'a, b' }, body: 'slow down, größe', truncated: false },
      error: null,
      timings: { dnsMs: null, connectMs: 0, tlsMs: null, firstByteMs: 250, totalMs: 250 },
      remoteAddress: '127.0.0.1',
      retryAfterMs: 30_000,
    });
  });

  it('takes a kept-alive connection when there is one, and says so by having no times for making it', async () => {
    const target = await receiver();
    const one = sender();
    const transcripts: AttemptTranscript[] = [];
    for (let count = 0; count < 3; count += 1) transcripts.push(await one.attempt(request(target.url)));
    expect(target.connections()).toBe(1);
    expect(transcripts.map(({ timings }) => timings.connectMs === null)).toEqual([false, true, true]);
    expect(transcripts.map(({ remoteAddress }) => remoteAddress)).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1']);
  });

  it('makes a new connection when the receiver closed the last one', async () => {
    const target = await receiver((response) => response.writeHead(200, { connection: 'close' }).end());
    const one = sender();
    for (let count = 0; count < 2; count += 1) expect((await one.attempt(request(target.url))).response?.status).toBe(200);
    expect(target.connections()).toBe(2);
  });

  it('goes to localhost over whichever loopback address answers', async () => {
    const target = await receiver();
    const transcript = await sender().attempt(request(`http://localhost:${target.port}/hook`));
    expect(transcript.response?.status).toBe(200);
    expect(transcript.timings.dnsMs).not.toBeNull();
  });
});

describe('over TLS', () => {
  const named = { policy: createTargetPolicy({ allowTargets: ['receiver.test', 'other.test'], allowHttp: false }), resolve: () => Promise.resolve(['127.0.0.1']) };

  it('the certificate must be for the name and from a trusted root', async () => {
    const target = kept(await startTlsReceiver());
    const trusting = sender({ ...named, certificateAuthorities: receiverCertificate });
    const good = await trusting.attempt(request(`https://receiver.test:${target.port}/`));
    expect(good).toMatchObject({ response: { status: 200 }, error: null, remoteAddress: '127.0.0.1' });
    expect(good.timings.tlsMs).not.toBeNull();
    expect(await trusting.attempt(request(`https://other.test:${target.port}/`))).toMatchObject({ response: null, error: 'tls-failed' });
    expect(await sender(named).attempt(request(`https://receiver.test:${target.port}/`))).toMatchObject({ response: null, error: 'tls-failed' });
    expect(target.requests).toHaveLength(1);
  });

  it('a trailing dot of the name changes neither certificate nor host', async () => {
    const target = kept(await startTlsReceiver());
    const transcript = await sender({ ...named, certificateAuthorities: receiverCertificate }).attempt(request(`https://receiver.test.:${target.port}/`));
    expect(transcript.response?.status).toBe(200);
    expect(target.requests[0]?.headers.host).toBe(`receiver.test:${target.port}`);
  });

  it('a receiver that speaks no TLS is tls-failed', async () => {
    const target = await receiver();
    expect(await sender().attempt(request(`https://127.0.0.1:${target.port}/`))).toMatchObject({ response: null, error: 'tls-failed' });
  });
});

describe('what a receiver answers', () => {
  it.each([301, 302, 303, 307, 308])('%i is never followed', async (status) => {
    const canary = await receiver();
    const target = await receiver((response) => response.writeHead(status, { location: canary.url }).end());
    const transcript = await sender().attempt(request(target.url));
    expect(transcript.response).toMatchObject({ status, headers: { location: canary.url } });
    expect(canary.connections()).toBe(0);
  });

  it.each([
    [200, 4 * 1024],
    [500, 16 * 1024],
  ])('keeps of the body of a %i only %i bytes, and the connection', async (status, kept) => {
    const target = await receiver((response) => response.writeHead(status).end('x'.repeat(64 * 1024)));
    const one = sender();
    for (let count = 0; count < 2; count += 1) expect(await one.attempt(request(target.url))).toMatchObject({ response: { status, body: 'x'.repeat(kept), truncated: true }, error: null });
    expect(target.connections()).toBe(1);
  });

  it('is kept whole up to the limit', async () => {
    const target = await receiver((response) => response.end('x'.repeat(4 * 1024)));
    expect(await sender().attempt(request(target.url))).toMatchObject({ response: { body: 'x'.repeat(4 * 1024), truncated: false } });
  });

  it.each([200, 503])('an endless body is read to 64 KiB, then the connection is dropped and %i stays', async (status) => {
    const closed = Promise.withResolvers<number>();
    const target = await tcpReceiver((socket) => {
      socket.once('data', () => {
        socket.write(`HTTP/1.1 ${status} Go\r\ncontent-length: 1000000000000\r\n\r\n`);
        const more = (): void => {
          while (socket.write(Buffer.alloc(16 * 1024, 'x')));
          socket.once('drain', more);
        };
        more();
      });
      socket.on('close', () => closed.resolve(socket.bytesWritten));
    });
    const transcript = await sender().attempt(request(target.url));
    expect(transcript).toMatchObject({ response: { status, truncated: true }, error: null });
    // What the socket buffers of both sides hold comes on top of what was read.
    expect(await closed.promise).toBeLessThan(64 * 1024 * 1024);
  });

  it('is never decompressed', async () => {
    const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024));
    const target = await receiver((response) => response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bomb.length }).end(bomb));
    const { response } = await sender().attempt(request(target.url));
    expect(response).toMatchObject({ status: 200, truncated: true, headers: { 'content-encoding': 'gzip' } });
    expect(Buffer.byteLength(response?.body ?? '')).toBeLessThanOrEqual(4 * 1024);
    expect(response?.body.startsWith('\x1f\ufffd')).toBe(true);
  });

  it('may be cut in the middle of a character', async () => {
    const target = await receiver((response) => response.end(`${'x'.repeat(4 * 1024 - 1)}ö${'x'.repeat(10)}`));
    expect((await sender().attempt(request(target.url))).response?.body).toBe('x'.repeat(4 * 1024 - 1));
  });

  it.each([200, 204, 500])('keeps its status %i when the body is cut off', async (status) => {
    const target = await rawReceiver(`HTTP/1.1 ${status} x\r\ncontent-length: 100\r\n\r\nabc`, (socket) => socket.destroy());
    const transcript = await sender().attempt(request(target.url));
    expect(transcript).toMatchObject({ response: { status }, error: null });
    if (status !== 204) expect(transcript.response).toMatchObject({ body: 'abc', truncated: true });
  });

  it('may come after informational answers', async () => {
    const target = await rawReceiver('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    expect((await sender().attempt(request(target.url))).response).toMatchObject({ status: 200, body: 'ok', headers: { 'content-length': '2' } });
  });

  it('has its headers kept as data, whatever their names', async () => {
    const target = await rawReceiver('HTTP/1.1 200 OK\r\n__proto__: x\r\nconstructor: y\r\ncontent-length: 0\r\n\r\n');
    const { response } = await sender().attempt(request(target.url));
    expect(Object.entries(response?.headers ?? {})).toEqual([['__proto__', 'x'], ['constructor', 'y'], ['content-length', '0']]);
    expect(Object.getPrototypeOf(response?.headers)).toBe(Object.prototype);
  });
});

describe('an error has a code of the closed list', () => {
  it('connect-refused', async () => {
    const gone = await startReceiver();
    await gone.close();
    expect(await sender().attempt(request(gone.url))).toMatchObject({ response: null, error: 'connect-refused', remoteAddress: null });
  });

  it('dns-failed', async () => {
    const resolve = (): Promise<never> => Promise.reject(new Error('SERVFAIL from 10.0.0.53'));
    const transcript = await sender({ resolve }).attempt(request('https://a.example/'));
    expect(transcript).toMatchObject({ response: null, error: 'dns-failed' });
    expect(JSON.stringify(transcript)).not.toContain('10.0.0.53');
    expect(await sender({ resolve: () => Promise.resolve([]) }).attempt(request('https://a.example/'))).toMatchObject({ error: 'dns-failed' });
  });

  it.each([
    ['connection-reset', (socket: Socket) => socket.resetAndDestroy()],
    ['connection-reset', (socket: Socket) => socket.end()],
    ['connection-reset', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nx: ')],
    ['connection-reset', (socket: Socket) => socket.end('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')],
    ['protocol-error', (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
    ['protocol-error', (socket: Socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')],
    ['protocol-error', (socket: Socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n')],
    ['protocol-error', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n')],
    ['headers-too-large', (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20 * 1024)}\r\n\r\n`)],
    ['headers-too-large', (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\n${'x: yyyyyyyy\r\n'.repeat(4 * 1024)}\r\n`)],
  ])('%s: %s', async (error, answer) => {
    const target = await tcpReceiver((socket) => void socket.once('data', () => answer(socket)));
    const one = sender();
    expect(await one.attempt(request(target.url))).toMatchObject({ response: null, error, timings: { totalMs: expect.any(Number) } });
    // And the next request is none the worse for it.
    const healthy = await receiver();
    expect((await one.attempt(request(healthy.url))).response?.status).toBe(200);
  });

  it('target-refused, also for what is no URL, without showing the credentials in it', async () => {
    expect(await sender().attempt(request('nonsense'))).toMatchObject({ error: 'target-refused', request: { url: 'nonsense' } });
    const transcript = await sender().attempt(request('https://user:hunter2@a.example/x'));
    expect(transcript).toMatchObject({ error: 'target-refused', request: { url: 'https://[redacted]@a.example/x' } });
  });

  it('and its raw text goes to the log alone', async () => {
    const heard: unknown[] = [];
    const gone = await startReceiver();
    await gone.close();
    const transcript = await sender({ onFailure: (failure) => heard.push(failure) }).attempt(request(gone.url));
    expect(heard).toMatchObject([{ webhookId: 'dlv_1', error: 'connect-refused', cause: expect.any(Error) }]);
    expect(inspect(heard, { depth: Infinity })).toContain('ECONNREFUSED');
    expect(JSON.stringify(transcript)).not.toContain('ECONNREFUSED');
  });
});

describe('one deadline covers', () => {
  const after15s = async (url: string, clock: StandingClock, reached: Promise<unknown>, options: Partial<SenderOptions> = {}): Promise<AttemptTranscript> => {
    const attempt = sender({ clock, ...options }).attempt(request(url));
    await reached;
    clock.advance(14_999);
    expect(await Promise.race([attempt, new Promise((next) => setImmediate(next, 'still under way'))])).toBe('still under way');
    clock.advance(1);
    const transcript = await attempt;
    expect(transcript.durationMs).toBe(15_000);
    return transcript;
  };

  it('the lookup of the name', async () => {
    const asked = Promise.withResolvers<void>();
    const resolve = (): Promise<never> => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    expect(await after15s('https://a.example/', new StandingClock(), asked.promise, { resolve })).toMatchObject({ response: null, error: 'timeout' });
  });

  it('the TLS handshake, after which the connection is closed', async () => {
    const socket = Promise.withResolvers<Socket>();
    const target = await tcpReceiver((one) => void one.once('data', () => socket.resolve(one)));
    expect(await after15s(`https://127.0.0.1:${target.port}/`, new StandingClock(), socket.promise)).toMatchObject({ response: null, error: 'timeout' });
    const one = await socket.promise;
    await hasClosed(one);
  });

  it.each([
    ['a receiver that never answers', ''],
    ['headers that never end', 'HTTP/1.1 200 OK\r\nx: y\r\n'],
    ['informational answers without end', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
  ])('%s, after which the connection is closed', async (_case, answer) => {
    const socket = Promise.withResolvers<Socket>();
    const target = await rawReceiver(answer, (one) => socket.resolve(one));
    expect(await after15s(target.url, new StandingClock(), socket.promise)).toMatchObject({ response: null, error: 'timeout' });
    const one = await socket.promise;
    await hasClosed(one);
  });

  it.each([200, 500])('the body: one that drips ends there, and %i stays', async (status) => {
    const clock = new StandingClock();
    const socket = Promise.withResolvers<Socket>();
    const secondDrop = Promise.withResolvers<void>();
    const onChunk = (message: unknown): void => {
      if (String((message as { chunk: Buffer }).chunk) === 'b') secondDrop.resolve();
    };
    subscribe('undici:request:bodyChunkReceived', onChunk);
    const target = await rawReceiver(`HTTP/1.1 ${status} x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n`, (one) => socket.resolve(one));
    const attempt = sender({ clock }).attempt(request(target.url));
    await secondDrop.promise;
    unsubscribe('undici:request:bodyChunkReceived', onChunk);
    clock.advance(15_000);
    expect(await attempt).toMatchObject({ response: { status, body: 'ab', truncated: true }, error: null, durationMs: 15_000 });
    await hasClosed(await socket.promise);
  });

  it('the wait for a free connection: what ended while it waited is never sent', async () => {
    const clock = new StandingClock();
    const answers: (() => void)[] = [];
    const first = Promise.withResolvers<void>();
    const target = await receiver((response) => {
      answers.push(() => response.end());
      first.resolve();
    });
    const one = sender({ clock, maxConnectionsPerOrigin: 1 });
    const slow = one.attempt(request(target.url, { timeoutMs: 30_000 }));
    await first.promise;
    const waiting = one.attempt(request(target.url, { webhookId: 'dlv_2', timeoutMs: 1_000 }));
    clock.advance(1_000);
    expect(await waiting).toMatchObject({ response: null, error: 'timeout', timings: { totalMs: 1_000 } });
    answers[0]?.();
    expect((await slow).response?.status).toBe(200);
    const next = one.attempt(request(target.url, { webhookId: 'dlv_3' }));
    while (answers.length < 2) await new Promise((turn) => setImmediate(turn));
    answers[1]?.();
    await next;
    expect(target.requests.map(({ headers }) => headers['webhook-id'])).toEqual(['dlv_1', 'dlv_3']);
    expect(target.connections()).toBe(1);
  });

  it('the wait for a free connection: none is made for what ended while it waited', async () => {
    const clock = new StandingClock();
    const asked: string[] = [];
    const resolve = (name: string): Promise<never> => {
      asked.push(name);
      return new Promise(() => undefined);
    };
    const one = sender({ clock, resolve, maxConnectionsPerOrigin: 1 });
    const attempts = [10_000, 5_000].map((timeoutMs) => one.attempt(request('https://a.example/', { timeoutMs })));
    await new Promise((turn) => setImmediate(turn));
    clock.advance(5_000);
    clock.advance(5_000);
    expect((await Promise.all(attempts)).map(({ error }) => error)).toEqual(['timeout', 'timeout']);
    await new Promise((turn) => setImmediate(turn));
    expect(asked).toEqual(['a.example']);
  });

  it('nothing once the attempt has ended', async () => {
    const clock = new StandingClock();
    const target = await receiver();
    await sender({ clock }).attempt(request(target.url));
    expect(clock.timers).toBe(0);
  });
});

describe('an attempt can be aborted', () => {
  it('before it starts, and then sends nothing', async () => {
    const target = await receiver();
    expect(await sender().attempt(request(target.url, { signal: AbortSignal.abort() }))).toMatchObject({ response: null, error: 'aborted' });
    expect(target.connections()).toBe(0);
  });

  it('before it is sent on a kept-alive connection, which stays', async () => {
    const target = await receiver();
    const one = sender();
    await one.attempt(request(target.url));
    const stop = new AbortController();
    const aborted = one.attempt(request(target.url, { webhookId: 'dlv_2', signal: stop.signal }));
    stop.abort();
    expect(await aborted).toMatchObject({ response: null, error: 'aborted' });
    await one.attempt(request(target.url, { webhookId: 'dlv_3' }));
    expect(target.requests.map(({ headers }) => headers['webhook-id'])).toEqual(['dlv_1', 'dlv_3']);
    expect(target.connections()).toBe(1);
  });

  it('under way', async () => {
    const stop = new AbortController();
    const target = await receiver(() => stop.abort());
    expect(await sender().attempt(request(target.url, { signal: stop.signal }))).toMatchObject({ response: null, error: 'aborted' });
  });
});

describe('connections', () => {
  it('are kept for a bounded number of origins; those of the longest unused are closed', async () => {
    const closed = Promise.withResolvers<void>();
    const first = await tcpReceiver((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
      socket.on('close', () => closed.resolve());
    });
    const [second, third] = [await receiver(), await receiver()];
    const one = sender({ maxOrigins: 2 });
    for (const { url } of [first, second, third, second, third]) expect((await one.attempt(request(url))).response?.status).toBe(200);
    await closed.promise;
    expect([second.connections(), third.connections()]).toEqual([1, 1]);
    expect((await one.attempt(request(first.url))).response?.status).toBe(200);
    expect(first.connections()).toBe(2);
  });

  it('of an origin that is dropped finish what is under way', async () => {
    const answer = Promise.withResolvers<void>();
    const slow = await receiver((response) => void answer.promise.then(() => response.end('late')));
    const other = await receiver();
    const one = sender({ maxOrigins: 1 });
    const under = one.attempt(request(slow.url));
    while (slow.requests.length === 0) await new Promise((turn) => setImmediate(turn));
    await one.attempt(request(other.url));
    answer.resolve();
    expect((await under).response?.body).toBe('late');
  });

  it('are at most so many per origin', async () => {
    const target = await receiver();
    const one = sender({ maxConnectionsPerOrigin: 3 });
    const transcripts = await Promise.all(Array.from({ length: 30 }, () => one.attempt(request(target.url))));
    expect(transcripts.every(({ response }) => response?.status === 200)).toBe(true);
    expect(target.connections()).toBe(3);
  });

  it('end when the sender closes, after what is under way', async () => {
    const answer = Promise.withResolvers<void>();
    const sockets: Socket[] = [];
    const target = await tcpReceiver((socket) => {
      sockets.push(socket);
      socket.once('data', () => void answer.promise.then(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')));
    });
    const one = sender();
    const under = one.attempt(request(target.url));
    while (sockets.length === 0) await new Promise((turn) => setImmediate(turn));
    const closed = [one.close(), one.close()];
    expect(await one.attempt(request(target.url))).toMatchObject({ response: null, error: 'aborted' });
    answer.resolve();
    expect((await under).response?.status).toBe(200);
    await Promise.all(closed);
    expect(target.connections()).toBe(1);
    const [socket] = sockets;
    if (socket !== undefined) await hasClosed(socket);
  });
});

it('no secret stands in a transcript or in an error, not even when the receiver echoes the request', async () => {
  const failures: unknown[] = [];
  const clock: Clock = systemClock;
  const echo = await receiver((response, { headers, body }) => response.writeHead(400, { 'x-echo': headers['x-api-key'] }).end(JSON.stringify({ headers, body })));
  // What undici can't read it hands over with its error: here the whole request.
  const mirror = await tcpReceiver((socket) => socket.pipe(socket));
  const broken = await rawReceiver('nonsense');
  const cut = await tcpReceiver((socket) => socket.resetAndDestroy());
  const one = sender({ clock, onFailure: (failure) => failures.push(failure) });
  const headers = { 'X-Api-Key': apiKey };
  const transcripts: AttemptTranscript[] = [];
  for (const url of [echo.url, mirror.url, broken.url, cut.url, 'https://10.0.0.1/', 'https://127.0.0.1:1/']) transcripts.push(await one.attempt(request(url, { headers, keys: [key, oldKey] })));
  expect(transcripts.map(({ error }) => error)).toEqual([null, 'protocol-error', 'protocol-error', 'connection-reset', 'target-refused', 'connect-refused']);
  const texts = { transcripts: JSON.stringify(transcripts), failures: JSON.stringify(failures), inspected: inspect([transcripts, failures], { depth: Infinity, showHidden: true }) };
  for (const secret of [key.reveal(), oldKey.reveal(), apiKey.reveal()]) expect(findCanary(secret, { texts })).toEqual([]);
  expect(transcripts[0]?.response?.headers['x-echo']).toBe('[redacted]');
});

describe('a value of a header that comes back', () => {
  const answered = async (body: string | Buffer, values: Readonly<Record<string, string>>, status = 400): Promise<string | undefined> => {
    const target = await receiver((response) => response.writeHead(status).end(body));
    const headers = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
    return (await sender().attempt(request(target.url, { headers }))).response?.body;
  };

  it('is hidden as it is within JSON, too', async () => {
    const value = 'Digest username="the-user", realm="a\\b"';
    expect(await answered(JSON.stringify({ seen: [value] }), { authorization: value })).toBe('{"seen":["[redacted]"]}');
  });

  it.each([
    ['with slashes escaped, as PHP writes it', '{"seen":"Basic YWJj\\/ZGVm\\/Zw=="}', 'Basic YWJj/ZGVm/Zw=='],
    ['in ASCII, as Python writes it', '{"seen":"gr\\u00fcner-schl\\u00fcssel"}', 'grüner-schlüssel'],
    ['as Go writes it', '{"seen":"a\\u003cb\\u003ec\\u0026d-token"}', 'a<b>c&d-token'],
    ['as .NET writes it', '{"seen":"a\\u002Bb\\u0026c\\u0022gr\\u00FCn-token"}', 'a+b&c"grün-token'],
    ['as it is within a URL', '{"seen":"a%2Bb%20c%2Fd%21e%3D%3D"}', 'a+b c/d!e=='],
    ['as JavaScript writes it within a URL', '{"seen":"a%2Bb%20c%2Fd!e~%3D%3D"}', 'a+b c/d!e~=='],
    ['as Python writes it within a URL', '{"seen":"a%2Bb%20c/d%21e~%3D%3D"}', 'a+b c/d!e~=='],
    ['within a URL, in small letters', '{"seen":"a%2bb%20c%2fd!e%3d%3d"}', 'a+b c/d!e=='],
    ['as it is within a form', '{"seen":"a%2Bb+c%2Fd%21e%3D%3D"}', 'a+b c/d!e=='],
    ['in base64', `{"seen":"${Buffer.from('a-token-of->>>').toString('base64')}"}`, 'a-token-of->>>'],
    ['in base64 for URLs', `{"seen":"${Buffer.from('a-token-of->>>').toString('base64url')}"}`, 'a-token-of->>>'],
    ['within a URL, in the bytes it was sent in', '{"seen":"gr%FCner-schl%FCssel"}', 'grüner-schlüssel'],
    ['within a URL that keeps what separates', '{"seen":"a-token;b=c,1%20d"}', 'a-token;b=c,1 d'],
    ['within a text in JSON', JSON.stringify({ seen: 'say \\"secret\\" now' }), 'say "secret" now'],
    ['as error pages write it', '{"seen":"Tok&amp;en&lt;12&gt;&quot;&#39;"}', `Tok&en<12>"'`],
    ['as error pages of Python write it', '{"seen":"Tok&amp;en&lt;12&gt;&quot;&#x27;"}', `Tok&en<12>"'`],
    ['as templates of Go write it', '{"seen":"aGVsbG8&#43;d29ybGQ/&#34;"}', 'aGVsbG8+d29ybGQ/"'],
    ['in the bytes it was sent in', Buffer.from('{"seen":"grüner-schlüssel"}', 'latin1'), 'grüner-schlüssel'],
  ])('is hidden %s', async (_, body, value) => {
    // What is no UTF-8 gets longer by being read, so its end may be missing.
    expect(await answered(body, { 'x-key': value })).toMatch(/^{"seen":"\[redacted\]=?("})?$/);
  });

  it('is hidden whole where another one is a part of it', async () => {
    expect(await answered('a-token-of-two, a-token', { short: 'a-token-', long: 'a-token-of-two' })).toBe('[redacted], a-token');
  });

  it('is hidden where the end of what is kept cuts it in two', async () => {
    const value = 'a-value-that-is-cut-in-the-middle';
    expect(await answered(`${'x'.repeat(4_096 - 12)}${value}${'y'.repeat(100)}`, { 'x-key': value }, 200)).toBe(`${'x'.repeat(4_096 - 12)}[redacted]`);
  });

  it('is hidden as far as it goes, where only its beginning comes back', async () => {
    const value = `${'long-'.repeat(40)}token`;
    expect(await answered(`before ${value.slice(0, 150)} after, ${value}!`, { 'x-key': value })).toBe('before [redacted] after, [redacted]!');
  });

  it('is hidden where the end of what is kept cuts it in two behind much of it', async () => {
    const value = 'a-value-that-is-cut-'.repeat(10);
    expect(await answered(`${'x'.repeat(4_096 - 150)}${value}`, { 'x-key': value }, 200)).toBe(`${'x'.repeat(4_096 - 150)}[redacted]`);
  });

  it('of fewer than 8 characters stays: it would hit everything', async () => {
    expect(await answered('acme is in acme', { 'x-tenant': 'acme' })).toBe('acme is in acme');
  });
});
