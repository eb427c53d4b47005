import { type Labels, parsePattern } from '#kernel';
import { DeliveryDto } from './answers.ts';
import { deliveryModes, filtered, labelled, ownHeadersAbout, rate, retries, timeout } from './commands.ts';
import { Field, Fields, Nested } from './field.ts';
import { eventPattern, filter, flag, instant, type Kind, labels, name, oneOf, ownHeaders, position, retryPauses, retrySchedules, shownHeaders, signingSecretRef, string, text, webUrl, whole } from './kinds.ts';
import { limits } from './limits.ts';

const words = string('text', {}, () => true);
const url = { example: 'https://hooks.example.com/orders', description: 'Where events are sent. `https` to a public address, unless the server allows more (`KF_ALLOW_HTTP`, `KF_ALLOW_TARGETS`). At most 2048 characters.' };
const mode = { description: '`AT_LEAST_ONCE`: in no order. `ORDERED`: one after another. `BEST_EFFORT`: once, without retries.' };
const schedule = { example: ['0s', '5s', '5m'] };
const approvalId = { optional: true, description: 'The approval to use, where a policy requires one; found by itself when left out. May stand in the query instead.' } as const;

const isPattern = (given: string): boolean => Array.isArray(parsePattern(given));

/** What a receiver wants: its globs as a list, or as one text with commas. */
const events: Kind = {
  right: 'a list of globs such as ["version.*", "claim.**"], or one text of them with commas and without blanks: dotted segments of a-z, 0-9, _ and -, * for one segment, ** for any number; at most 1024 characters in all',
  schema: { oneOf: [{ type: 'array', minItems: 1, items: { type: 'string', pattern: '^([a-z0-9_-]+|\\*\\*?)(\\.([a-z0-9_-]+|\\*\\*?))*$' } }, eventPattern.schema] },
  matches: (value) => (Array.isArray(value) ? value.every((item) => typeof item === 'string' && !item.includes(',')) && isPattern(value.join(',')) : typeof value === 'string' && isPattern(value)),
};

/** A list of a request as the command takes it, one text with commas; anything else as it is. */
export const inOneText = <Other extends string | null | undefined>(given: readonly string[] | Other): string | Other => (typeof given === 'object' && given !== null ? given.join(',') : given);

export class CreateWebhookPayload {
  @Field(webUrl, url)
  readonly url!: string;

  @Field(events, { example: ['version.*', 'claim.**'], description: 'Which events the receiver wants: a list of globs, or one text with commas.' })
  readonly events!: string | readonly string[];

  @Field(filter, { ...filtered, optional: true, nullable: true, description: `${filtered.description} All of them when left out or null.` })
  readonly filter?: string | null;

  @Field(text(1_000), { optional: true, nullable: true, example: 'Orders, production' })
  readonly description?: string | null;

  @Field(oneOf(...deliveryModes), { ...mode, optional: true, description: `${mode.description} \`AT_LEAST_ONCE\` when left out.` })
  readonly deliveryMode?: (typeof deliveryModes)[number];

  @Field(whole(limits.leastTimeoutMs, limits.timeoutMs), { ...timeout, optional: true, nullable: true, description: `${timeout.description} 15000 when left out or null.` })
  readonly timeoutMs?: number | null;

  @Field(retrySchedules, { ...schedule, optional: true, nullable: true, description: `${retries} The server’s (\`KF_RETRY_SCHEDULE\`) when left out or null.` })
  readonly retrySchedule?: string | readonly string[] | null;

  @Field(whole(1, limits.rateLimit), { ...rate, optional: true, nullable: true, description: `${rate.description} As many as can be when left out or null.` })
  readonly rateLimit?: number | null;

  @Field(labels, { ...labelled, optional: true, nullable: true })
  readonly labels?: Labels | null;

  @Field(ownHeaders, { ...ownHeadersAbout, optional: true, nullable: true })
  readonly headers?: Readonly<Record<string, string>> | null;

  @Field(oneOf('ACTIVE', 'PAUSED'), { optional: true, description: '`ACTIVE` when left out.' })
  readonly status?: 'ACTIVE' | 'PAUSED';

