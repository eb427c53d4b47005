import type { Labels } from '#kernel';
import { type Dto, Field, Fields, Nested, NestedList } from './field.ts';
import { eventId, eventPattern, eventType, filter, flag, instant, json, jsonObject, labels, name, oneOf, ownHeaders, resourceId, retrySchedule, scope, signingSecretRef, text, webUrl, whole } from './kinds.ts';
import { limits } from './limits.ts';
import { PrincipalDto } from './principals.ts';
import { CancelWebhookRecoveryPayload, RecoverWebhookDeliveriesPayload, TestWebhookSubscriptionPayload } from './recovery-commands.ts';

export const deliveryModes = ['AT_LEAST_ONCE', 'ORDERED', 'BEST_EFFORT'] as const;

/** The commands a policy may gate. */
export const gateableCommands = [
  'UpsertWebhookSubscription',
  'PauseWebhookSubscription',
  'ResumeWebhookSubscription',
  'DeleteWebhookSubscription',
  'RestoreWebhookSubscription',
  'RotateWebhookSubscriptionSecret',
  'ReplayWebhookDelivery',
  'SetApprovalPolicy',
] as const;

const subscriptionId = { description: 'The id of the webhook subscription.', example: 'orders-receiver' };
/** What is said of `timeoutMs` wherever it stands. */
export const timeout = { example: 5_000, description: 'How long one request may take as a whole, in milliseconds: name, connection, TLS, headers and body. 1000 to 30000.' };
/** What is said of `filter` wherever it stands. */
export const filtered = { example: 'data.amount >= 100 && data.currency in ["EUR", "CHF"]', description: 'Which of the matching events the receiver wants: an expression of the Common Expression Language (https://cel.dev) about `data`, the data of the event. An event for which it is not true, or cannot be told, is not sent. At most 1000 characters and, for one event, 100000 steps. It can do: fields and indexes, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `&&`, `||`, `!`, `has()`, `size()`, `startsWith()`, `endsWith()`, `contains()`, `exists()` and `all()`.' };
/** What is said of `retrySchedule` wherever it stands. */
export const retries = 'The pause before each attempt, the first at once (`0s`): 1 to 30 attempts, at most 7 days (`7d`) between two; units `ms`, `s`, `m`, `h`, `d`. Each is spread by up to 20 % to both sides; `BEST_EFFORT` does not use it.';
/** What is said of `rateLimit` wherever it stands. */
export const rate = { example: 10, description: 'Requests to the receiver in a second, retries among them: evenly spaced, in any 10 seconds no more than 5 % above it. 1 to 1000.' };
/** What is said of `labels` wherever they stand. */
export const labelled = { example: { team: 'orders' }, description: 'What your people call it by; Countersign makes nothing of it. At most 20: names of 1 to 63 characters of a-z, 0-9, `_`, `.` and `-`, values of 1 to 255 visible ASCII characters.' };
/** What is said of `headers` wherever a request has them. */
export const ownHeadersAbout = {
  example: { 'X-Api-Key': 'at-the-gate-of-the-receiver' },
  description:
    'Headers that every request to the receiver has too, beside those of Countersign. Their values are secrets: sealed, sent, and shown nowhere, not in answers, transcripts or the log. At most 20, names and values together at most 4096 bytes. Names of 1 to 128 letters, digits and ``!#$%&\'*+-.^_`|~``, without regard to capitals; reserved are `host`, `connection`, `content-length`, `transfer-encoding`, `te`, `trailer`, `upgrade`, `expect`, `keep-alive`, `content-type`, `accept-encoding`, `user-agent`, `cookie`, `forwarded`, `via`, `webhook-*`, `roost-*`, `proxy-*`, `x-forwarded-*` and what the metadata services of clouds ask for. Values of visible Latin-1 characters, with blanks and tabs only between them; `[redacted]` means the value that is there.',
};
const year = 366 * 24 * 60 * 60;

export class UpsertWebhookSubscriptionPayload {
  @Field(name, { ...subscriptionId, optional: true, description: 'Generated when left out.' })
  readonly webhookSubscriptionId?: string;

  @Field(eventPattern, { example: 'version.*,claim.**', description: 'Which events the receiver wants.' })
  readonly eventPattern!: string;

  @Field(webUrl, { example: 'https://hooks.example.com/orders' })
  readonly targetUrl!: string;

