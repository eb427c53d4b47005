import { Field, Fields, Nested, NestedList } from './field.ts';
import { flag, instant, json, oneOf, position, string, whole } from './kinds.ts';
import { PrincipalDto } from './principals.ts';

const words = string('text', {}, () => true);
const apr = { example: 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc' };
const dlv = { example: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc' };
const uuid = { example: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e' };

export const storyKinds = ['COMMAND', 'APPROVAL', 'DELIVERY', 'EVENT', 'SUBSCRIPTION', 'RECOVERY', 'KEY'] as const;

export class StoryEntryDto {
  @Field(position, { example: '4711' })
  readonly position!: string;
  @Field(instant)
  readonly at!: string;
  @Field(oneOf('REQUEST', 'VOTE', 'DECISION', 'COMMAND', 'CHANGE', 'EVENT', 'DELIVERY', 'ATTEMPT', 'REFUSAL'))
  readonly kind!: string;
  @Field(words, { description: 'Of the event in the log.', example: 'ApprovalVoteCast' })
  readonly type!: string;
  @Nested(() => PrincipalDto, { nullable: true })
  readonly actor!: PrincipalDto | null;
  @Field(words, { description: 'One plain sentence.', example: 'USER:kim voted to grant it: "as agreed".' })
  readonly text!: string;
  @Field(words, { example: 'orders' })
  readonly resourceId!: string;
  @Field(words, { ...uuid, nullable: true })
  readonly commandId!: string | null;
  @Field(words, { ...apr, nullable: true })
  readonly approvalId!: string | null;
  @Field(words, { ...dlv, nullable: true })
  readonly deliveryId!: string | null;
  @Field(json, { description: 'Of the event; null for what a publisher sent, which `GET /api/events/{eventId}` answers.' })
  readonly data!: unknown;
}

export class SignatureDto {
  @Field(words, { ...uuid, description: 'Of the secret: its name, not the secret.' })
  readonly secretVersionId!: string;
  @Field(oneOf('CURRENT', 'GRACE', 'RETIRED'), { description: 'Now. `GRACE`: it still signs beside the next.' })
  readonly kind!: string;
  @Field(instant, { description: 'It signs from then on.' })
  readonly from!: string;
  @Field(instant, { nullable: true, description: 'The end of its grace window; null while it is current.' })
  readonly until!: string | null;
  @Field(whole(0), { description: 'Requests that were signed with it.' })
  readonly attempts!: number;
  @Field(whole(0), { description: 'Deliveries of which a request was signed with it.' })
  readonly deliveries!: number;
  @Fields(words, { maxItems: 100, description: 'At most 100 of them.', example: [dlv.example] })
  readonly deliveryIds!: readonly string[];
}

/** Everything about one thing, in the order of the log. */
export class StoryDto {
  @Field(words, { ...uuid })
  readonly id!: string;
  @Field(oneOf(...storyKinds))
  readonly kind!: (typeof storyKinds)[number];
  @NestedList(() => StoryEntryDto, { maxItems: 1_000 })
  readonly entries!: readonly StoryEntryDto[];
  @NestedList(() => SignatureDto, { description: 'Which deliveries were signed with which version of the secret.' })
  readonly signatures!: readonly SignatureDto[];
  @Field(flag, { description: 'Something was left out: entries beyond 1,000, or attempts beyond the latest 20,000 deliveries.' })
  readonly truncated!: boolean;
}
