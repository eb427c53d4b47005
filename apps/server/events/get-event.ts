import { Controller, Get, Header, Inject, Param, UseInterceptors } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { EventDto, limits } from '#contracts';
import { formatInstant, formatSite, isRefusal, type Site } from '#kernel';
import type { PublishedEvent } from '#publishing';
import type { DeliveryView } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { withRawMember } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { READS, type Reads } from '../parts.ts';

interface EventAndDeliveries {
  readonly event: PublishedEvent;
  readonly deliveries: readonly DeliveryView[];
}

export class GetEvent extends Query<EventAndDeliveries | undefined> {
  constructor(
    readonly site: Site,
    readonly eventId: string,
  ) {
    super();
  }
}

@QueryHandler(GetEvent)
export class GetEventHandler implements IQueryHandler<GetEvent> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  async execute({ site, eventId }: GetEvent): Promise<EventAndDeliveries | undefined> {
    const event = await this.reads.event(site, eventId);
    if (event === undefined) return undefined;
    const deliveries = await this.reads.listDeliveries({ site, eventId, limit: limits.pageSize });
    return { event, deliveries: isRefusal(deliveries) ? [] : deliveries.items };
  }
}

@Controller('api/events')
export class GetEventController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get(':eventId')
  @Header('content-type', 'application/json; charset=utf-8')
  @ForSite('read')
  @Takes('siteId', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Events', operationId: 'getEvent', summary: 'A published event and its latest 500 deliveries', answer: EventDto, problems: ['not-found'] })
  async get(@SiteOfRequest() site: Site, @Param('eventId') eventId: string): Promise<string> {
    const found = await this.queryBus.execute(new GetEvent(site, eventId));
    if (found === undefined) throw noSuchThing();
    const { event, deliveries } = found;
    const { type, occurredAt, recordedAtMs, position, operational, dataText } = event;
    const answer: Omit<EventDto, 'data'> = {
      eventId: event.eventId,
      type,
      siteId: formatSite(site),
      occurredAt,
      recordedAt: formatInstant(recordedAtMs),
      position,
      operational,
      deliveries,
    };
    return withRawMember(answer, 'data', dataText);
  }
}
