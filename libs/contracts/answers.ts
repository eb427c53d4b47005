import { type Dto, Field, Fields, Nested, NestedList } from './field.ts';
import { eventId, eventType, flag, headers, instant, type JsonSchema, json, jsonObject, name, number, oneOf, position, resourceId, string, whole } from './kinds.ts';
import { gateableCommands } from './commands.ts';
import { PrincipalDto } from './principals.ts';
import { ProblemDto, UnmetDto } from './problem-answers.ts';
import { CoordinationDto, ProcessDto, UnownedDto } from './processes.ts';

const words = string('text', {}, () => true);
const dlv = { example: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc' };
const whs = { example: 'orders-receiver' };
const site = { example: 'acme' };

/** What a command came to. */
export class CommandAnswerDto {
  @Field(words, { description: 'The same key in the same site is the same command, for ever.', example: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e' })
  readonly commandId!: string;
  @Field(words, { example: 'UpsertWebhookSubscription' })
  readonly commandType!: string;
  @Field(words, whs)
  readonly resourceId!: string;
  @Field(oneOf('APPLIED', 'NO_CHANGE'))
  readonly outcome!: 'APPLIED' | 'NO_CHANGE';
  @Field(whole(0), { description: 'How many state-changing events the resource has had.', example: 1 })
  readonly revision!: number;
  @Field(position, { description: 'Where it stands in the log; take it for `waitFor`.', example: '4711' })
  readonly position!: string;
  @Field(flag, { description: 'The command had taken effect before; this is its answer again, without the secret.' })
  readonly replayed!: boolean;
  @Field(jsonObject, { description: 'What the command type answers; a secret it made stands in `secret`, once.' })
  readonly result!: object;
}

export class PlannedEventDto {
  @Field(words, { example: 'WebhookSubscriptionPaused' })
  readonly type!: string;
  @Field(jsonObject)
  readonly data!: object;
}

/** What a command would do. */
export class DryRunDto {
  @Field(words)
  readonly commandId!: string;
  @Field(words)
  readonly commandType!: string;
  @Field(words)
  readonly resourceId!: string;
  @Field(oneOf('APPLIED', 'NO_CHANGE', 'REFUSED'))
  readonly outcome!: 'APPLIED' | 'NO_CHANGE' | 'REFUSED';
  @NestedList(() => PlannedEventDto, { description: 'The events it would write.' })
  readonly events!: readonly PlannedEventDto[];
  @NestedList(() => UnmetDto, { description: 'Every condition that stands against it.' })
  readonly unmet!: readonly UnmetDto[];
}

/** A command that took effect or was a no-op. */
export class CommandRecordDto {
  @Field(words)
  readonly commandId!: string;
  @Field(words)
  readonly commandType!: string;
  @Field(words)
  readonly resourceId!: string;
  @Field(words, site)
  readonly siteId!: string;
  @Field(oneOf('APPLIED', 'NO_CHANGE'))
  readonly outcome!: 'APPLIED' | 'NO_CHANGE';
  @Field(whole(0))
  readonly revision!: number;
  @Field(position)
  readonly position!: string;
  @Nested(() => PrincipalDto)
  readonly actor!: PrincipalDto;
  @Field(words, { nullable: true })
  readonly approvalId!: string | null;
  @Field(instant)
  readonly recordedAt!: string;
  @Field(jsonObject, { description: 'The answer without secrets.' })
  readonly result!: object;
}

export class PublishedItemDto {
  @Field(eventId, { nullable: true, description: 'Null when a refused item named none.' })
  readonly eventId!: string | null;
  @Field(oneOf('ACCEPTED', 'DUPLICATE', 'REFUSED'))
  readonly status!: 'ACCEPTED' | 'DUPLICATE' | 'REFUSED';
  @Field(position, { nullable: true })
  readonly position!: string | null;
  @Field(flag, { optional: true, description: 'False where the event id was made here: sending it again publishes another event.' })
  readonly idempotent?: boolean;
  @Nested(() => ProblemDto, { optional: true, description: 'Why it was refused.' })
  readonly problem?: ProblemDto;
}

export class PublishAnswerDto {
  @NestedList(() => PublishedItemDto)
  readonly items!: readonly PublishedItemDto[];
}

/** One event on its way to one subscription. */
export class DeliveryDto {
  @Field(name, dlv)
  readonly id!: string;
  @Field(name, whs)
  readonly subscriptionId!: string;
  @Field(eventId)
  readonly eventId!: string;
  @Field(eventType)
  readonly eventType!: string;
  @Field(oneOf('PENDING', 'SCHEDULED', 'DELIVERED', 'DEAD_LETTERED', 'CANCELLED'))
  readonly status!: string;
  @Field(words, { nullable: true, description: 'Why it was dead-lettered.' })
  readonly reason!: string | null;
  @Field(whole(0))
  readonly attempts!: number;
  @Field(instant, { nullable: true })
  readonly nextAttemptAt!: string | null;
  @Field(instant)
  readonly createdAt!: string;
  @Field(instant)
  readonly updatedAt!: string;
}

export class SentRequestDto {
  @Field(words, { example: 'POST' })
  readonly method!: string;
  @Field(words, { example: 'https://hooks.example.com/orders' })
  readonly url!: string;
  @Field(headers, { description: 'All headers as sent; values of custom ones are `[redacted]`.', example: { 'content-type': 'application/json', 'webhook-id': 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc' } })
  readonly headers!: object;
  @Field(words, { nullable: true, description: 'As sent; null when the event it was made of is gone.' })
  readonly body!: string | null;
}

export class ReceivedResponseDto {
  @Field(whole(100, 599), { example: 200 })
  readonly status!: number;
  @Field(headers, { example: { 'content-type': 'text/plain' } })
  readonly headers!: object;
  @Field(words)
  readonly body!: string;
  @Field(flag, { description: 'The body was longer than what is kept.' })
  readonly truncated!: boolean;
}

/** Milliseconds. The first three are null when a kept-alive connection was used or there was no such step. */
export class TimingsDto {
  @Field(number, { nullable: true, example: 0.4 })
  readonly dnsMs!: number | null;
  @Field(number, { nullable: true, example: 1.1 })
  readonly connectMs!: number | null;
  @Field(number, { nullable: true, example: 8.3 })
  readonly tlsMs!: number | null;
  @Field(number, { nullable: true, example: 41.7, description: 'From the start to the first byte of the answer; null when none came.' })
  readonly firstByteMs!: number | null;
  @Field(number, { example: 42.3 })
  readonly totalMs!: number;
}

/** One signed request: what was sent, what came back. */
export class ExchangeDto {
  @Field(instant)
  readonly startedAt!: string;
  @Field(number, { example: 42.3 })
  readonly durationMs!: number;
  @Nested(() => SentRequestDto)
  readonly request!: SentRequestDto;
  @Nested(() => ReceivedResponseDto, { nullable: true, description: 'Null when no answer came: then `error` says why.' })
  readonly response!: ReceivedResponseDto | null;
  @Field(words, { nullable: true, description: 'A code of a closed list when no answer came, such as `connect-refused`.', example: null })
  readonly error!: string | null;
  @Nested(() => TimingsDto)
  readonly timings!: TimingsDto;
  @Field(words, { nullable: true, description: 'The IP address that was dialled; null when no connection stood.', example: '203.0.113.7' })
  readonly remoteAddress!: string | null;
}

export class DecisionDto {
  @Field(oneOf('DELIVERED', 'SCHEDULED', 'DEAD_LETTERED'))
  readonly next!: string;
  @Field(words, { example: 'status 200' })
  readonly why!: string;
  @Field(instant, { nullable: true, description: 'With `SCHEDULED` only.', example: null })
  readonly nextAttemptAt!: string | null;
}

/** One attempt: what was sent, what came back, what was decided. */
export class TranscriptDto extends ExchangeDto {
  @Field(whole(1))
  readonly attempt!: number;
  @Nested(() => DecisionDto, { description: 'What was decided next, and why.' })
  readonly decision!: DecisionDto;
  @Field(whole(0), { description: 'Of the subscription as it was used.', example: 1 })
  readonly subscriptionRevision!: number;
  @Fields(words, { description: 'The secrets that signed it.', example: ['a4c1c3b0-6f0e-4b52-9d5e-4f1f0a3b7c21'] })
  readonly secretVersionIds!: readonly string[];
}

export class DeliveryDetailDto extends DeliveryDto {
  @NestedList(() => TranscriptDto)
  readonly transcripts!: readonly TranscriptDto[];
}

/** A published event and its deliveries. */
export class EventDto {
  @Field(eventId)
  readonly eventId!: string;
  @Field(eventType)
  readonly type!: string;
  @Field(words, site)
  readonly siteId!: string;
  @Field(instant, { nullable: true, description: 'As the publisher said.' })
  readonly occurredAt!: string | null;
  @Field(instant)
  readonly recordedAt!: string;
  @Field(position)
  readonly position!: string;
  @Field(flag, { description: 'Countersign itself published it.' })
  readonly operational!: boolean;
  @Field(json, { description: 'The publisher’s JSON text, byte for byte.' })
  readonly data!: unknown;
  @NestedList(() => DeliveryDto)
  readonly deliveries!: readonly DeliveryDto[];
}

export class PolicyDto {
  @Field(oneOf(...gateableCommands))
  readonly commandType!: string;
  @Field(words, site)
  readonly siteId!: string;
  @Field(flag)
  readonly required!: boolean;
  @Field(whole(1))
  readonly minApprovals!: number;
  @NestedList(() => PrincipalDto, { nullable: true })
  readonly approvers!: readonly PrincipalDto[] | null;
  @Field(oneOf('RESOURCE', 'PAYLOAD'))
  readonly binding!: string;
  @Field(whole(0))
  readonly minTtlSeconds!: number;
  @Field(whole(0))
  readonly maxTtlSeconds!: number;
  @Field(oneOf('reminder', 'closesDecision'))
  readonly dueOnMode!: string;
  @Field(oneOf('REQUESTER', 'ANYONE'))
  readonly executor!: string;
  @Field(oneOf('BOUND', 'ASSERTED'))
  readonly voters!: string;
  @Field(whole(0), { description: 'How often it was set; 0: the default holds.' })
  readonly revision!: number;
}

export class VoteDto {
  @Nested(() => PrincipalDto)
  readonly voter!: PrincipalDto;
  @Field(words)
  readonly keyId!: string;
  @Field(flag, { description: 'The voter was named by a trusted front end, not by a key of their own.' })
  readonly asserted!: boolean;
}

/** Other people’s permission for one command on one resource. */
export class ApprovalDto {
  @Field(name, { example: 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly id!: string;
  @Field(words, site)
  readonly siteId!: string;
  @Field(oneOf('PENDING', 'APPROVED', 'CONSUMED', 'DENIED', 'WITHDRAWN', 'REVOKED', 'INVALIDATED', 'EXPIRED'))
  readonly status!: string;
  @Field(flag, { description: 'The decision was wanted by now and is still open.' })
  readonly overdue!: boolean;
  @Field(oneOf(...gateableCommands))
  readonly commandType!: string;
  @Field(resourceId, whs)
  readonly resourceId!: string;
  @Field(oneOf('RESOURCE', 'PAYLOAD'))
  readonly binding!: string;
  @Field(jsonObject, { nullable: true, description: 'What would be changed, without secrets.' })
  readonly payload!: object | null;
  @Nested(() => PrincipalDto)
  readonly requester!: PrincipalDto;
  @NestedList(() => PrincipalDto)
  readonly onBehalfOf!: readonly PrincipalDto[];
  @NestedList(() => PrincipalDto, { description: 'Who may not vote: everybody who asked, or for whom it was asked.' })
  readonly chain!: readonly PrincipalDto[];
  @NestedList(() => PrincipalDto, { description: 'Who may vote, as of the request.' })
  readonly eligible!: readonly PrincipalDto[];
  @Field(words, { nullable: true })
  readonly reason!: string | null;
  @Field(instant, { nullable: true })
  readonly dueOn!: string | null;
  @Field(instant)
  readonly expiresOn!: string;
  @Field(whole(1))
  readonly minApprovals!: number;
  @NestedList(() => VoteDto)
  readonly votes!: readonly VoteDto[];
  @Field(words, { nullable: true, description: 'The command that used it.' })
  readonly usedBy!: string | null;
  @Field(whole(0), { description: 'What `GrantApproval` expects: what was shown is what is granted.' })
  readonly revision!: number;
  @Field(instant)
  readonly requestedAt!: string;
}

export class KeyDto {
  @Field(name, { example: 'key_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly id!: string;
  @Field(words, { ...site, description: 'Where it is recorded; what it may do is in its scopes.' })
  readonly siteId!: string;
  @Field(words)
  readonly name!: string;
  @Fields(words, { example: ['site:acme:write'] })
  readonly scopes!: readonly string[];
  @Nested(() => PrincipalDto, { nullable: true })
  readonly actor!: PrincipalDto | null;
  @Field(flag)
  readonly anyActor!: boolean;
  @Nested(() => PrincipalDto, { nullable: true })
  readonly defaultActor!: PrincipalDto | null;
  @Nested(() => PrincipalDto, { nullable: true })
  readonly owner!: PrincipalDto | null;
  @Field(oneOf('ACTIVE', 'EXPIRED', 'REVOKED'))
  readonly status!: string;
  @Field(instant, { nullable: true })
  readonly expiresOn!: string | null;
  @Field(instant)
  readonly createdAt!: string;
  @Field(instant, { nullable: true })
  readonly revokedAt!: string | null;
}

export class WhoAmIDto {
  @Field(words, { example: 'root' })
  readonly keyId!: string;
  @Field(words)
  readonly name!: string;
  @Nested(() => PrincipalDto, { nullable: true, description: 'The one actor the key speaks for; null: any.' })
  readonly actor!: PrincipalDto | null;
  @Field(flag)
  readonly anyActor!: boolean;
  @Nested(() => PrincipalDto, { nullable: true })
  readonly defaultActor!: PrincipalDto | null;
  @Nested(() => PrincipalDto, { nullable: true })
  readonly owner!: PrincipalDto | null;
  @Fields(words)
  readonly scopes!: readonly string[];
  @Field(words, { nullable: true, description: 'The one site of the key: requests may leave `siteId` out.' })
  readonly siteId!: string | null;
  @Field(instant, { nullable: true })
  readonly expiresOn!: string | null;
}

export class PoisonDto {
  @Field(position)
  readonly position!: string;
  @Field(words)
  readonly eventId!: string;
  @Field(words)
  readonly error!: string;
}

export class ProjectionDto {
  @Field(words)
  readonly name!: string;
  @Field(oneOf('RUNNING', 'REBUILDING', 'STOPPED'))
  readonly state!: string;
  @Field(position)
  readonly position!: string;
  @Field(number, { description: 'Milliseconds since it last stood at the head.' })
  readonly behindMs!: number;
  @Nested(() => PoisonDto, { nullable: true, description: 'The event it stopped at.' })
  readonly poison!: PoisonDto | null;
}

export class StatusDto {
  @Field(oneOf('READY', 'NOT_READY'), { description: 'Of the process that answers, as the members up to `roles`.' })
  readonly status!: string;
  @Fields(words, { description: 'What stands against its being ready, in words; empty when it is.', example: [] })
  readonly because!: readonly string[];
  @Field(words)
  readonly version!: string;
  @Field(instant)
  readonly startedAt!: string;
  @Fields(words, { example: ['api', 'sagas', 'dispatcher'] })
  readonly roles!: readonly string[];
  @Field(position, { nullable: true, description: 'The head of the log; null when the store does not answer.' })
  readonly position!: string | null;
  @Field(position, { nullable: true, description: 'Deliveries of what was published up to here are scheduled; null when no process is known to schedule them.' })
  readonly scheduledUpTo!: string | null;
  @Field(whole(0), { nullable: true, description: 'Deliveries of all sites that are neither delivered nor dead-lettered; null for keys without the scope `admin`.' })
  readonly openDeliveries!: number | null;
  @Nested(() => CoordinationDto, { nullable: true, description: 'How the work is divided among processes; null for keys without the scope `admin`.' })
  readonly coordination!: CoordinationDto | null;
  @NestedList(() => ProcessDto, { nullable: true, description: 'The process that answers first, then the others as they were last heard of; null for keys without the scope `admin`.' })
  readonly processes!: readonly ProcessDto[] | null;
  @Nested(() => UnownedDto, { nullable: true, description: 'Work that none of the processes does; null for keys without the scope `admin`, and while not all of the processes are known.' })
  readonly unowned!: UnownedDto | null;
  @NestedList(() => ProjectionDto, { description: 'The read models of the process that answers: every process has its own.' })
  readonly projections!: readonly ProjectionDto[];
}

export class HealthDto {
  @Field(oneOf('ok'))
  readonly status!: 'ok';
}

/** One page of a list. */
export const pageSchema = (item: Dto): JsonSchema => ({
  type: 'object',
  required: ['items', 'nextCursor'],
  properties: {
    items: { type: 'array', items: refTo(item) },
    nextCursor: { type: ['string', 'null'], description: 'Give it as `cursor` to go on; null at the end.' },
  },
});

/** A reference to the schema of a class in the OpenAPI document. */
export const refTo = (dto: Dto): JsonSchema => ({ $ref: `#/components/schemas/${schemaName(dto)}` });

/** The name of a class in the OpenAPI document. */
export const schemaName = (dto: Dto): string => dto.name.replace(/Dto$/, '');
