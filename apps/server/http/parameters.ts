import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { limits } from '#contracts';
import { didYouMean, parseInstant } from '#kernel';
import { Problem } from './problem.ts';

export interface Parameter {
  readonly description: string;
  readonly required?: true;
  readonly schema: { readonly type: string; readonly enum?: readonly string[]; readonly minimum?: number; readonly maximum?: number; readonly default?: number; readonly pattern?: string; readonly format?: 'date-time' };
  readonly example?: string | number;
}

/** Every query parameter of the API. */
const parameters = {
  siteId: { description: 'The site: `<tenant>` (production) or `<tenant>.<environment>`. May be left out when the key has exactly one.', schema: { type: 'string' }, example: 'acme' },
  limit: { description: 'How many items at most.', schema: { type: 'integer', minimum: 1, maximum: limits.pageSize, default: limits.defaultPageSize } },
  cursor: { description: '`nextCursor` of the page before.', schema: { type: 'string' } },
  waitFor: { description: 'Wait (up to 2 s) until the read model has seen this position.', schema: { type: 'string', pattern: '^(0|[1-9][0-9]{0,19})$' } },
  approvalId: { description: 'The approval to use; found by itself when left out. May stand in the body instead.', schema: { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]{0,62}$' } },
  includeDeleted: { description: '`true`: also those that were deleted and can still be restored.', schema: { type: 'string', enum: ['true', 'false'] } },
  label: { description: 'Only those with this label: its name, `=`, its value.', schema: { type: 'string', pattern: '^[a-z0-9][a-z0-9_.-]{0,62}=[!-~]{1,255}$' }, example: 'team=orders' },
  dryRun: { description: '`true`: answer what would happen, and write nothing.', schema: { type: 'string', enum: ['true', 'false'] } },
  events: { description: 'Which events: comma-separated globs, `*` for one segment, `**` for any number.', schema: { type: 'string' }, example: 'version.*,claim.**' },
  from: { description: 'After which position; `0` is the start of the log.', schema: { type: 'string', pattern: '^(0|[1-9][0-9]{0,19})$' } },
  eventId: { description: 'Only of this published event.', schema: { type: 'string' }, example: 'evt-4711' },
  since: { description: 'Recorded at or after this time.', schema: { type: 'string', format: 'date-time' }, example: '2026-11-03T00:00:00Z' },
  until: { description: 'Recorded at or before this time.', schema: { type: 'string', format: 'date-time' }, example: '2026-11-04T00:00:00Z' },
  actor: { description: 'Only what this actor did: `TYPE:id`, the letter case of the id does not matter.', schema: { type: 'string' }, example: 'USER:sam' },
  commandType: { description: 'Only what commands of this type did.', schema: { type: 'string' }, example: 'RotateWebhookSubscriptionSecret' },
  resourceId: { description: 'Only what stands in the streams of resources of this id, and refusals about them.', schema: { type: 'string' }, example: 'orders' },
  aboutApproval: { description: 'Only the events of this approval, what was done with it, and refused attempts to use it or vote on it.', schema: { type: 'string' }, example: 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc' },
  correlationId: { description: 'Only what belongs to this request.', schema: { type: 'string' } },
  follow: { description: '`true`: answer an event stream that goes on with what is recorded, and has no end.', schema: { type: 'string', enum: ['true', 'false'] } },
  explainedEvent: { description: 'The published event.', required: true, schema: { type: 'string' }, example: 'evt-4711' },
  explainedSubscription: { description: 'The subscription, also one that was deleted or purged.', required: true, schema: { type: 'string' }, example: 'orders' },
  ofSubscription: { description: 'Only of this subscription.', schema: { type: 'string' }, example: 'orders' },
  replayTo: { description: 'The last position to fold; where the live read models stand when left out.', schema: { type: 'string', pattern: '^(0|[1-9][0-9]{0,19})$' } },
  asOf: { description: 'When: `revision:<n>`, `position:<p>` or `time:<RFC 3339>`; now when left out.', schema: { type: 'string' }, example: 'revision:2' },
  approvalStatus: { description: 'Only approvals of this status.', schema: { type: 'string', enum: ['PENDING', 'APPROVED', 'CONSUMED', 'DENIED', 'WITHDRAWN', 'REVOKED', 'INVALIDATED', 'EXPIRED'] } },
  recoveryStatus: { description: 'Only recoveries of this status.', schema: { type: 'string', enum: ['RUNNING', 'FINISHED', 'CANCELLED'] } },
  deliveryStatus: { description: 'Only deliveries of this status.', schema: { type: 'string', enum: ['PENDING', 'SCHEDULED', 'DELIVERED', 'DEAD_LETTERED', 'CANCELLED'] } },
} as const satisfies Record<string, Parameter>;

type ParameterName = keyof typeof parameters;

/** Parameters that mean another thing on some routes have another name here. */
const wireNames: Readonly<Partial<Record<ParameterName, string>>> = { aboutApproval: 'approvalId', explainedEvent: 'eventId', explainedSubscription: 'webhookSubscriptionId', ofSubscription: 'webhookSubscriptionId', replayTo: 'to' };

/** `status` means another thing on every list. */
const wireName = (name: ParameterName): string => wireNames[name] ?? (name.endsWith('Status') ? 'status' : name);

const takenBy = 'countersign:parameters';

/** Names the query parameters of a route: any other is refused, and these are documented. */
export const Takes = (...names: readonly ParameterName[]): MethodDecorator => SetMetadata(takenBy, names);

const namesOf = (reflector: Reflector, handler: () => unknown): readonly ParameterName[] => reflector.get<readonly ParameterName[] | undefined>(takenBy, handler) ?? [];

/** The query parameters of a route, as they are documented. */
export const parametersOf = (reflector: Reflector, handler: () => unknown): readonly (Parameter & { readonly name: string })[] =>
  namesOf(reflector, handler).map((name) => ({ ...parameters[name], name: wireName(name) }));

/** Refuses a query parameter that the route does not know, and one that is there twice or not as it should be. */
@Injectable()
export class ParameterGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const names = namesOf(this.reflector, context.getHandler() as () => unknown);
    const query = context.switchToHttp().getRequest<FastifyRequest>().query as Readonly<Record<string, unknown>>;
    const errors = [...Object.entries(query).flatMap(([name, value]) => wrong(names, name, value)), ...missing(names, query)];
    if (errors.length > 0) throw new Problem('validation-failed', 'The query of the URL is not valid.', { errors });
    return true;
  }
}

