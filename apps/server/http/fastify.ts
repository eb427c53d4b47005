import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { limits, problems, problemType, type ProblemSlug } from '#contracts';
import type { Clock, Ids } from '#kernel';
import type { Log, Metrics } from '#telemetry';
import type { Authenticator } from '../access/authenticator.ts';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import type { AllowedMethods } from './allow.ts';
import { Problem, problemOf } from './problem.ts';
import { type AnswerProblem, pathOf, usualHeaders } from './problem-answer.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; null on routes that are open. */
    key: AuthenticatedKey | null;
    /** When it arrived, on the monotonic clock. */
    arrivedMs: number;
  }
  interface FastifyContextConfig {
    /** The route needs no key. */
    open?: boolean;
  }
}

export interface HttpParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly authenticator: Authenticator;
  readonly allowed: AllowedMethods;
  readonly answerProblem: AnswerProblem;
  readonly isStopping: () => boolean;
}

const maxHeaderBytes = 16 * 1024;

/** Fastify with our limits, correlation ids, authentication before a body is read, one access log line per request, and JSON bodies as text. */
export function createAdapter(parts: HttpParts): FastifyAdapter {
  const adapter = new FastifyAdapter({
    genReqId: (raw: IncomingMessage) => correlationId(raw.headers['x-correlation-id']) ?? parts.ids.uuid(),
    requestIdHeader: false,
    bodyLimit: limits.requestBodyBytes,
    // An event id has up to 255 characters, each perhaps percent-encoded.
    routerOptions: { maxParamLength: 1_024 },
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
    http: { maxHeaderSize: maxHeaderBytes, headersTimeout: 15_000 },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => refuseMalformed(error, socket, parts),
    frameworkErrors: parts.answerProblem,
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  fastify.decorateRequest('key', null);
  fastify.decorateRequest('arrivedMs', 0);
  fastify.addHook('onRoute', ({ url, method }) => parts.allowed.add(url, [method].flat()));
  readJsonAsText(fastify);
  identify(fastify, parts);
  refuseEncoded(fastify);
  observe(fastify, parts);
  letGo(fastify, parts);
  return adapter;
}

const correlationId = (header: string | readonly string[] | undefined): string | undefined =>
  typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : undefined;

/** Bodies stay text: the data of a published event is kept byte for byte, and each route reads what it expects. */
function readJsonAsText(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    // A decoder would put U+FFFD for what is not UTF-8, and the text would not be what was sent. RFC 8259, section 8.1.
    if (!isUtf8(body)) done(new Problem('validation-failed', 'The body is not UTF-8 text.', { errors: [{ path: '', message: 'the body must be JSON in UTF-8' }] }));
    else done(null, body.toString('utf8'));
  });
}

/** Before the body is read, so that whoever has no key costs one hash and no memory. */
function identify(fastify: FastifyInstance, { clock, authenticator }: HttpParts): void {
  fastify.addHook('onRequest', async (request, reply) => {
    request.arrivedMs = clock.monotonicMs();
    void reply.headers(usualHeaders(request.id));
    if (request.is404 || request.routeOptions.config.open === true) return;
    const found = await authenticator.authenticate(request.headers.authorization);
    if ('refused' in found) throw problemOf(found);
    request.key = found;
  });
}

/** We take bodies as they are: the limit counts what is sent, and a small one could unpack into anything. RFC 9110, section 15.5.16. */
function refuseEncoded(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    const coding = request.headers['content-encoding'];
    if (request.is404 || coding === undefined || /^identity$/i.test(coding)) {
      done();
      return;
    }
    void reply.header('accept-encoding', 'identity');
    done(new Problem('unsupported-media-type', 'Send the body as it is, without Content-Encoding.'));
  });
}

const routeOf = (request: FastifyRequest): string => request.routeOptions.url ?? 'unknown';

function observe(fastify: FastifyInstance, { clock, log, metrics }: HttpParts): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const durationMs = clock.monotonicMs() - request.arrivedMs;
    const status = reply.statusCode;
    metrics.request(request.method, routeOf(request), status, durationMs);
    // The path without its query; `route` tells the kind, `path` the resource.
    log.info({ correlationId: request.id, method: request.method, path: pathOf(request), route: routeOf(request), status, durationMs: Math.round(durationMs * 10) / 10, keyId: request.key?.keyId }, 'request');
    done();
  });
}

/** A connection whose request ends while the server stops would hold the stop up until its keep-alive time is over. */
function letGo(fastify: FastifyInstance, { isStopping }: HttpParts): void {
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    if (isStopping()) void reply.header('connection', 'close');
    done();
  });
}

/** What never became a request: there is no reply to send it with, so the answer is written to the socket. It has no path, so no `instance`. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket, { ids, log }: Pick<HttpParts, 'ids' | 'log'>): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [slug, detail]: readonly [ProblemSlug, string] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['headers-too-large', `The headers of a request may have at most ${maxHeaderBytes} bytes.`]
      : ['validation-failed', 'This is not an HTTP request, or it did not arrive in time.'];
  const { status, title } = problems[slug];
  const correlationId = ids.uuid();
  log.info({ correlationId, status, code: error.code }, 'no request');
  const body = JSON.stringify({ type: problemType(slug), title, status, detail, correlationId, ...(slug === 'validation-failed' ? { errors: [] } : { limitBytes: maxHeaderBytes }) });
  socket.end(`HTTP/1.1 ${status} ${status === 431 ? 'Request Header Fields Too Large' : 'Bad Request'}\r\nContent-Type: application/problem+json\r\nX-Correlation-Id: ${correlationId}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
}
