import { Controller, Get, Inject, Param, Query as QueryParameter, UseInterceptors } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { DeliveryDetailDto, DeliveryDto, pageSchema, type TranscriptDto } from '#contracts';
import type { DeliveryTranscript } from '#deliveries';
import type { Refusal, Site } from '#kernel';
import type { DeliveryStatus, Page } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { CurrentState, READS, type Reads } from '../parts.ts';

/** The deliveries of one subscription, latest first; undefined when there is no such subscription. */
export class ListDeliveries extends Query<Page<DeliveryDto> | Refusal | undefined> {
  constructor(
    readonly site: Site,
    readonly subscriptionId: string,
    readonly status: DeliveryStatus | undefined,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListDeliveries)
export class ListDeliveriesHandler implements IQueryHandler<ListDeliveries> {
  constructor(
    @Inject(READS) private readonly reads: Reads,
    private readonly current: CurrentState,
  ) {}

  async execute({ site, subscriptionId, status, page }: ListDeliveries): Promise<Page<DeliveryDto> | Refusal | undefined> {
    const exists = (await this.current.subscription(site, subscriptionId)) !== undefined;
    return exists ? await this.reads.listDeliveries({ site, subscriptionId, status, ...page }) : undefined;
  }
}

/** One delivery with the transcript of each attempt. */
export class GetDelivery extends Query<DeliveryDetailDto | undefined> {
  constructor(
    readonly site: Site,
    readonly subscriptionId: string,
    readonly deliveryId: string,
  ) {
    super();
  }
}

@QueryHandler(GetDelivery)
export class GetDeliveryHandler implements IQueryHandler<GetDelivery> {
  constructor(
    @Inject(READS) private readonly reads: Reads,
    private readonly current: CurrentState,
  ) {}

  async execute({ site, subscriptionId, deliveryId }: GetDelivery): Promise<DeliveryDetailDto | undefined> {
    const delivery = await this.reads.delivery(site, deliveryId);
    if (delivery?.subscriptionId !== subscriptionId) return undefined;
    const transcripts = await this.reads.transcripts(site, deliveryId);
    const [first] = transcripts;
    const body = first === undefined ? null : await this.current.wireBody(first.eventStream);
    return { ...delivery, transcripts: transcripts.map((transcript) => transcriptAnswer(transcript, body)) };
  }
}

/** A transcript as it was kept, with the body that every attempt sent. */
function transcriptAnswer(transcript: DeliveryTranscript, body: string | null): TranscriptDto {
  const { attempt, startedAt, durationMs, request, response, error, timings, remoteAddress, decision, subscriptionRevision, secretVersionIds } = transcript;
  return { attempt, startedAt, durationMs, request: { ...request, body }, response, error, timings, remoteAddress, decision, subscriptionRevision, secretVersionIds };
}

@Controller('api/webhooks/:subscriptionId/deliveries')
export class DeliveriesController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get()
  @ForSite('read')
  @Takes('siteId', 'deliveryStatus', 'limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Deliveries', operationId: 'listDeliveries', summary: 'The deliveries of a subscription, latest first', answer: { schema: pageSchema(DeliveryDto) }, problems: ['not-found'] })
  async list(
    @SiteOfRequest() site: Site,
    @Param('subscriptionId') subscriptionId: string,
    @QueryParameter('status') status: DeliveryStatus | undefined,
    @PageOfRequest() page: PageRequest,
  ): Promise<Page<DeliveryDto>> {
    const found = await this.queryBus.execute(new ListDeliveries(site, subscriptionId, status, page));
    if (found === undefined) throw noSuchThing();
    return answerPage(found, (delivery) => delivery);
  }

  @Get(':deliveryId')
  @ForSite('read')
  @Takes('siteId', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Deliveries', operationId: 'getDelivery', summary: 'A delivery with the transcript of each attempt', answer: DeliveryDetailDto, problems: ['not-found'] })
  async get(@SiteOfRequest() site: Site, @Param('subscriptionId') subscriptionId: string, @Param('deliveryId') deliveryId: string): Promise<DeliveryDetailDto> {
    const found = await this.queryBus.execute(new GetDelivery(site, subscriptionId, deliveryId));
    if (found === undefined) throw noSuchThing();
    return found;
  }
}
