import { DeliveryDto } from './answers.ts';
import { Field, Fields, Nested, NestedList } from './field.ts';
import { flag, instant, oneOf, position, string, whole } from './kinds.ts';
import { PrincipalDto } from './principals.ts';

const words = string('text', {}, () => true);
const status = oneOf('ACTIVE', 'PAUSED', 'DELETED');
const pattern = { example: 'version.*,claim.**' };

export const explanationCodes = ['delivered', 'pending', 'retry-scheduled', 'dead-lettered', 'cancelled', 'pattern-mismatch', 'filter-mismatch', 'paused', 'created-later', 'deleted', 'purged', 'not-scheduled-yet', 'never-existed'] as const;

export class ExplainedEventDto {
  @Field(words, { example: 'version.published' })
  readonly type!: string;
  @Field(position, { example: '4711' })
  readonly position!: string;
  @Field(instant)
  readonly recordedAt!: string;
}

export class SubscriptionThenDto {
  @Field(status)
  readonly status!: string;
  @Field(words, pattern)
  readonly eventPattern!: string;
  @Field(words, { nullable: true, example: null, description: 'Null: it wanted all matching events.' })
  readonly filter!: string | null;
  @Field(whole(0), { example: 3 })
  readonly revision!: number;
}

export class SubscriptionNowDto {
  @Field(status)
  readonly status!: string;
  @Field(words, pattern)
  readonly eventPattern!: string;
}

export class BecauseDto {
  @Field(words, { example: 'WebhookSubscriptionPaused' })
  readonly type!: string;
  @Field(position, { example: '4690' })
  readonly position!: string;
  @Field(instant)
  readonly at!: string;
  @Nested(() => PrincipalDto, { nullable: true })
  readonly actor!: PrincipalDto | null;
  @Field(words, { nullable: true })
  readonly commandId!: string | null;
}

export class ExplainedAttemptDto {
  @Field(whole(1))
  readonly attempt!: number;
  @Field(instant)
  readonly startedAt!: string;
  @Field(whole(100, 999), { nullable: true, description: 'The HTTP status; null when no answer came.', example: 503 })
  readonly status!: number | null;
  @Field(words, { nullable: true, description: 'The code of the error when no answer came.' })
  readonly error!: string | null;
  @Field(oneOf('DELIVERED', 'SCHEDULED', 'DEAD_LETTERED', 'DUPLICATE'), { description: 'What followed. `DUPLICATE`: another process had recorded the same attempt; nothing.' })
  readonly decision!: string;
}

/** Why an event was, or was not, delivered to a subscription. */
export class ExplanationDto {
  @Field(words, { example: 'evt-4711' })
  readonly eventId!: string;
  @Field(words, { example: 'orders' })
  readonly webhookSubscriptionId!: string;
  @Field(oneOf(...explanationCodes), { example: 'paused' })
  readonly code!: (typeof explanationCodes)[number];
  @Field(flag, { description: 'Whether an attempt ever succeeded.' })
  readonly delivered!: boolean;
  @Field(words, { example: 'Event evt-4711 (version.published, position 4711) was not delivered to orders: the subscription was paused (requested) by USER:sam at position 4690 (2026-11-03T14:00:00.000Z).' })
  readonly sentence!: string;
  @Nested(() => ExplainedEventDto, { nullable: true, description: 'Null: there never was such an event in this site.' })
  readonly event!: ExplainedEventDto | null;
  @Nested(() => SubscriptionThenDto, { nullable: true, description: 'The subscription as it was for the event, which is what decides; null: there was none.' })
  readonly subscription!: SubscriptionThenDto | null;
  @Nested(() => BecauseDto, { nullable: true, description: 'The event of the log that put it there.' })
  readonly because!: BecauseDto | null;
  @Nested(() => SubscriptionNowDto, { nullable: true, description: 'The subscription as it is now; null: there is none (any more).' })
  readonly now!: SubscriptionNowDto | null;
  @Nested(() => DeliveryDto, { nullable: true, description: 'From its own stream, so always current, and there also when lists have dropped it.' })
  readonly delivery!: DeliveryDto | null;
  @NestedList(() => ExplainedAttemptDto)
  readonly attempts!: readonly ExplainedAttemptDto[];
  @Fields(words, { description: 'What else holds, what changed since, and the command that would deliver it after all.', example: ['To have it delivered after all, with everything else missed since: kf webhook recover orders --since 2026-11-03T14:05:00.000Z --status MISSED --site acme'] })
  readonly notes!: readonly string[];
}
