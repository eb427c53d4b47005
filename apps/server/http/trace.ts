import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** What ties log lines, events and answers of one request together. */
export interface RequestTrace {
  readonly correlationId: string;
  /** W3C Trace Context, when the caller sent a well-formed one. */
  readonly traceparent?: string;
}

const traceparentForm = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;

export function traceOf(request: FastifyRequest): RequestTrace {
  const traceparent = request.headers['traceparent'];
  return { correlationId: request.id, ...(typeof traceparent === 'string' && traceparentForm.test(traceparent) ? { traceparent } : {}) };
}

export const Trace = createParamDecorator((_data: unknown, context: ExecutionContext): RequestTrace => traceOf(context.switchToHttp().getRequest<FastifyRequest>()));