function wrong(names: readonly ParameterName[], name: string, value: unknown): { path: string; message: string }[] {
  const known = names.find((one) => wireName(one) === name);
  if (known === undefined) return [{ path: name.slice(0, 80), message: `is not a parameter of this path.${didYouMean(name, names.map(wireName))}` }];
  const right = typeof value === 'string' ? notAsItShould(value, parameters[known]) : 'may be given once only';
  return right === undefined ? [] : [{ path: name, message: right }];
}

const missing = (names: readonly ParameterName[], query: Readonly<Record<string, unknown>>): { path: string; message: string }[] =>
  names.filter((name) => 'required' in parameters[name] && (query[wireName(name)] ?? '') === '').map((name) => ({ path: wireName(name), message: `is required. ${parameters[name].description}` }));

function notAsItShould(text: string, { schema }: Parameter): string | undefined {
  if (schema.enum !== undefined) return schema.enum.includes(text) ? undefined : `must be one of ${schema.enum.join(', ')}`;
  if (schema.format === 'date-time') return parseInstant(text) === undefined ? 'must be an RFC 3339 time with an offset, such as 2026-11-03T14:00:00Z (a + stands in a URL as %2B)' : undefined;
  return schema.type === 'integer' ? notWithin(text, schema) : undefined;
}

const notWithin = (text: string, { minimum = 0, maximum = 0 }: Parameter['schema']): string | undefined =>
  /^\d{1,9}$/.test(text) && Number(text) >= minimum && Number(text) <= maximum ? undefined : `must be a whole number from ${minimum} to ${maximum}`;
