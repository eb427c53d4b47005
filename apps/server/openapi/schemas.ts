import {
  ActorDto, ApprovalDto, CommandAnswerDto, commandPayloads, CommandRecordDto, DecisionDto, DeliveryDetailDto, DeliveryDto, type Dto, DryRunDto, EventDto, ExchangeDto, FieldErrorDto, HealthDto, type JsonSchema, KeyDto,
  PlannedEventDto, PoisonDto, PolicyDto, PrincipalDto, ProbeAnswerDto, ProbePayload, ProblemDto, ProjectionDto, PublishAnswerDto, PublishedItemDto, ReceivedResponseDto, schemaName, schemaOf, SentRequestDto, StatusDto, TimingsDto,
  TranscriptDto, UnmetDto, VoteDto, WhoAmIDto,
} from '#contracts';

/** What callers send: other members are refused. */
const requests: readonly Dto[] = [PrincipalDto, ActorDto, ProbePayload, ...new Set<Dto>(Object.values(commandPayloads))];

/** What is answered: members may be added in later versions. */
const answers: readonly Dto[] = [
  CommandAnswerDto, DryRunDto, PlannedEventDto, UnmetDto, CommandRecordDto, PublishAnswerDto, PublishedItemDto, EventDto, DeliveryDto, DeliveryDetailDto, TranscriptDto, SentRequestDto,
  ReceivedResponseDto, ApprovalDto, VoteDto, PolicyDto, KeyDto, WhoAmIDto, ProjectionDto, PoisonDto, StatusDto, HealthDto, ProblemDto, FieldErrorDto,
  DecisionDto, ExchangeDto, TimingsDto, ProbeAnswerDto,
];

/** The schemas of the document, by name. */
export const schemas = (): Readonly<Record<string, JsonSchema>> =>
  Object.fromEntries([
    ...requests.map((dto) => [schemaName(dto), schemaOf(dto, { closed: true })] as const),
    ...answers.map((dto) => [schemaName(dto), schemaOf(dto, { closed: false })] as const),
  ].sort(([a], [b]) => (a < b ? -1 : 1)));
