import { Controller, Get, HttpCode, Inject, Param, Post, Query as QueryParameter, UseInterceptors } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { pageSchema, RecoverPayload, RecoveryChangeDto, RecoveryDto, refTo } from '#contracts';
import { formatSite, isName, type Refusal, type Site } from '#kernel';
import type { Page, RecoveryView } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Change, type RestChange, restCreate, RestCommands } from '../commands/rest-commands.ts';
import { BodyText, readBody } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { CurrentState, READS, type Reads } from '../parts.ts';

/** The recoveries of a site, newest first. */
export class ListRecoveries extends Query<Page<RecoveryDto> | Refusal> {
  constructor(
    readonly site: Site,
    readonly wanted: { readonly subscriptionId: string | undefined; readonly status: RecoveryView['status'] | undefined },
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListRecoveries)
export class ListRecoveriesHandler implements IQueryHandler<ListRecoveries> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  execute({ site, wanted, page }: ListRecoveries): Promise<Page<RecoveryDto> | Refusal> {
    return this.reads.listRecoveries({ site, ...wanted, ...page });
  }
}

/** A recovery as it is now; undefined when there is none. */
export class GetRecovery extends Query<RecoveryDto | undefined> {
  constructor(
    readonly site: Site,
    readonly recoveryId: string,
  ) {
    super();
  }
}

@QueryHandler(GetRecovery)
export class GetRecoveryHandler implements IQueryHandler<GetRecovery> {
  constructor(private readonly current: CurrentState) {}

  execute({ site, recoveryId }: GetRecovery): Promise<RecoveryDto | undefined> {
    return this.current.recovery(site, recoveryId);
  }
}

@Controller('api/webhooks/:subscriptionId')
export class RecoverController {
  constructor(
    private readonly queryBus: QueryBus,
    private readonly commands: RestCommands,
  ) {}

  @Post('recover')
  @HttpCode(201)
  @ForSite('write')
  @Takes('siteId')
  @Describe({
    ...restCreate,
    tag: 'Webhooks',
    operationId: 'recoverWebhook',
    summary: 'Send again what a webhook subscription did not get',
    description:
      'Starts a job that goes through the selected deliveries in the order they were scheduled and makes one more attempt at each, at a rate of its own, also across restarts of the server: no delivery is replayed twice by one job. Events missed while paused are scheduled like new ones. See `GET /api/recoveries/{recoveryId}` for its progress; the command `CancelWebhookRecovery` ends it. Where a policy asks for an approval of each `ReplayWebhookDelivery`, which it would go past, only `MISSED` alone is taken, and a job that replays ends when such a policy is set.',
    body: refTo(RecoverPayload),
    status: 201,
    answerHeaders: ['Location', ...restCreate.answerHeaders],
    answer: RecoveryChangeDto,
    problems: [...restCreate.problems, 'not-found', 'subscription-deleted', 'approval-required'],
  })
  async recover(@Param('subscriptionId') webhookSubscriptionId: string, @Change() change: RestChange, @BodyText() text: string): Promise<RecoveryChangeDto> {
    const asked = readBody(RecoverPayload, text);
    if (!isName(webhookSubscriptionId)) throw noSuchThing();
    const { resourceId, commandId, outcome, revision, position } = await this.commands.send('RecoverWebhookDeliveries', change, { payload: { webhookSubscriptionId, ...asked } });
    void change.reply.header('location', `/api/recoveries/${resourceId}?siteId=${formatSite(change.site)}`);
    const recovery = await this.queryBus.execute(new GetRecovery(change.site, resourceId));
    if (recovery === undefined) throw noSuchThing();
    return { recovery, commandId, outcome, revision, position };
  }
}

@Controller('api/recoveries')
export class RecoveriesController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get()
  @ForSite('read')
  @Takes('siteId', 'ofSubscription', 'recoveryStatus', 'limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Webhooks', operationId: 'listRecoveries', summary: 'The recoveries of a site, newest first', answer: { schema: pageSchema(RecoveryDto) } })
  async list(
    @SiteOfRequest() site: Site,
    @QueryParameter('webhookSubscriptionId') subscriptionId: string | undefined,
    @QueryParameter('status') status: RecoveryView['status'] | undefined,
    @PageOfRequest() page: PageRequest,
  ): Promise<Page<RecoveryDto>> {
    return answerPage(await this.queryBus.execute(new ListRecoveries(site, { subscriptionId, status }, page)), (recovery) => recovery);
  }

  @Get(':recoveryId')
  @ForSite('read')
  @Takes('siteId')
  @Describe({ tag: 'Webhooks', operationId: 'getRecovery', summary: 'A recovery as it is now', description: 'How far it is, it says about once a second while it runs, and no oftener than after every 10,000th part.', answer: RecoveryDto, problems: ['not-found'] })
  async get(@SiteOfRequest() site: Site, @Param('recoveryId') recoveryId: string): Promise<RecoveryDto> {
    const recovery = await this.queryBus.execute(new GetRecovery(site, recoveryId));
    if (recovery === undefined) throw noSuchThing();
    return recovery;
  }
}
