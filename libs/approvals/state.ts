import { type Principal, type Stored } from '#kernel';
import type { ApprovalBinding, ApprovalEvent, ApprovalPolicy, Vote } from './events.ts';

export type ApprovalStatus = 'PENDING' | 'APPROVED' | 'CONSUMED' | 'DENIED' | 'WITHDRAWN' | 'REVOKED' | 'INVALIDATED' | 'EXPIRED';

export interface Approval {
  readonly status: ApprovalStatus;
  readonly binding: ApprovalBinding;
  readonly policy: ApprovalPolicy;
  readonly eligible: readonly Principal[];
  readonly requester: Principal;
  readonly onBehalfOf: readonly Principal[];
  readonly chain: readonly Principal[];
  readonly requesterKeyId: string;
  readonly reason: string | null;
  readonly payload: object | null;
  readonly requestedAtMs: number;
  readonly dueOnMs: number | null;
  readonly expiresOnMs: number;
  readonly votes: readonly Vote[];
  /** Whether it ever was APPROVED: what a withdrawal must then fence. */
  readonly wasApproved: boolean;
  readonly usedBy: string | null;
  readonly overdueReminded: boolean;
  /** The latest time this approval has seen: `now` never runs backwards within one approval. */
  readonly lastSeenMs: number;
}

export type ApprovalState = { readonly status: 'NONE' } | Approval;

export const initialApproval: ApprovalState = { status: 'NONE' };

/** Folds one event of an approval's stream. An event that cannot follow the state is a broken log: it throws. */
export function evolveApproval(state: ApprovalState, event: Stored<ApprovalEvent>): ApprovalState {
  if (event.type === 'ApprovalRequested') return requested(event);
  if (state.status === 'NONE') throw new TypeError(`${event.type} at ${event.position} without a request`);
  const seen = { ...state, lastSeenMs: Math.max(state.lastSeenMs, event.recordedAt) };
  switch (event.type) {
    case 'ApprovalVoteCast':
      return { ...seen, votes: [...state.votes, vote(event.data)] };
    case 'ApprovalGranted':
      return { ...seen, status: 'APPROVED', wasApproved: true };
    case 'ApprovalDenied':
      return { ...seen, status: 'DENIED', votes: [...state.votes, vote(event.data)] };
    case 'ApprovalWithdrawn':
      return { ...seen, status: 'WITHDRAWN' };
    case 'ApprovalRevoked':
      return { ...seen, status: 'REVOKED' };
    case 'ApprovalUseMirrored':
      return { ...seen, status: 'CONSUMED', usedBy: event.data.commandId };
    case 'ApprovalExpired':
      return { ...seen, status: 'EXPIRED' };
    case 'ApprovalInvalidated':
      return { ...seen, status: 'INVALIDATED' };
    case 'ApprovalDueReminded':
      return { ...seen, overdueReminded: true };
  }
}

const vote = ({ voter, keyId, asserted }: Vote): Vote => ({ voter, keyId, asserted });

function requested(event: Stored<Extract<ApprovalEvent, { type: 'ApprovalRequested' }>>): Approval {
  const { dueOn, expiresOn, ...data } = event.data;
  return {
    ...data,
    status: 'PENDING',
    requestedAtMs: event.recordedAt,
    dueOnMs: dueOn === null ? null : Date.parse(dueOn),
    expiresOnMs: Date.parse(expiresOn),
    votes: [],
    wasApproved: false,
    usedBy: null,
    overdueReminded: false,
    lastSeenMs: event.recordedAt,
  };
}

/** What the world says now about the things an approval is bound to. */
export interface BoundNow {
  readonly policyVersion: number;
  readonly incarnation: string;
}

/** The clock as this approval sees it: it never runs backwards. */
export const nowOf = (approval: Approval, nowMs: number): number => Math.max(nowMs, approval.lastSeenMs);

/**
 * The status as it reads at this moment: expiry and invalidation hold from the instant they are true, whether or not
 * an event has said so yet. At `now == expiresOn` it is expired.
 */
export function statusNow(approval: Approval, bound: BoundNow | undefined, nowMs: number): ApprovalStatus {
  const { status, binding } = approval;
  if (status !== 'PENDING' && status !== 'APPROVED') return status;
  if (bound !== undefined && (bound.policyVersion !== binding.policyVersion || bound.incarnation !== binding.incarnation)) return 'INVALIDATED';
  return nowOf(approval, nowMs) >= decisionEndMs(approval) ? 'EXPIRED' : status;
}

/** When it ends by itself: at `expiresOn`, and while undecided at `dueOn` where that closes the decision. */
export function decisionEndMs(approval: Approval): number {
  const closes = approval.status === 'PENDING' && approval.policy.dueOnMode === 'closesDecision' && approval.dueOnMs !== null;
  return closes ? Math.min(approval.dueOnMs ?? approval.expiresOnMs, approval.expiresOnMs) : approval.expiresOnMs;
}

/** The decision was wanted by now and is still open; it stays usable. */
export const isOverdue = (approval: Approval, nowMs: number): boolean =>
  approval.status === 'PENDING' && approval.dueOnMs !== null && nowOf(approval, nowMs) >= approval.dueOnMs;
