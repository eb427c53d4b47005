import { Controller, Get, Inject, Query as QueryParameter, UseInterceptors } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { DeliveryDto, pageSchema } from '#contracts';
import { parseInstant, type Refusal, type Site } from '#kernel';
import type { DeliveryStatus, Page } from '#read-models';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { READS, type Reads } from '../parts.ts';

interface Wanted {
  readonly status: DeliveryStatus | undefined;
  readonly eventId: string | undefined;
  readonly sinceMs: number | undefined;
}

/** The deliveries of all subscriptions of a site, latest first. */
export class ListSiteDeliveries extends Query<Page<DeliveryDto> | Refusal> {
  constructor(
    readonly site: Site,
    readonly wanted: Wanted,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListSiteDeliveries)
export class ListSiteDeliveriesHandler implements IQueryHandler<ListSiteDeliveries> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  execute({ site, wanted, page }: ListSiteDeliveries): Promise<Page<DeliveryDto> | Refusal> {
    return this.reads.listDeliveries({ site, ...wanted, ...page });
  }
}

@Controller('api/deliveries')
export class SiteDeliveriesController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get()
  @ForSite('read')
  @Takes('siteId', 'deliveryStatus', 'eventId', 'since', 'limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Deliveries', operationId: 'listSiteDeliveries', summary: 'The deliveries of a whole site, latest first', description: 'Of all its subscriptions, also of deleted ones. `since` counts from when a delivery was scheduled.', answer: { schema: pageSchema(DeliveryDto) } })
  async list(
    @SiteOfRequest() site: Site,
    @QueryParameter('status') status: DeliveryStatus | undefined,
    @QueryParameter('eventId') eventId: string | undefined,
    @QueryParameter('since') since: string | undefined,
    @PageOfRequest() page: PageRequest,
  ): Promise<Page<DeliveryDto>> {
    const wanted = { status, eventId, sinceMs: since === undefined ? undefined : parseInstant(since) };
    return answerPage(await this.queryBus.execute(new ListSiteDeliveries(site, wanted, page)), (delivery) => delivery);
  }
}