  @Field(signingSecretRef, { example: 'managed', description: 'Where the signing secret comes from. `managed`: it is generated and shown once.' })
  readonly signingSecretRef!: string;

  @Field(filter, { ...filtered, optional: true, nullable: true, description: `${filtered.description} All of them when left out or null.` })
  readonly filter?: string | null;

  @Field(oneOf(...deliveryModes), { example: 'AT_LEAST_ONCE' })
  readonly deliveryMode!: (typeof deliveryModes)[number];

  @Field(oneOf('ACTIVE', 'PAUSED'), { example: 'ACTIVE' })
  readonly status!: 'ACTIVE' | 'PAUSED';

  @Field(text(1_000), { optional: true, nullable: true })
  readonly description?: string | null;

  @Field(whole(limits.leastTimeoutMs, limits.timeoutMs), { ...timeout, optional: true, nullable: true, description: `${timeout.description} 15000 when left out or null.` })
  readonly timeoutMs?: number | null;

  @Field(retrySchedule, { optional: true, nullable: true, example: '0s,5s,5m', description: `${retries} The server’s (\`KF_RETRY_SCHEDULE\`) when left out or null.` })
  readonly retrySchedule?: string | null;

  @Field(whole(1, limits.rateLimit), { ...rate, optional: true, nullable: true, description: `${rate.description} As many as can be when left out or null.` })
  readonly rateLimit?: number | null;

  @Field(labels, { ...labelled, optional: true, nullable: true })
  readonly labels?: Labels | null;

  @Field(ownHeaders, { ...ownHeadersAbout, optional: true, nullable: true })
  readonly headers?: Readonly<Record<string, string>> | null;
}

export class SubscriptionPayload {
  @Field(name, subscriptionId)
  readonly webhookSubscriptionId!: string;
}

export class RotateWebhookSubscriptionSecretPayload extends SubscriptionPayload {
  @Field(whole(0, limits.graceSeconds), { optional: true, example: 86_400, description: 'How long the old secret still signs beside the new one.' })
  readonly graceSeconds?: number;

  @Field(signingSecretRef, { optional: true, description: 'The new secret; `managed` when left out.' })
  readonly signingSecretRef?: string;
}

