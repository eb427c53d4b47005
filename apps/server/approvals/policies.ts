import { Controller, Get, Param } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { type GateableCommand, gateableCommands, isGateable } from '#approvals';
import { pageSchema, PolicyDto } from '#contracts';
import { formatSite, type Site } from '#kernel';
import type { Page } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { CurrentState, type PolicyRecord } from '../parts.ts';

/** What these command types need before they may run in a site. */
export class GetPolicies extends Query<readonly PolicyRecord[]> {
  constructor(
    readonly site: Site,
    readonly commandTypes: readonly GateableCommand[],
  ) {
    super();
  }
}

@QueryHandler(GetPolicies)
export class GetPoliciesHandler implements IQueryHandler<GetPolicies> {
  constructor(private readonly current: CurrentState) {}

  execute({ site, commandTypes }: GetPolicies): Promise<readonly PolicyRecord[]> {
    return Promise.all(commandTypes.map((commandType) => this.current.policy(site, commandType)));
  }
}

@Controller('api/approval-policies')
export class PoliciesController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get()
  @ForSite('read', 'approve', 'admin')
  @Takes('siteId')
  @Describe({ tag: 'Approvals', operationId: 'listApprovalPolicies', summary: 'What each command type needs before it may run', answer: { schema: pageSchema(PolicyDto) } })
  async list(@SiteOfRequest() site: Site): Promise<Page<PolicyDto>> {
    const records = await this.queryBus.execute(new GetPolicies(site, gateableCommands));
    return { items: records.map((record) => policyAnswer(site, record)), nextCursor: null };
  }

  @Get(':commandType')
  @ForSite('read', 'approve', 'admin')
  @Takes('siteId')
  @Describe({ tag: 'Approvals', operationId: 'getApprovalPolicy', summary: 'What a command type needs before it may run', answer: PolicyDto, problems: ['not-found'] })
  async get(@SiteOfRequest() site: Site, @Param('commandType') commandType: string): Promise<PolicyDto> {
    const [record] = isGateable(commandType) ? await this.queryBus.execute(new GetPolicies(site, [commandType])) : [];
    if (record === undefined) throw noSuchThing();
    return policyAnswer(site, record);
  }
}

export const policyAnswer = (site: Site, { commandType, policy, revision }: PolicyRecord): PolicyDto => ({ commandType, siteId: formatSite(site), ...policy, revision });
