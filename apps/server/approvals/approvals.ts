import { Controller, Get, Inject, Param, Query as QueryParameter, UseInterceptors } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import type { ApprovalStatus } from '#approvals';
import { ApprovalDto, pageSchema } from '#contracts';
import { formatInstant, formatSite, type Refusal, type Site } from '#kernel';
import type { Page } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { type ApprovalRecord, CurrentState, READS, type Reads } from '../parts.ts';

/** The approvals of a site, latest first. */
export class ListApprovals extends Query<Page<ApprovalRecord> | Refusal> {
  constructor(
    readonly site: Site,
    readonly status: ApprovalStatus | undefined,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListApprovals)
export class ListApprovalsHandler implements IQueryHandler<ListApprovals> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  execute({ site, status, page }: ListApprovals): Promise<Page<ApprovalRecord> | Refusal> {
    return this.reads.listApprovals({ site, status, ...page });
  }
}

/** One approval as it is now. */
export class GetApproval extends Query<ApprovalRecord | undefined> {
  constructor(
    readonly site: Site,
    readonly approvalId: string,
  ) {
    super();
  }
}

@QueryHandler(GetApproval)
export class GetApprovalHandler implements IQueryHandler<GetApproval> {
  constructor(private readonly current: CurrentState) {}

  execute({ site, approvalId }: GetApproval): Promise<ApprovalRecord | undefined> {
    return this.current.approval(site, approvalId);
  }
}

@Controller('api/approvals')
export class ApprovalsController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get()
  @ForSite('read', 'approve')
  @Takes('siteId', 'approvalStatus', 'limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Approvals', operationId: 'listApprovals', summary: 'The approvals of a site, latest first', answer: { schema: pageSchema(ApprovalDto) } })
  async list(@SiteOfRequest() site: Site, @QueryParameter('status') status: ApprovalStatus | undefined, @PageOfRequest() page: PageRequest): Promise<Page<ApprovalDto>> {
    return answerPage(await this.queryBus.execute(new ListApprovals(site, status, page)), approvalAnswer);
  }

  @Get(':approvalId')
  @ForSite('read', 'approve')
  @Takes('siteId')
  @Describe({ tag: 'Approvals', operationId: 'getApproval', summary: 'One approval as it is now', answer: ApprovalDto, problems: ['not-found'] })
  async get(@SiteOfRequest() site: Site, @Param('approvalId') approvalId: string): Promise<ApprovalDto> {
    const record = await this.queryBus.execute(new GetApproval(site, approvalId));
    if (record === undefined) throw noSuchThing();
    return approvalAnswer(record);
  }
}

export function approvalAnswer({ id, site, approval, status, overdue, revision }: ApprovalRecord): ApprovalDto {
  const { binding, policy, payload, requester, onBehalfOf, chain, eligible, reason, dueOnMs, expiresOnMs, votes, usedBy, requestedAtMs } = approval;
  return {
    id,
    siteId: formatSite(site),
    status,
    overdue,
    commandType: binding.commandType,
    resourceId: binding.resourceId,
    binding: binding.level,
    payload,
    requester,
    onBehalfOf,
    chain,
    eligible,
    reason,
    dueOn: dueOnMs === null ? null : formatInstant(dueOnMs),
    expiresOn: formatInstant(expiresOnMs),
    minApprovals: policy.minApprovals,
    votes,
    usedBy,
    revision,
    requestedAt: formatInstant(requestedAtMs),
  };
}