export class ReplayWebhookDeliveryPayload {
  @Field(name, { example: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly webhookDeliveryId!: string;

  @Field(flag, { optional: true, description: 'Start the retry schedule again.' })
  readonly resetAttempts?: boolean;

  @Field(flag, { optional: true, description: 'Also replay what was delivered already.' })
  readonly includeDelivered?: boolean;
}

export class RequestApprovalPayload {
  @Field(oneOf(...gateableCommands), { example: 'RotateWebhookSubscriptionSecret' })
  readonly commandType!: (typeof gateableCommands)[number];

  @Field(resourceId, { example: 'orders-receiver' })
  readonly resourceId!: string;

  @Field(instant, { example: '2026-11-03T14:00:00Z', description: 'The hard end for deciding and using.' })
  readonly expiresOn!: string;

  @Field(instant, { optional: true, example: '2026-11-02T14:00:00Z', description: 'When the decision is wanted.' })
  readonly dueOn?: string;

  @Field(text(1_000), { optional: true, nullable: true })
  readonly reason?: string | null;

  @Field(jsonObject, { optional: true, description: 'The payload of the command that is asked for; required where the policy binds the payload.' })
  readonly payload?: object;
}

const approvalId = { example: 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc' };

/** Of `GrantApproval` and `WithdrawApproval`. */
export class ApprovalPayload {
  @Field(name, approvalId)
  readonly approvalId!: string;

  @Field(text(1_000), { optional: true, nullable: true })
  readonly reason?: string | null;
}

/** Of `DenyApproval` and `RevokeApproval`: somebody will ask why. */
export class ReasonedApprovalPayload {
  @Field(name, approvalId)
  readonly approvalId!: string;

  @Field(text(1_000))
  readonly reason!: string;
}

export class SetApprovalPolicyPayload {
  @Field(oneOf(...gateableCommands), { example: 'RotateWebhookSubscriptionSecret' })
  readonly commandType!: (typeof gateableCommands)[number];

  @Field(flag)
  readonly required!: boolean;

  @Field(whole(1, 20), { optional: true, example: 1 })
  readonly minApprovals?: number;

  @NestedList(() => PrincipalDto, { optional: true, nullable: true, maxItems: limits.approvers, description: 'Who may vote; null: every USER with a key of their own that has `:approve` for the site.' })
  readonly approvers?: readonly PrincipalDto[] | null;

  @Field(oneOf('RESOURCE', 'PAYLOAD'), { optional: true })
  readonly binding?: 'RESOURCE' | 'PAYLOAD';

  @Field(whole(0, year), { optional: true, description: 'The shortest time an approval may be asked for.' })
  readonly minTtlSeconds?: number;

  @Field(whole(1, year), { optional: true, description: 'The longest time an approval may be asked for.' })
  readonly maxTtlSeconds?: number;

  @Field(oneOf('reminder', 'closesDecision'), { optional: true })
  readonly dueOnMode?: 'reminder' | 'closesDecision';

  @Field(oneOf('REQUESTER', 'ANYONE'), { optional: true })
  readonly executor?: 'REQUESTER' | 'ANYONE';

  @Field(oneOf('BOUND', 'ASSERTED'), { optional: true })
  readonly voters?: 'BOUND' | 'ASSERTED';
}

/** What is published, apart from its `data`, whose JSON text is kept byte for byte. */
export class PublishEventPayload {
  @Field(eventId, { optional: true, example: 'evt-4711', description: 'Of your choice; the same id is accepted once. Generated when left out.' })
  readonly eventId?: string;

  @Field(eventType, { example: 'version.published' })
  readonly type!: string;

  @Field(json, { example: { version: 'v1' }, description: 'Any JSON value of at most 256 KiB; receivers get its text byte for byte.' })
  readonly data!: unknown;

  @Field(instant, { optional: true, example: '2026-11-03T14:00:00Z' })
  readonly occurredAt?: string;
}

export class CreateApiKeyPayload {
  @Field(text(100), { example: 'order service' })
  readonly name!: string;

  @Fields(scope, { minItems: 1, maxItems: 100, example: ['site:acme:write'] })
  readonly scopes!: readonly string[];

  @Nested(() => PrincipalDto, { optional: true, description: 'The one actor the key speaks for. Either this or `anyActor`.' })
  readonly actor?: PrincipalDto;

  @Field(flag, { optional: true, description: 'The key speaks for any actor (for trusted services).' })
  readonly anyActor?: boolean;

  @Nested(() => PrincipalDto, { optional: true, description: 'Who acts when a request with an any-actor key names nobody.' })
  readonly defaultActor?: PrincipalDto;

  @Nested(() => PrincipalDto, { optional: true, description: 'The USER who answers for the key; required for AGENT, CONNECTOR, SERVICE and any-actor keys.' })
  readonly owner?: PrincipalDto;

  @Field(instant, { optional: true })
  readonly expiresOn?: string;
}

export class RevokeApiKeyPayload {
  @Field(name, { example: 'key_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly keyId!: string;
}

/** The payload of every command type: what `POST /api/commands/{commandType}` knows. */
export const commandPayloads = {
  UpsertWebhookSubscription: UpsertWebhookSubscriptionPayload,
  PauseWebhookSubscription: SubscriptionPayload,
  ResumeWebhookSubscription: SubscriptionPayload,
  DeleteWebhookSubscription: SubscriptionPayload,
  RestoreWebhookSubscription: SubscriptionPayload,
  RotateWebhookSubscriptionSecret: RotateWebhookSubscriptionSecretPayload,
  ReplayWebhookDelivery: ReplayWebhookDeliveryPayload,
  RecoverWebhookDeliveries: RecoverWebhookDeliveriesPayload,
  CancelWebhookRecovery: CancelWebhookRecoveryPayload,
  TestWebhookSubscription: TestWebhookSubscriptionPayload,
  RequestApproval: RequestApprovalPayload,
  GrantApproval: ApprovalPayload,
  DenyApproval: ReasonedApprovalPayload,
  WithdrawApproval: ApprovalPayload,
  RevokeApproval: ReasonedApprovalPayload,
  SetApprovalPolicy: SetApprovalPolicyPayload,
  PublishEvent: PublishEventPayload,
  CreateApiKey: CreateApiKeyPayload,
  RevokeApiKey: RevokeApiKeyPayload,
} as const satisfies Record<string, Dto>;

export type CommandType = keyof typeof commandPayloads;

export const isCommandType = (text: string): text is CommandType => Object.hasOwn(commandPayloads, text);
