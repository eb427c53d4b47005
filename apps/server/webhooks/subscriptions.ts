import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import type { SubscriptionDto } from '#contracts';
import type { Clock, Refusal, Site } from '#kernel';
import { type Page, type SubscriptionHealth, type SubscriptionList, subscriptionView } from '#read-models';
import type { PageRequest } from '../http/lists.ts';
import { CLOCK, CurrentState, READS, type Reads } from '../parts.ts';

/** The subscriptions of a site, newest first. */
export class ListSubscriptions extends Query<Page<SubscriptionDto> | Refusal> {
  constructor(
    readonly site: Site,
    readonly which: Pick<SubscriptionList, 'includeDeleted' | 'label'>,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListSubscriptions)
export class ListSubscriptionsHandler implements IQueryHandler<ListSubscriptions> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  execute({ site, which, page }: ListSubscriptions): Promise<Page<SubscriptionDto> | Refusal> {
    return this.reads.listSubscriptions({ site, ...which, ...page });
  }
}

/** How a subscription fares, as the read model knows it; undefined when there is no such subscription. */
export class GetSubscriptionHealth extends Query<SubscriptionHealth | undefined> {
  constructor(
    readonly site: Site,
    readonly subscriptionId: string,
  ) {
    super();
  }
}

@QueryHandler(GetSubscriptionHealth)
export class GetSubscriptionHealthHandler implements IQueryHandler<GetSubscriptionHealth> {
  constructor(
    @Inject(READS) private readonly reads: Reads,
    private readonly current: CurrentState,
  ) {}

  async execute({ site, subscriptionId }: GetSubscriptionHealth): Promise<SubscriptionHealth | undefined> {
    const exists = (await this.current.subscription(site, subscriptionId)) !== undefined;
    return exists ? await this.reads.subscriptionHealth(site, subscriptionId) : undefined;
  }
}

/** A subscription as it is now, deleted or not; undefined when there is none (any more). */
export class GetSubscription extends Query<SubscriptionDto | undefined> {
  constructor(
    readonly site: Site,
    readonly subscriptionId: string,
    /** How it fares, when that is known already. */
    readonly health?: SubscriptionHealth,
  ) {
    super();
  }
}

@QueryHandler(GetSubscription)
export class GetSubscriptionHandler implements IQueryHandler<GetSubscription> {
  constructor(
    @Inject(READS) private readonly reads: Reads,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly current: CurrentState,
  ) {}

  async execute({ site, subscriptionId: id, health: known }: GetSubscription): Promise<SubscriptionDto | undefined> {
    const found = await this.current.subscription(site, id);
    if (found === undefined) return undefined;
    const health = known ?? (await this.reads.subscriptionHealth(site, id));
    return subscriptionView({ site, id, ...found, health, nowMs: this.clock.now() });
  }
}
