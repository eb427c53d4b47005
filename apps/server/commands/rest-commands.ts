import { createParamDecorator, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CommandAnswer, CommandRequest } from '#command-pipeline';
import type { CommandType, FieldError, ProblemSlug } from '#contracts';
import { type Clock, type Ids, isName, isRefusal, type Json, type JsonObject, newId, type Refusal, type Site } from '#kernel';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { restActor } from '../access/rest-actor.ts';
import { keyOf, siteOfRequest } from '../access/routes.ts';
import { actorOnRecord } from '../audit/actor-on-record.ts';
import type { RouteDoc } from '../http/describe.ts';
import { ifMatch } from '../http/etag.ts';
import { invalid, problemOf } from '../http/problem.ts';
import { type RequestTrace, traceOf } from '../http/trace.ts';
import { CLOCK, IDS, Refusals } from '../parts.ts';
import { governedCommands } from './commands.ts';
import { idempotencyKey } from './idempotency-key.ts';

/** A request over REST to change something, on a route `ForSite`: all of it but what the change is. */
export interface RestChange {
  readonly site: Site;
  readonly key: AuthenticatedKey;
  readonly trace: RequestTrace;
  readonly headers: FastifyRequest['headers'];
  /** `approvalId` of the query. */
  readonly approvalId: string | undefined;
  readonly reply: FastifyReply;
}

export const Change = createParamDecorator((_data: unknown, context: ExecutionContext): RestChange => {
  const http = context.switchToHttp();
  const request = http.getRequest<FastifyRequest>();
  const { approvalId } = request.query as Readonly<Record<string, string | undefined>>;
  return { site: siteOfRequest(request), key: keyOf(request), trace: traceOf(request), headers: request.headers, approvalId, reply: http.getResponse<FastifyReply>() };
});

/** What a REST route makes of its path and body. */
export interface Asked {
  /** As the command takes it: what the request said, before defaults. What is undefined is left out. */
  readonly payload: Readonly<Record<string, Json | undefined>>;
  /** `approvalId` of the body, where it has one. */
  readonly approvalId?: string | undefined;
}

/** What the document says of every route that sends a command with `RestCommands`. */
export const restChange = {
  headers: ['Idempotency-Key', 'If-Match', 'Kf-Actor', 'Kf-On-Behalf-Of'],
  answerHeaders: ['Idempotency-Key', 'Idempotency-Replayed'],
  problems: [
    'idempotency-key-invalid', 'actor-not-allowed', 'precondition-failed', 'payload-too-large', 'unsupported-media-type', 'idempotency-key-reused', 'idempotency-request-in-flight', 'concurrent-modification', 'outcome-unknown',
  ],
} as const satisfies Partial<RouteDoc>;

/** Of a route whose command makes something of its own: there is no revision yet that it could depend on. */
export const restCreate = { ...restChange, headers: ['Idempotency-Key', 'Kf-Actor', 'Kf-On-Behalf-Of'], problems: restChange.problems.filter((slug) => slug !== 'precondition-failed') } as const satisfies Partial<RouteDoc>;

/** Of a route whose command a policy may gate. */
export const gateProblems = [
  'approval-required', 'approval-pending', 'approval-expired', 'approval-denied', 'approval-withdrawn', 'approval-revoked', 'approval-invalidated', 'approval-already-used', 'approval-binding-mismatch',
] as const satisfies readonly ProblemSlug[];

/** How REST routes change anything: with the commands of the command surface, through the same bus. */
@Injectable()
export class RestCommands {
  constructor(
    private readonly commandBus: CommandBus,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(IDS) private readonly ids: Ids,
    private readonly refusals: Refusals,
  ) {}

  /**
   * Sends the command with what the headers say: `Idempotency-Key` (made when absent, answered in any case, also with a
   * refusal, so that a retry is possible), `If-Match`, `Kf-Actor`, `Kf-On-Behalf-Of`. A refusal ends the request.
   */
  async send(commandType: Exclude<CommandType, 'PublishEvent'>, change: RestChange, asked: Asked): Promise<CommandAnswer> {
    const request = this.requestOf(commandType, change, asked);
    void change.reply.header('idempotency-key', request.idempotencyKey);
    const answer = await this.commandBus.execute(new governedCommands[commandType](request));
    if (isRefusal(answer)) throw problemOf(asOfBody(answer));
    if (answer.replayed) void change.reply.header('idempotency-replayed', 'true');
    return answer;
  }

  private requestOf(commandType: string, { site, key, trace, headers, ...change }: RestChange, { payload, approvalId: named }: Asked): CommandRequest {
    const approvalId = oneOf(change.approvalId, named);
    const expectedRevision = ifMatch(headers['if-match']);
    const request = {
      ...trace,
      commandType,
      site,
      caller: key,
      idempotencyKey: idempotencyKey(headers['idempotency-key']) ?? newId('idk', this.clock.now(), this.ids),
      payload: Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined)) as JsonObject,
      ...(approvalId === undefined ? {} : { approvalId }),
      ...(expectedRevision === undefined ? {} : { expectedRevision }),
    };
    return { ...request, actor: actorOnRecord(this.refusals, key, request, () => restActor(key, headers)) };
  }
}

/** What the command surface has in its payload, a REST body has itself. */
function asOfBody(refusal: Refusal): Refusal {
  const { errors } = refusal.members ?? {};
  return Array.isArray(errors) ? { ...refusal, members: { ...refusal.members, errors: (errors as readonly FieldError[]).map(({ path, message }) => ({ path: path.replace(/^payload\./, ''), message })) } } : refusal;
}

function oneOf(ofQuery: string | undefined, ofBody: string | undefined): string | undefined {
  if (ofQuery !== undefined && !isName(ofQuery)) throw invalid('approvalId', 'must be the id of an approval, as RequestApproval answered it');
  if (ofQuery !== undefined && ofBody !== undefined && ofQuery !== ofBody) throw invalid('approvalId', 'must be the same in the query and in the body; one of them is enough');
  return ofBody ?? ofQuery;
}