  @Field(signingSecretRef, { optional: true, description: 'Where the signing secret comes from. `managed`, which it is when left out: it is generated and shown once.' })
  readonly signingSecretRef?: string;

  @Field(name, approvalId)
  readonly approvalId?: string;
}

/** What may be changed; what is left out stays as it is. */
export class UpdateWebhookPayload {
  @Field(webUrl, { ...url, optional: true })
  readonly url?: string;

  @Field(events, { optional: true, description: 'All of them: what is not in the list is not sent any more.' })
  readonly events?: string | readonly string[];

  @Field(filter, { ...filtered, optional: true, nullable: true, description: `${filtered.description} It holds for events published after the change. Null: all of them again.` })
  readonly filter?: string | null;

  @Field(text(1_000), { optional: true, nullable: true, description: 'Null clears it.' })
  readonly description?: string | null;

  @Field(oneOf(...deliveryModes), { ...mode, optional: true })
  readonly deliveryMode?: (typeof deliveryModes)[number];

  @Field(whole(limits.leastTimeoutMs, limits.timeoutMs), { ...timeout, optional: true, nullable: true, description: `${timeout.description} Null: 15000 again.` })
  readonly timeoutMs?: number | null;

  @Field(retrySchedules, { ...schedule, optional: true, nullable: true, description: `${retries} It holds from the next failure on; what waits already keeps its time. Null: the server’s (\`KF_RETRY_SCHEDULE\`) again.` })
  readonly retrySchedule?: string | readonly string[] | null;

  @Field(whole(1, limits.rateLimit), { ...rate, optional: true, nullable: true, description: `${rate.description} Null: as many as can be again.` })
  readonly rateLimit?: number | null;

  @Field(labels, { ...labelled, optional: true, nullable: true, description: `All of them: what is not among them is taken away. ${labelled.description} Null takes all away.` })
  readonly labels?: Labels | null;

  @Field(ownHeaders, { ...ownHeadersAbout, optional: true, nullable: true, description: `All of them: what is not among them is taken away, and shredded an hour later; null or none of them takes all away. ${ownHeadersAbout.description}` })
  readonly headers?: Readonly<Record<string, string>> | null;

  @Field(oneOf('ACTIVE', 'PAUSED'), { optional: true, description: 'A change of it needs what `PauseWebhookSubscription` or `ResumeWebhookSubscription` needs.' })
  readonly status?: 'ACTIVE' | 'PAUSED';

  @Field(name, approvalId)
  readonly approvalId?: string;
}

/** The body of a change that needs no other words. */
export class ApprovedChangePayload {
  @Field(name, approvalId)
  readonly approvalId?: string;
}

export class RotateSecretPayload extends ApprovedChangePayload {
  @Field(whole(0, limits.graceSeconds), { optional: true, example: 86_400, description: 'How long the old secret still signs beside the new one; 86400, a day, when left out; at most 604800, a week; 0: not at all.' })
  readonly graceSeconds?: number;

  @Field(signingSecretRef, { optional: true, description: 'The new secret; `managed` (generated and shown once) when left out.' })
  readonly signingSecretRef?: string;
}

export class RetryDeliveryPayload extends ApprovedChangePayload {
  @Field(flag, { optional: true, description: 'Start the retry schedule again; otherwise there is one more attempt. `false` when left out.' })
  readonly resetAttempts?: boolean;
}

