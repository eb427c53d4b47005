import { Field, Fields, Nested } from './field.ts';
import { instant, name, oneOf, string, whole } from './kinds.ts';
import { PrincipalDto } from './principals.ts';
import { recoverableStatuses, recoveryStatuses } from './recovery-commands.ts';
import { ChangeDto } from './webhooks.ts';

const words = string('text', {}, () => true);

/** A job that sends again what a subscription did not get. */
export class RecoveryDto {
  @Field(name, { example: 'rec_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly id!: string;
  @Field(words, { example: 'acme' })
  readonly siteId!: string;
  @Field(name, { example: 'orders-receiver' })
  readonly subscriptionId!: string;
  @Field(oneOf(...recoveryStatuses))
  readonly status!: (typeof recoveryStatuses)[number];
  @Field(instant)
  readonly since!: string;
  @Field(instant)
  readonly until!: string;
  @Fields(oneOf(...recoverableStatuses), { example: ['DEAD_LETTERED', 'MISSED'] })
  readonly statuses!: readonly string[];
  @Field(whole(1, 10_000), { example: 100 })
  readonly ratePerSecond!: number;
  @Field(whole(0), { nullable: true, description: 'How many were selected; null until they are counted.', example: 250 })
  readonly total!: number | null;
  @Field(whole(0), { description: 'How many were sent again, or, of `MISSED`, scheduled. Up to a second old while it runs, or 0.01 % of `total`.', example: 120 })
  readonly recovered!: number;
  @Field(whole(0), { description: 'How many were delivered, on their way or dropped from the history by the time it came to them.', example: 3 })
  readonly skipped!: number;
  @Nested(() => PrincipalDto)
  readonly requestedBy!: PrincipalDto;
  @Field(instant)
  readonly createdAt!: string;
  @Field(instant)
  readonly updatedAt!: string;
  @Field(instant, { nullable: true, example: null })
  readonly finishedAt!: string | null;
  @Field(words, { nullable: true, description: 'Why it ended early, when nobody cancelled it.', example: null })
  readonly detail!: string | null;
}

export class RecoveryChangeDto extends ChangeDto {
  @Nested(() => RecoveryDto, { description: 'As it is now.' })
  readonly recovery!: RecoveryDto;
}

/** A test on its way. */
export class TestAnswerDto extends ChangeDto {
  @Field(name, { description: 'Of the delivery; it appears in the lists a moment later.', example: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly deliveryId!: string;
  @Field(name, { description: 'Of the synthetic event, which no other subscription gets.', example: 'evt_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly eventId!: string;
}
