import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { DeliveryChangeDto, refTo, RetryDeliveryPayload } from '#contracts';
import type { Site } from '#kernel';
import type { DeliveryView } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite } from '../access/routes.ts';
import { Change, gateProblems, type RestChange, restChange, RestCommands } from '../commands/rest-commands.ts';
import { OptionalBodyText, readBody } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { CurrentState } from '../parts.ts';

/** A delivery of a subscription as it is now, without its transcripts; undefined when there is none. */
export class GetDeliveryNow extends Query<DeliveryView | undefined> {
  constructor(
    readonly site: Site,
    readonly subscriptionId: string,
    readonly deliveryId: string,
  ) {
    super();
  }
}

@QueryHandler(GetDeliveryNow)
export class GetDeliveryNowHandler implements IQueryHandler<GetDeliveryNow> {
  constructor(private readonly current: CurrentState) {}

  async execute({ site, subscriptionId, deliveryId }: GetDeliveryNow): Promise<DeliveryView | undefined> {
    const delivery = await this.current.delivery(site, deliveryId);
    return delivery?.subscriptionId === subscriptionId ? delivery : undefined;
  }
}

@Controller('api/webhooks/:subscriptionId/deliveries')
export class RetryDeliveryController {
  constructor(
    private readonly queryBus: QueryBus,
    private readonly commands: RestCommands,
  ) {}

  @Post(':deliveryId/retry')
  @HttpCode(200)
  @ForSite('write')
  @Takes('siteId', 'approvalId')
  @Describe({
    ...restChange,
    tag: 'Deliveries',
    operationId: 'retryDelivery',
    summary: 'Send a delivery again',
    description: 'Also one that was delivered: the receiver gets the same `webhook-id`. One that waits for a retry is tried now. It is a `ReplayWebhookDelivery`, for which a policy may require an approval.',
    body: refTo(RetryDeliveryPayload),
    bodyOptional: true,
    answer: DeliveryChangeDto,
    problems: [...restChange.problems, ...gateProblems, 'not-found', 'delivery-not-replayable'],
  })
  async retry(@Param('subscriptionId') subscriptionId: string, @Param('deliveryId') deliveryId: string, @Change() change: RestChange, @OptionalBodyText() text: string): Promise<DeliveryChangeDto> {
    const { approvalId, resetAttempts } = readBody(RetryDeliveryPayload, text);
    await this.deliveryNow(change.site, subscriptionId, deliveryId);
    const payload = { webhookDeliveryId: deliveryId, includeDelivered: true, resetAttempts };
    const { commandId, outcome, revision, position } = await this.commands.send('ReplayWebhookDelivery', change, { approvalId, payload });
    return { delivery: await this.deliveryNow(change.site, subscriptionId, deliveryId), commandId, outcome, revision, position };
  }

  private async deliveryNow(site: Site, subscriptionId: string, deliveryId: string): Promise<DeliveryView> {
    const delivery = await this.queryBus.execute(new GetDeliveryNow(site, subscriptionId, deliveryId));
    if (delivery === undefined) throw noSuchThing();
    return delivery;
  }
}