/** Names the secret that signs; never the secret itself. */
export class SecretNameDto {
  @Field(oneOf('managed', 'env', 'file'))
  readonly kind!: string;
  @Field(words, { example: 'sec_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly versionId!: string;
  @Field(instant, { nullable: true, description: 'Until then the secret before it signs too; null when it does not.', example: null })
  readonly graceUntil!: string | null;
}

/** How a subscription fares, as the read model knows it. */
export class SubscriptionHealthDto {
  @Field(instant, { nullable: true })
  readonly lastSuccessAt!: string | null;
  @Field(whole(0))
  readonly consecutiveFailures!: number;
  @Field(instant, { nullable: true, description: 'When the oldest delivery that is still open was scheduled.', example: null })
  readonly oldestUndeliveredAt!: string | null;
  @Field(whole(0), { description: 'Matching events published in the present pause, or in the last one; a `filter` is not asked.', example: 0 })
  readonly missedWhilePaused!: number;
}

/** What a receiver wants. */
export class SubscriptionDto {
  @Field(name, { example: 'whs_q2mfx7ok3vdapb5jwn4yhs6tce' })
  readonly id!: string;
  @Field(words, { example: 'acme' })
  readonly siteId!: string;
  @Fields(words, { example: ['version.*', 'claim.**'] })
  readonly events!: readonly string[];
  @Field(filter, { nullable: true, example: null, description: 'Which of the matching events the receiver wants, as an expression about `data`. Null: all of them.' })
  readonly filter!: string | null;
  @Field(words, { example: 'https://hooks.example.com/orders' })
  readonly url!: string;
  @Field(words, { nullable: true, example: 'Orders, production' })
  readonly description!: string | null;
  @Field(oneOf(...deliveryModes), mode)
  readonly deliveryMode!: string;
  @Field(whole(limits.leastTimeoutMs, limits.timeoutMs), timeout)
  readonly timeoutMs!: number;
  @Field(retryPauses, { ...schedule, nullable: true, description: 'Each pause in the largest unit in which it is whole. Null: the server’s (`KF_RETRY_SCHEDULE`).' })
  readonly retrySchedule!: readonly string[] | null;
  @Field(whole(1, limits.rateLimit), { ...rate, nullable: true, description: `${rate.description} Null: as many as can be.` })
  readonly rateLimit!: number | null;
  @Field(labels, labelled)
  readonly labels!: Labels;
  @Field(shownHeaders, { example: { 'x-api-key': '[redacted]' }, description: 'The headers of its own that every request has too: their names in lower case, and never a value.' })
  readonly headers!: Readonly<Record<string, string>>;
  @Field(oneOf('ACTIVE', 'PAUSED', 'DELETED'))
  readonly status!: string;
  @Field(words, { nullable: true, description: 'While `PAUSED`: `requested`, `endpoint-gone` (it answered 410) or `sustained-failure`.', example: null })
  readonly pausedReason!: string | null;
  @Nested(() => SecretNameDto)
  readonly secret!: SecretNameDto;
  @Nested(() => SubscriptionHealthDto)
  readonly health!: SubscriptionHealthDto;
  @Field(whole(1), { description: 'The `ETag`, for `If-Match`.', example: 1 })
  readonly revision!: number;
  @Field(instant)
  readonly createdAt!: string;
  @Field(instant)
  readonly updatedAt!: string;
  @Field(instant, { nullable: true, description: 'While `DELETED`: until then it can be restored.', example: null })
  readonly purgeAt!: string | null;
}

/** What every change tells about the command it was. */
export class ChangeDto {
  @Field(words, { description: 'The same key in the same site is the same command, for ever.', example: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e' })
  readonly commandId!: string;
  @Field(oneOf('APPLIED', 'NO_CHANGE'))
  readonly outcome!: 'APPLIED' | 'NO_CHANGE';
  @Field(whole(0), { description: 'Of what was changed, right after the command; a replay answers the same.', example: 1 })
  readonly revision!: number;
  @Field(position, { description: 'Where it stands in the log; take it for `waitFor`.', example: '4711' })
  readonly position!: string;
}

export class SubscriptionChangeDto extends ChangeDto {
  @Nested(() => SubscriptionDto, { description: 'As it is now.' })
  readonly subscription!: SubscriptionDto;
}

export class SecretChangeDto extends SubscriptionChangeDto {
  @Field(words, { nullable: true, description: 'The new secret, in this one answer and never again. Null on a replay, and for a secret of the caller’s own.', example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' })
  readonly secret!: string | null;
}

export class DeliveryChangeDto extends ChangeDto {
  @Nested(() => DeliveryDto, { description: 'As it is now.' })
  readonly delivery!: DeliveryDto;
}
