import { Field, Fields } from './field.ts';
import { eventType, instant, name, oneOf, whole } from './kinds.ts';

export const recoverableStatuses = ['DEAD_LETTERED', 'SCHEDULED', 'CANCELLED', 'DELIVERED', 'MISSED'] as const;
export const recoveryStatuses = ['RUNNING', 'FINISHED', 'CANCELLED'] as const;

const subscriptionId = { description: 'The id of the webhook subscription.', example: 'orders-receiver' };

/** What is to be sent again. */
export class RecoverPayload {
  @Field(instant, { example: '2026-11-03T14:00:00Z', description: 'Deliveries scheduled, and events published, at or after this time; not in the future.' })
  readonly since!: string;

  @Field(instant, { optional: true, example: '2026-11-03T16:00:00Z', description: 'And before this one; the moment of the command when left out, and not in the future.' })
  readonly until?: string;

  @Fields(oneOf(...recoverableStatuses), {
    optional: true,
    minItems: 1,
    maxItems: recoverableStatuses.length,
    example: ['DEAD_LETTERED', 'MISSED'],
    description: '`DEAD_LETTERED` and `MISSED` when left out. `MISSED`: events that were published while the subscription was paused and that its pattern of then matches. `CANCELLED`: what a deletion cancelled that was undone.',
  })
  readonly status?: readonly (typeof recoverableStatuses)[number][];

  @Field(whole(1, 10_000), { optional: true, example: 100, description: 'How many are sent again in a second, on average; 100 when left out, 10,000 at most.' })
  readonly ratePerSecond?: number;
}

export class RecoverWebhookDeliveriesPayload extends RecoverPayload {
  @Field(name, subscriptionId)
  readonly webhookSubscriptionId!: string;
}

export class CancelWebhookRecoveryPayload {
  @Field(name, { example: 'rec_01jd4x8qk6m0v7h2w9y3z5a1bc' })
  readonly recoveryId!: string;
}

export class TestPayload {
  @Field(eventType, { optional: true, example: 'webhook.test', description: 'The type of the synthetic event, whatever the pattern of the subscription; `webhook.test` when left out.' })
  readonly event?: string;
}

export class TestWebhookSubscriptionPayload extends TestPayload {
  @Field(name, subscriptionId)
  readonly webhookSubscriptionId!: string;
}
