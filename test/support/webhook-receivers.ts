import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingHttpHeaders, type RequestListener, type Server as HttpServer, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { Clock } from '#kernel';

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, wake) => {
    const timer = setTimeout(wake, delayMs);
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until it is told to move on. */
export class StandingClock implements Clock {
  #nowMs: number;
  #timers: { readonly atMs: number; readonly wake: () => void }[] = [];

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, wake: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { wake } of due) wake();
  }

  get timers(): number {
    return this.#timers.length;
  }
}

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** A loopback server that ends with the test. */
export interface Receiver {
  readonly port: number;
  readonly url: string;
  /** How many connections were made to it so far. */
  connections(): number;
  close(): Promise<void>;
}

export interface HttpReceiver extends Receiver {
  readonly requests: ReceivedRequest[];
}

export type Answer = (response: ServerResponse, request: ReceivedRequest) => void;

const ok: Answer = (response) => response.end('ok');

/** An HTTP receiver that keeps what it was sent and answers 200, or as it is told. */
export function startReceiver(answer: Answer = ok): Promise<HttpReceiver> {
  const requests: ReceivedRequest[] = [];
  return startHttp(createHttpServer(listener(requests, answer)), 'http', requests);
}

/** The same with TLS, for `localhost` and `receiver.test`, under `receiverCertificate`. */
export function startTlsReceiver(answer: Answer = ok): Promise<HttpReceiver> {
  const requests: ReceivedRequest[] = [];
  return startHttp(createHttpsServer({ key: receiverKey, cert: receiverCertificate }, listener(requests, answer)), 'https', requests);
}

async function startHttp(server: HttpServer, scheme: string, requests: ReceivedRequest[]): Promise<HttpReceiver> {
  return { ...(await start(server, '127.0.0.1', 0, scheme)), requests };
}

/** Whatever `serve` does with a TCP connection. */
export const startTcpReceiver = (serve: (socket: Socket) => void, host = '127.0.0.1', port = 0): Promise<Receiver> => start(createTcpServer(serve), host, port, 'http');

function listener(requests: ReceivedRequest[], answer: Answer): RequestListener {
  return (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url: path = '', headers, rawHeaders } = incoming;
      const request = { method, path, headers, rawHeaders, body: Buffer.concat(chunks).toString() };
      requests.push(request);
      answer(response, request);
    });
  };
}

async function start(server: Server, host: string, port: number, scheme: string): Promise<Receiver> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    // What a sender does to us is what the tests look at; it is no error of the receiver.
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port: bound,
    url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}/hook`,
    connections: () => connections,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A self-signed certificate for tests only, valid for a hundred years. */
export const receiverCertificate = `-----BEGIN CERTIFICATE-----
MIIBqzCCAVKgAwIBAgIURdt3KUgkyXmX9oHxcQh+M806DiAwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcmVjZWl2ZXIudGVzdDAgFw0yNjExMjEyMDEyMzhaGA8yMTI2
MTAyODIwMTIzOFowGDEWMBQGA1UEAwwNcmVjZWl2ZXIudGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABISOf28UKqs67V6uT6tYEKaCXqJULHA1Q7BmQz4PSa3p
vuuU+nzpKeXEEAuiriIxjnNQTYrzLhABSa+o8GTAX/OjeDB2MB0GA1UdDgQWBBQ3
jB+VbxecIXgk9Dil6Az9xd+16DAfBgNVHSMEGDAWgBQ3jB+VbxecIXgk9Dil6Az9
xd+16DAPBgNVHRMBAf8EBTADAQH/MCMGA1UdEQQcMBqCDXJlY2VpdmVyLnRlc3SC
CWxvY2FsaG9zdDAKBggqhkjOPQQDAgNHADBEAiAZkEL3hkVKPfdWyobisC5KAfOZ
8ogbxNQywNbBIQ/9rQIgWPavhtamyglzAWfWXDSC+PCJAC/CXHnNYZMJi/2LP64=
-----END CERTIFICATE-----
`;

export const receiverKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgS7dh5c1k9vXUO+dn
llLIaWQdvuGkrfXd+X8TADx0OnChRANCAASEjn9vFCqrOu1erk+rWBCmgl6iVCxw
NUOwZkM+D0mt6b7rlPp86SnlxBALoq4iMY5zUE2K8y4QAUmvqPBkwF/z
-----END PRIVATE KEY-----
`;
