import type Database from 'better-sqlite3';
import { type Approval, type ApprovalPolicy, type ApprovalRow, type ApprovalStatus, approvalTable, type GateableCommand, isOverdue, type PolicyState, principalKey } from '#approvals';
import type { Position, Principal, Refusal, Site } from '#kernel';
import { columnsOf } from '../sql.ts';
import { beyondAll, fromCursor, isKey, type Page, pageOf, type Paging, sql } from './statement.ts';

/** An approval as of now: expired from the instant it is, invalidated from the instant its policy is another. */
export interface ApprovalItem {
  readonly id: string;
  readonly site: Site;
  readonly status: ApprovalStatus;
  readonly overdue: boolean;
  readonly revision: number;
  readonly updatedAtMs: number;
  readonly approval: Approval;
}

export interface PolicyItem {
  readonly site: Site;
  readonly commandType: GateableCommand;
  readonly version: number;
  readonly policy: ApprovalPolicy;
}

type Now = ApprovalRow & { readonly statusNow: ApprovalStatus };

const statusNow = `CASE
  WHEN a.status NOT IN ('PENDING', 'APPROVED') THEN a.status
  WHEN a.state ->> '$.binding.policyVersion' <> coalesce((SELECT p.version FROM approval_policies p WHERE p.tenant = a.tenant AND p.environment = a.environment AND p.commandType = a.commandType), 0) THEN 'INVALIDATED'
  WHEN a.endsAtMs <= max(@nowMs, a.state ->> '$.lastSeenMs') THEN 'EXPIRED'
  ELSE a.status END`;
const select = `SELECT * FROM (SELECT ${columnsOf(approvalTable, 'a')}, ${statusNow} AS statusNow FROM approvals a WHERE a.tenant = @tenant AND a.environment = @environment`;

const item = (nowMs: number) => (row: Now): ApprovalItem => {
  const approval = JSON.parse(row.state) as Approval;
  const site = { tenant: row.tenant, environment: row.environment };
  return { id: row.id, site, status: row.statusNow, overdue: row.statusNow === 'PENDING' && isOverdue(approval, nowMs), revision: row.revision, updatedAtMs: row.updatedAtMs, approval };
};

export interface ApprovalList extends Paging {
  readonly site: Site;
  readonly nowMs: number;
  readonly status?: ApprovalStatus | undefined;
  readonly requester?: Principal | undefined;
}

export function listApprovals(database: Database.Database, list: ApprovalList): Page<ApprovalItem> | Refusal {
  const after = fromCursor('approvals', list.cursor, [beyondAll] as [Position]);
  if (!isKey(after)) return after;
  const filter = `${list.status === undefined ? '' : ' AND statusNow = @status'}${list.requester === undefined ? '' : ' AND requester = @requester'}`;
  const rows = sql<Now>(
    database,
    `${select} AND a.requestedPosition < CAST(@before AS INTEGER) ORDER BY a.requestedPosition DESC) WHERE true${filter} LIMIT @rows`,
  ).all({
    ...list.site,
    nowMs: list.nowMs,
    before: after[0],
    rows: list.limit + 1,
    ...(list.status === undefined ? {} : { status: list.status }),
    ...(list.requester === undefined ? {} : { requester: principalKey(list.requester) }),
  });
  return pageOf('approvals', rows, list.limit, item(list.nowMs), (row) => [row.requestedPosition]);
}

/** An approval by its id, as a gate looks for it. */
export interface ApprovalCandidate {
  readonly id: string;
  readonly status: ApprovalStatus;
}

interface CandidatesOf {
  readonly site: Site;
  readonly commandType: string;
  readonly resourceId: string;
  readonly nowMs: number;
}

/** By the index that names all four: left to itself SQLite reads every approval of the site. Planned once, as by `text`. */
const ofResource = `approvals a INDEXED BY approvals_by_tenant_environment_resourceId_commandType_requestedPosition
  WHERE a.tenant = (@tenant || '') AND a.environment = (@environment || '') AND a.resourceId = (@resourceId || '') AND a.commandType = (@commandType || '')`;

interface Found extends ApprovalCandidate {
  readonly requester: string;
}

const candidates = (database: Database.Database, { site, commandType, resourceId, nowMs }: CandidatesOf): readonly Found[] =>
  sql<Found>(
    database,
    `SELECT id, requester, status FROM (SELECT a.id, a.requester, a.endsAtMs, a.updatedAtMs, ${statusNow} AS status FROM ${ofResource})
     ORDER BY status IN ('PENDING', 'APPROVED') DESC, iif(status IN ('PENDING', 'APPROVED'), endsAtMs, -updatedAtMs)`,
  ).all({ ...site, commandType, resourceId, nowMs });

const candidate = ({ id, status }: Found): ApprovalCandidate => ({ id, status });

/** How many of those that ended are still told. */
const endedShown = 10;

const isOpen = ({ status }: ApprovalCandidate): boolean => status === 'PENDING' || status === 'APPROVED';

/** The approvals of a site for a command type on a resource: those still open, the one that ends first before the others, then the last that ended. */
export function approvalCandidates(database: Database.Database, of: CandidatesOf): readonly ApprovalCandidate[] {
  const found = candidates(database, of);
  return found.slice(0, found.filter(isOpen).length + endedShown).map(candidate);
}

/** The open requests of one requester among the candidates. */
export const openApprovalsBy = (database: Database.Database, { requester, ...of }: CandidatesOf & { readonly requester: Principal }): readonly ApprovalCandidate[] =>
  candidates(database, of).filter((found) => isOpen(found) && found.requester === principalKey(requester)).map(candidate);

export function listPolicies(database: Database.Database, { site }: { site: Site }): readonly PolicyItem[] {
  const rows = sql<{ commandType: GateableCommand; version: number; state: string }>(database, 'SELECT commandType, version, state FROM approval_policies WHERE tenant = ? AND environment = ?').all(site.tenant, site.environment);
  return rows.map(({ commandType, version, state }) => ({ site, commandType, version, policy: (JSON.parse(state) as PolicyState).policy }));
}
