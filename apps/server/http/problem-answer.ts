import { Readable } from 'node:stream';
import { HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { limits } from '#contracts';
import { OutcomeUnknown, StoreUnavailable } from '#event-store';
import type { Clock } from '#kernel';
import { ReadModelsUnavailable } from '#read-models';
import type { Log } from '#telemetry';
import type { AllowedMethods } from './allow.ts';
import { answerThenDrain, isStillSending } from './late-body.ts';
import { Problem, problemBody, retryAfterSeconds } from './problem.ts';

/** Ends a request with what an error means to its sender. */
export type AnswerProblem = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

/** Every answer that is not a success is made here: one shape for all errors, and nothing of our inside in any. RFC 9457. */
export const createAnswerProblem =
  (log: Log, allowed: AllowedMethods, clock: Clock): AnswerProblem =>
  (error, request, reply) => {
    const path = pathOf(request);
    const problem = knownProblem(error, request.method, path, allowed) ?? new Problem('internal-error', 'The request failed on our side. The correlation id finds it in the log.');
    if (problem.slug === 'internal-error') log.error({ correlationId: request.id, method: request.method, path, err: error }, 'request failed');
    const body = Buffer.from(JSON.stringify({ ...problemBody(problem), instance: path, correlationId: request.id }));
    void reply.status(problem.status).headers({ ...usualHeaders(request.id), ...headersOf(problem), 'content-type': 'application/problem+json', 'content-length': String(body.length) });
    void (isStillSending(request.raw) ? reply.header('connection', 'close').send(Readable.from(answerThenDrain(body, request.raw, clock))) : reply.send(body));
  };

/** What every answer has, also one to what no route was looked for. */
export const usualHeaders = (correlationId: string): Record<string, string> => ({ 'x-correlation-id': correlationId, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });

export const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '/';

function headersOf(problem: Problem): Record<string, string> {
  const seconds = retryAfterSeconds(problem);
  const allow = problem.members['allow'];
  return {
    ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
    ...(problem.slug === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
    ...(problem.slug === 'method-not-allowed' && Array.isArray(allow) ? { allow: allow.join(', ') } : {}),
  };
}

function knownProblem(error: unknown, method: string, path: string, allowed: AllowedMethods): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof StoreUnavailable || error instanceof OutcomeUnknown) return new Problem('store-unavailable', 'The event store cannot be reached. Try again.');
  if (error instanceof ReadModelsUnavailable) return new Problem('store-unavailable', 'The read models cannot answer now. Try again.');
  if (error instanceof HttpException) return httpProblem(error.getStatus(), method, path, allowed);
  return isUnroutable(error) ? new Problem('not-found', 'There is nothing at this path: it is not a valid URL, or a part of it is too long.') : undefined;
}

function noRoute(method: string, path: string, allowed: AllowedMethods): Problem {
  const allow = allowed.of(path);
  if (allow.length === 0) return new Problem('not-found', `There is nothing at ${path}.`);
  return new Problem('method-not-allowed', `${method} is not allowed here; use ${allow.join(' or ')}.`, { allow });
}

/** What the router says before any route is found. */
const isUnroutable = (error: unknown): boolean => error instanceof Error && 'code' in error && (error.code === 'FST_ERR_BAD_URL' || error.code === 'FST_ERR_MAX_PARAM_LENGTH');

/** What the framework refuses before a handler runs, by its status. */
function httpProblem(status: number, method: string, path: string, allowed: AllowedMethods): Problem | undefined {
  switch (status) {
    case 400:
      return new Problem('validation-failed', 'The body is not as long as Content-Length says.', { errors: [{ path: '', message: 'the body must be as long as Content-Length says' }] });
    case 404:
      return noRoute(method, path, allowed);
    case 413:
      return new Problem('payload-too-large', `A request body may have at most ${limits.requestBodyBytes} bytes.`, { limitBytes: limits.requestBodyBytes });
    case 415:
      return new Problem('unsupported-media-type', 'Send the body as JSON, with the header Content-Type: application/json.');
    default:
      return undefined;
  }
}
