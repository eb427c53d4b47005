import { Field, Fields, NestedList } from './field.ts';
import { instant, jsonObject, oneOf, string, whole } from './kinds.ts';
import { problems } from './problems.ts';

const words = string('text', {}, () => true);
const approval = { example: 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc' };
const slug = oneOf(...Object.keys(problems));

export class FieldErrorDto {
  @Field(words, { example: 'payload.targetUrl' })
  readonly path!: string;
  @Field(words, { example: 'must be an absolute http or https URL, at most 2048 characters' })
  readonly message!: string;
}

/** One condition that stands against what was asked. */
export class ConditionDto {
  @Field(slug, { description: 'The slug of the problem it would be.', example: 'approval-required' })
  readonly code!: string;
  @Field(words, { example: 'RotateWebhookSubscriptionSecret on orders-receiver needs an approval.' })
  readonly detail!: string;
  @Field(words, { optional: true, description: 'The approval that it is about.' })
  readonly approvalId?: string;
}

/** An approval that might have done, and why it does not. */
export class CandidateDto {
  @Field(words, approval)
  readonly approvalId!: string;
  @Field(words, { example: 'PENDING' })
  readonly status!: string;
  @Field(instant)
  readonly expiresOn!: string;
  @Fields(slug, { example: ['approval-pending'] })
  readonly unmet!: readonly string[];
}

/** What a case adds to a problem. */
export class CaseDto {
  @NestedList(() => FieldErrorDto, { optional: true, description: 'Everything that is wrong with the request, the first hundred of it.' })
  readonly errors?: readonly FieldErrorDto[];
  @Field(words, { optional: true, description: 'The member that is too large.' })
  readonly path?: string;
  @Field(whole(0), { optional: true, description: 'The limit that was passed, in bytes.' })
  readonly limitBytes?: number;
  @Fields(words, { optional: true, description: 'The methods that the path has.' })
  readonly allow?: readonly string[];
  @Fields(words, { optional: true, description: 'The rights of which one would do.' })
  readonly needs?: readonly string[];
  @Field(words, { optional: true, description: 'The setting of the server that would allow it.' })
  readonly setting?: string;
  @Field(words, { optional: true, description: 'Where the log ends.' })
  readonly head?: string;
  @Fields(words, { optional: true, description: 'What is not as it should be, in words.' })
  readonly because?: readonly string[];
  @Field(whole(0), { optional: true, description: 'The revision that the resource has.' })
  readonly revision?: number;
  @Field(instant, { optional: true, description: 'When what was deleted will be purged; until then it can be restored.' })
  readonly purgeAt?: string;
  @Field(words, { optional: true, description: 'The command that used the approval.' })
  readonly commandId?: string;
  @Field(words, { optional: true, description: 'The approval that it is about.' })
  readonly approvalId?: string;
  @Field(words, { optional: true, description: 'What the approval is now.' })
  readonly approvalStatus?: string;
  @Field(words, { optional: true, description: 'The command that used the approval.' })
  readonly usedBy?: string;
  @Field(words, { optional: true, description: 'Digest of the payload that was approved.' })
  readonly approvedDigest?: string;
  @Field(words, { optional: true, description: 'Digest of the payload that was sent.' })
  readonly presentedDigest?: string;
  @NestedList(() => ConditionDto, { optional: true, description: 'All conditions that stand against it.' })
  readonly unmet?: readonly ConditionDto[];
  @NestedList(() => CandidateDto, { optional: true, description: 'Approvals that might have done.' })
  readonly candidates?: readonly CandidateDto[];
  @Field(jsonObject, { optional: true, description: 'A body that `POST /api/commands/RequestApproval` takes as it is.' })
  readonly approvalRequest?: object;
  @Field(whole(1), { optional: true, description: 'How many approvals the policy asks for.' })
  readonly needed?: number;
  @Field(whole(0), { optional: true, description: 'How many people could give one.' })
  readonly possible?: number;
  @Field(words, { optional: true, description: 'The probe that was sent.' })
  readonly probeId?: string;
}

/** A condition that stands against a dry run, with what its problem would add. */
export class UnmetDto extends CaseDto {
  @Field(slug, { description: 'The slug of the problem it would be.', example: 'approval-required' })
  readonly code!: string;
  @Field(words)
  readonly detail!: string;
}

/** How everything that is not a success is answered. RFC 9457. Each case adds members of its own. */
export class ProblemDto extends CaseDto {
  @Field(words, { example: 'https://countersign.dev/problems/validation-failed' })
  readonly type!: string;
  @Field(words, { example: 'The request is not valid' })
  readonly title!: string;
  @Field(whole(400, 599))
  readonly status!: number;
  @Field(words, { example: 'url must be an absolute http or https URL, at most 2048 characters.' })
  readonly detail!: string;
  @Field(words, { optional: true, description: 'The path of the request.' })
  readonly instance?: string;
  @Field(words, { optional: true, description: 'Finds the request in the log.' })
  readonly correlationId?: string;
}
