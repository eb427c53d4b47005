import { domainEvent, formatPrincipal, type Position, type Principal, prefixOf, type Projection, type RecordedEvent, resourceOf, type Rows, type Table } from '#kernel';
import { type ApprovalEvent, type ApprovalPolicyEvent, type GateableCommand, gateableCommands } from './events.ts';
import { policyDecider, type PolicyState } from './policy.ts';
import { type ApprovalState, type ApprovalStatus, decisionEndMs, evolveApproval, initialApproval } from './state.ts';

/** An approval as of its last event; whether it has expired since is for the reader's clock. `state` is its `Approval` as JSON. */
export interface ApprovalRow {
  readonly tenant: string;
  readonly environment: string;
  readonly id: string;
  readonly status: ApprovalStatus;
  readonly commandType: GateableCommand;
  readonly resourceId: string;
  /** `TYPE:id` in lower case: how principals compare. */
  readonly requester: string;
  /** From here on it reads as expired while it is PENDING or APPROVED. */
  readonly endsAtMs: number;
  readonly revision: number;
  readonly requestedPosition: Position;
  readonly updatedAtMs: number;
  readonly state: string;
}

/** The policy of one command type in one site, where one was ever set. `state` is its `PolicyState` as JSON. */
export interface ApprovalPolicyRow {
  readonly tenant: string;
  readonly environment: string;
  readonly commandType: GateableCommand;
  readonly version: number;
  readonly updatedAtMs: number;
  readonly state: string;
}

export const approvalTable: Table<ApprovalRow> = {
  name: 'approvals',
  columns: {
    tenant: 'text',
    environment: 'text',
    id: 'text',
    status: 'text',
    commandType: 'text',
    resourceId: 'text',
    requester: 'text',
    endsAtMs: 'integer',
    revision: 'integer',
    requestedPosition: 'position',
    updatedAtMs: 'integer',
    state: 'text',
  },
  key: ['tenant', 'environment', 'id'],
  indexes: [
    { columns: ['tenant', 'environment', 'requestedPosition'] },
    { columns: ['tenant', 'environment', 'resourceId', 'commandType', 'requestedPosition'] },
  ],
};

export const approvalPolicyTable: Table<ApprovalPolicyRow> = {
  name: 'approval_policies',
  columns: { tenant: 'text', environment: 'text', commandType: 'text', version: 'integer', updatedAtMs: 'integer', state: 'text' },
  key: ['tenant', 'environment', 'commandType'],
};

const approvalTypes: Record<ApprovalEvent['type'], true> = {
  ApprovalRequested: true,
  ApprovalVoteCast: true,
  ApprovalGranted: true,
  ApprovalDenied: true,
  ApprovalWithdrawn: true,
  ApprovalRevoked: true,
  ApprovalUseMirrored: true,
  ApprovalExpired: true,
  ApprovalInvalidated: true,
  ApprovalDueReminded: true,
};

const policyTypes: Record<ApprovalPolicyEvent['type'], true> = { ApprovalPolicySet: true, ApprovalPolicyOverridden: true };

/** How principals compare as text: type and id, letter case folded. */
export const principalKey = (principal: Principal): string => formatPrincipal(principal).toLowerCase();

/** Approvals, found by what they are for. */
export const approvalProjection: Projection = {
  name: 'approvals',
  version: 1,
  prefixes: [prefixOf('approval')],
  tables: [approvalTable],
  apply(event, rows) {
    const fact = domainEvent<ApprovalEvent>(event, approvalTypes);
    if (fact === undefined) return;
    const { site, id } = resourceOf(event);
    const row = rows.get(approvalTable, [site.tenant, site.environment, id]);
    const state = evolveApproval(row === undefined ? initialApproval : (JSON.parse(row.state) as ApprovalState), fact);
    if (state.status === 'NONE') return;
    rows.put(approvalTable, {
      ...site,
      id,
      status: state.status,
      commandType: state.binding.commandType,
      resourceId: state.binding.resourceId,
      requester: principalKey(state.requester),
      endsAtMs: decisionEndMs(state),
      revision: (row?.revision ?? 0) + 1,
      requestedPosition: row?.requestedPosition ?? fact.position,
      updatedAtMs: fact.recordedAt,
      state: JSON.stringify(state),
    });
  },
};

/** The policies that were set; where there is no row, the default holds. */
export const approvalPolicyProjection: Projection = {
  name: 'approval-policies',
  version: 1,
  prefixes: [prefixOf('approvalpolicy')],
  tables: [approvalPolicyTable],
  apply: applyPolicy,
};

function applyPolicy(event: RecordedEvent, rows: Rows): void {
  const fact = domainEvent<ApprovalPolicyEvent>(event, policyTypes);
  if (fact === undefined) return;
  const { site, id } = resourceOf(event);
  const commandType = gateableCommands.find((known) => known.toLowerCase() === id);
  if (commandType === undefined) throw new TypeError(`${event.stream} at ${event.position} is a policy for no command type`);
  const row = rows.get(approvalPolicyTable, [site.tenant, site.environment, commandType]);
  const decider = policyDecider(commandType);
  const state = decider.evolve(row === undefined ? decider.initialState : (JSON.parse(row.state) as PolicyState), fact);
  rows.put(approvalPolicyTable, { ...site, commandType, version: state.version, updatedAtMs: fact.recordedAt, state: JSON.stringify(state) });
}
