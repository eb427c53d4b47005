export {
  ApprovalDto,
  CommandAnswerDto,
  CommandRecordDto,
  DecisionDto,
  DeliveryDetailDto,
  DeliveryDto,
  DryRunDto,
  EventDto,
  ExchangeDto,
  HealthDto,
  KeyDto,
  pageSchema,
  PlannedEventDto,
  PoisonDto,
  PolicyDto,
  ProjectionDto,
  PublishAnswerDto,
  PublishedItemDto,
  ReceivedResponseDto,
  refTo,
  schemaName,
  SentRequestDto,
  StatusDto,
  TimingsDto,
  TranscriptDto,
  VoteDto,
  WhoAmIDto,
} from './answers.ts';
export { AuditEventDto, PastStateDto, RefusalDto, type ResourceKind } from './audit.ts';
export {
  ApprovalPayload,
  commandPayloads,
  type CommandType,
  CreateApiKeyPayload,
  deliveryModes,
  gateableCommands,
  isCommandType,
  PublishEventPayload,
  ReasonedApprovalPayload,
  ReplayWebhookDeliveryPayload,
  RequestApprovalPayload,
  RevokeApiKeyPayload,
  RotateWebhookSubscriptionSecretPayload,
  SetApprovalPolicyPayload,
  SubscriptionPayload,
  UpsertWebhookSubscriptionPayload,
} from './commands.ts';
export { ExplanationDto } from './explanations.ts';
export { type Dto, Field, type FieldContext, Fields, Nested, NestedList } from './field.ts';
export { type JsonOutline, MalformedJson, outlineJson, repeatedMembers, type Slice } from './json-text.ts';
export { type JsonSchema } from './kinds.ts';
export { limits } from './limits.ts';
export { ActorDto, PrincipalDto } from './principals.ts';
export { ProbeAnswerDto, ProbePayload } from './probes.ts';
export { FieldErrorDto, ProblemDto, UnmetDto } from './problem-answers.ts';
export { CoordinationDto, ProcessDto, ProcessRoleDto, ProcessSagaDto, UnownedDto } from './processes.ts';
export { type FieldError, isProblemSlug, problems, type ProblemSlug, problemType } from './problems.ts';
export { RecoveryChangeDto, RecoveryDto, TestAnswerDto } from './recoveries.ts';
export { recoverableStatuses, RecoverPayload, recoveryStatuses, TestPayload } from './recovery-commands.ts';
export { schemaOf } from './schema.ts';
export { fieldsOf, readDto, type ReadResult } from './read-dto.ts';
export { CommandBody } from './requests.ts';
export {
  ApprovedChangePayload,
  CreateWebhookPayload,
  DeliveryChangeDto,
  inOneText,
  RetryDeliveryPayload,
  RotateSecretPayload,
  SecretChangeDto,
  SecretNameDto,
  SubscriptionChangeDto,
  SubscriptionDto,
  SubscriptionHealthDto,
  UpdateWebhookPayload,
} from './webhooks.ts';
export { StoryDto } from './stories.ts';
