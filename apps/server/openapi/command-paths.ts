import type { OpenAPIObject } from '@nestjs/swagger';
import { CommandAnswerDto, CommandBody, commandPayloads, type CommandType, DryRunDto, type JsonSchema, type ProblemSlug, refTo, schemaOf } from '#contracts';
import { catalogue } from '../commands/catalogue.ts';
import { exampleOfSchema } from './examples.ts';
import { problemResponses } from './responses.ts';
import { answerExample } from './result-examples.ts';
import { schemas } from './schemas.ts';
import { needsText } from './words.ts';

type Paths = OpenAPIObject['paths'];

const generic = '/api/commands/{commandType}';

/** The one route of all commands, written out as one path per command type, each with its payload, its scope and its problems. */
export function commandPaths({ [generic]: route, ...paths }: Paths): Paths {
  const operation = route?.post;
  if (operation === undefined) throw new TypeError(`the document has no ${generic}`);
  const types = Object.keys(commandPayloads) as CommandType[];
  return { ...paths, ...Object.fromEntries(types.map((type) => [`/api/commands/${type}`, { post: operationOf(type, operation) }])) };
}

type Operation = NonNullable<Paths[string]['post']>;

function operationOf(type: CommandType, operation: Operation): Operation {
  const { summary, needs, gateable, showsSecret } = catalogue[type];
  const notes = [
    needsText({ to: 'site', needs }),
    gateable === true ? 'A policy may require an approval for it.' : undefined,
    showsSecret === true ? 'A secret that it makes stands in `result.secret`, in this one answer and never again.' : undefined,
  ];
  const ok = operation.responses['200'];
  return {
    ...operation,
    operationId: type,
    summary,
    description: notes.filter((note) => note !== undefined).join(' '),
    parameters: (operation.parameters ?? []).flatMap((parameter) => ('name' in parameter && parameter.name === 'commandType' ? [] : [required(parameter)])),
    requestBody: { required: true, content: { 'application/json': { schema: bodySchema(type), example: exampleOfSchema(bodySchema(type), schemas()) } } },
    responses: {
      200: { ...ok, description: 'Success; with `dryRun=true` what would happen', content: { 'application/json': { schema: { anyOf: [refTo(CommandAnswerDto), refTo(DryRunDto)] }, example: answerExample(type) } } },
      ...problemResponses(problemsOf(type)),
    },
  } as Operation;
}

/** The key is what makes a command safe to repeat: here it is required. */
const required = (parameter: object): object => ('name' in parameter && parameter.name === 'Idempotency-Key' ? { ...parameter, required: true } : parameter);

function bodySchema(type: CommandType): JsonSchema {
  const schema = schemaOf(CommandBody, { closed: true });
  return { ...schema, properties: { ...(schema['properties'] as object), payload: refTo(commandPayloads[type]) } };
}

const always: readonly ProblemSlug[] = [
  'validation-failed', 'idempotency-key-missing', 'idempotency-key-invalid', 'unauthenticated', 'forbidden', 'actor-not-allowed', 'not-found', 'payload-too-large', 'unsupported-media-type',
  'idempotency-key-reused', 'internal-error', 'outcome-unknown', 'store-unavailable',
];
const governed: readonly ProblemSlug[] = ['idempotency-request-in-flight', 'concurrent-modification', 'precondition-failed'];
const gated: readonly ProblemSlug[] = [
  'approval-required', 'approval-pending', 'approval-expired', 'approval-denied', 'approval-withdrawn', 'approval-revoked', 'approval-invalidated', 'approval-already-used', 'approval-binding-mismatch',
];

const own: Readonly<Partial<Record<CommandType, readonly ProblemSlug[]>>> = {
  UpsertWebhookSubscription: ['subscription-deleted', 'secret-change-needs-rotation', 'target-url-refused'],
  PauseWebhookSubscription: ['subscription-deleted'],
  ResumeWebhookSubscription: ['subscription-deleted'],
  RotateWebhookSubscriptionSecret: ['subscription-deleted'],
  ReplayWebhookDelivery: ['delivery-not-replayable'],
  RecoverWebhookDeliveries: ['subscription-deleted', 'approval-required'],
  TestWebhookSubscription: ['subscription-deleted'],
  RequestApproval: ['approver-not-eligible'],
  GrantApproval: ['approver-conflict', 'approver-not-eligible', 'approval-not-pending', 'precondition-required'],
  DenyApproval: ['approver-conflict', 'approver-not-eligible', 'approval-not-pending'],
  WithdrawApproval: ['approval-not-pending', 'approval-already-used'],
  RevokeApproval: ['approver-not-eligible', 'approval-not-pending', 'approval-already-used'],
};

const problemsOf = (type: CommandType): readonly ProblemSlug[] => [...always, ...(type === 'PublishEvent' ? [] : governed), ...(catalogue[type].gateable === true ? gated : []), ...(own[type] ?? [])];
