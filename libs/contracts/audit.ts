import { Field, Nested, NestedList } from './field.ts';
import { instant, json, jsonObject, oneOf, position, string, whole } from './kinds.ts';
import { PrincipalDto } from './principals.ts';

const words = string('text', {}, () => true);
const uuid = { example: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e' };
const apr = { example: 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc' };
const rotate = { example: 'RotateWebhookSubscriptionSecret' };

/** An event of a site's record. */
export class AuditEventDto {
  @Field(position, { example: '4711' })
  readonly position!: string;
  @Field(words, { example: 'webhooksubscription-acme.production.orders' })
  readonly stream!: string;
  @Field(whole(0), { description: 'Within its stream, from 0. Receipts count here, unlike in the revision of a resource.', example: 7 })
  readonly revision!: number;
  @Field(words, { ...uuid, description: 'Of the record, not of a published event: that is `resourceId`.' })
  readonly eventId!: string;
  @Field(words, { example: 'WebhookSubscriptionSecretRotated' })
  readonly type!: string;
  @Field(instant, { description: 'When it was decided, by the server’s clock.' })
  readonly recordedAt!: string;
  @Nested(() => PrincipalDto, { nullable: true, description: 'Who did it, as authenticated; `SYSTEM` where nobody did.' })
  readonly actor!: PrincipalDto | null;
  @NestedList(() => PrincipalDto)
  readonly onBehalfOf!: readonly PrincipalDto[];
  @Field(words, { ...uuid, nullable: true })
  readonly commandId!: string | null;
  @Field(words, { ...rotate, nullable: true })
  readonly commandType!: string | null;
  @Field(words, { example: 'orders', description: 'Whose event it is; of a refusal, what was to be changed.' })
  readonly resourceId!: string;
  @Field(words, { ...apr, nullable: true, description: 'The approval it is about, was done with, or used up.' })
  readonly approvalId!: string | null;
  @Field(words, { nullable: true })
  readonly correlationId!: string | null;
  @Field(words, { nullable: true, description: 'The event that caused it.' })
  readonly causationId!: string | null;
  @Field(json, { description: 'What stands in the log; what a publisher sent, byte for byte. Secrets never stand there; the hash of an API key is `[withheld]`.', example: { previous: null } })
  readonly data!: unknown;
}

/** A refused attempt at a gated command or a vote. */
export class RefusalDto {
  @Field(position, { example: '4711' })
  readonly position!: string;
  @Field(instant)
  readonly at!: string;
  @Nested(() => PrincipalDto, { nullable: true, description: 'Who tried it, as authenticated. Of `actor-not-allowed`: for whom the key speaks; null when it has no actor of its own.' })
  readonly actor!: PrincipalDto | null;
  @Field(words, { example: 'key_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly keyId!: string;
  @Field(words, rotate)
  readonly commandType!: string;
  @Field(words, { example: 'orders', nullable: true, description: 'Null when the command did not name it.' })
  readonly resourceId!: string | null;
  @Field(words, { example: 'approver-conflict', description: 'The slug of the problem that was answered.' })
  readonly code!: string;
  @Field(words)
  readonly detail!: string;
  @Field(words)
  readonly correlationId!: string;
  @Field(whole(0), { description: 'How many more refusals of the same key in this site came right before it and are not recorded each, because they were too many.', example: 0 })
  readonly suppressed!: number;
}

const resourceKinds = ['SUBSCRIPTION', 'DELIVERY', 'APPROVAL', 'APPROVAL_POLICY', 'API_KEY', 'RECOVERY', 'EVENT'] as const;
export type ResourceKind = (typeof resourceKinds)[number];

/** A resource as it was. */
export class PastStateDto {
  @Field(words, { example: 'orders' })
  readonly resourceId!: string;
  @Field(oneOf(...resourceKinds))
  readonly kind!: ResourceKind;
  @Field(words, { nullable: true, example: 'revision:2', description: 'As it was given; null: now.' })
  readonly asOf!: string | null;
  @Field(whole(0), { description: 'How many state-changing events the resource had had.', example: 2 })
  readonly revision!: number;
  @Field(position, { nullable: true, description: 'Where the last of them stands.', example: '4711' })
  readonly position!: string | null;
  @Field(instant, { nullable: true, description: 'When it was recorded.' })
  readonly at!: string | null;
  @Field(jsonObject, { nullable: true, description: 'Null: it did not exist then, or not any more. Else as `GET` of the resource would have answered, without what is derived from other resources.' })
  readonly state!: object | null;
}
