import { type Decision, formatInstant, formatPrincipal, type Principal, refuse, type Refusal, samePrincipal } from '#kernel';
import type { ApprovalBinding, ApprovalEvent, ApprovalPolicy, Vote } from './events.ts';
import { outsideChain } from './policy.ts';
import { type Approval, type ApprovalState, type ApprovalStatus, type BoundNow, isOverdue, statusNow } from './state.ts';

/** Who votes, withdraws or revokes: the authenticated actor and the key that spoke. */
export interface Voter {
  readonly principal: Principal;
  readonly keyId: string;
  /** The key is bound to this very principal. */
  readonly bound: boolean;
  /** Everybody the voter acts for or who answers for its key: one of them in the requester chain bars the vote. */
  readonly alsoFor: readonly Principal[];
  readonly isAdmin: boolean;
}

export type ApprovalCommand =
  | {
      readonly do: 'request';
      readonly id: string;
      readonly nowMs: number;
      readonly binding: ApprovalBinding;
      readonly policy: ApprovalPolicy;
      readonly eligible: readonly Principal[];
      readonly requester: Principal;
      readonly onBehalfOf: readonly Principal[];
      readonly chain: readonly Principal[];
      readonly requesterKeyId: string;
      readonly resourceMayBeMissing: boolean;
      readonly reason: string | null;
      readonly payload: object | null;
      readonly dueOnMs: number | null;
      readonly expiresOnMs: number;
    }
  | { readonly do: 'grant'; readonly id: string; readonly nowMs: number; readonly voter: Voter; readonly bound: BoundNow; readonly reason: string | null }
  | { readonly do: 'deny'; readonly id: string; readonly nowMs: number; readonly voter: Voter; readonly bound: BoundNow; readonly reason: string }
  | { readonly do: 'withdraw'; readonly id: string; readonly nowMs: number; readonly voter: Voter; readonly bound: BoundNow; readonly reason: string | null }
  | { readonly do: 'revoke'; readonly id: string; readonly nowMs: number; readonly voter: Voter; readonly bound: BoundNow; readonly reason: string };

type Command<Do extends ApprovalCommand['do']> = Extract<ApprovalCommand, { do: Do }>;
type Decided = Decision<ApprovalEvent>;

/** What a command does to one approval: the rows of the approval table. */
export function decideApproval(state: ApprovalState, command: ApprovalCommand): Decided {
  if (command.do === 'request') return request(state, command);
  if (state.status === 'NONE') return refuse('not-found', `There is no approval ${command.id} in this tenant and environment.`);
  switch (command.do) {
    case 'grant':
      return grant(state, command);
    case 'deny':
      return deny(state, command);
    case 'withdraw':
      return withdraw(state, command);
    case 'revoke':
      return revoke(state, command);
  }
}

const answer = (id: string, status: ApprovalStatus, events: readonly ApprovalEvent[], more: object = {}): Decided => ({ events, result: { approvalId: id, status, ...more } });

function request(state: ApprovalState, command: Command<'request'>): Decided {
  if (state.status !== 'NONE') return answer(command.id, statusNow(state, undefined, command.nowMs), [], { expiresOn: formatInstant(state.expiresOnMs) });
  const refusal = badTimes(command) ?? missingResource(command) ?? nobodyCouldGrant(command);
  if (refusal !== undefined) return refusal;
  const { do: _do, id, nowMs: _now, resourceMayBeMissing: _may, dueOnMs, expiresOnMs, ...data } = command;
  const expiresOn = formatInstant(expiresOnMs);
  const requested: ApprovalEvent = { type: 'ApprovalRequested', data: { ...data, dueOn: dueOnMs === null ? null : formatInstant(dueOnMs), expiresOn } };
  return answer(id, 'PENDING', [requested], { expiresOn });
}

const invalid = (path: string, message: string): Refusal => refuse('validation-failed', message, { errors: [{ path, message }] });

function badTimes({ nowMs, dueOnMs, expiresOnMs, policy }: Command<'request'>): Refusal | undefined {
  if (expiresOnMs <= nowMs) return invalid('payload.expiresOn', `expiresOn must lie after now (${formatInstant(nowMs)}).`);
  const ttlSeconds = (expiresOnMs - nowMs) / 1000;
  if (ttlSeconds < policy.minTtlSeconds || ttlSeconds > policy.maxTtlSeconds) {
    return invalid('payload.expiresOn', `The policy allows an approval to live from ${policy.minTtlSeconds} s to ${policy.maxTtlSeconds} s; expiresOn must lie between ${formatInstant(nowMs + policy.minTtlSeconds * 1000)} and ${formatInstant(nowMs + policy.maxTtlSeconds * 1000)}.`);
  }
  if (dueOnMs === null || (nowMs < dueOnMs && dueOnMs <= expiresOnMs)) return undefined;
  return invalid('payload.dueOn', `dueOn must lie after now (${formatInstant(nowMs)}) and not after expiresOn (${formatInstant(expiresOnMs)}).`);
}

const missingResource = ({ binding, resourceMayBeMissing }: Command<'request'>): Refusal | undefined =>
  binding.incarnation === 'NONE' && !resourceMayBeMissing ? refuse('not-found', `There is no ${binding.resourceId} in this tenant and environment for ${binding.commandType}.`) : undefined;

function nobodyCouldGrant({ eligible, chain, policy }: Command<'request'>): Refusal | undefined {
  const possible = outsideChain(eligible, chain).length;
  if (possible >= policy.minApprovals) return undefined;
  return refuse('approver-not-eligible', `${policy.minApprovals === 1 ? 'An approval is' : `${policy.minApprovals} approvals are`} needed, but outside the requester's chain ${possible === 0 ? 'nobody' : `only ${possible}`} could vote. An approver is a USER with an API key bound to them that has the site's :approve scope${policy.approvers === null ? '' : ' and stands in the policy\'s list'}.`, {
    needed: policy.minApprovals,
    possible,
  });
}

/** Statuses in which a vote is closed, each with the refusal that says so. */
function notPending(state: Approval, status: ApprovalStatus, id: string): Refusal | undefined {
  if (status === 'PENDING') return undefined;
  return refuse('approval-not-pending', `Approval ${id} is ${status}; only a PENDING approval is decided.`, { approvalStatus: status, ...(state.usedBy === null ? {} : { usedBy: state.usedBy }) });
}

function mayNotVote(state: Approval, voter: Voter): Refusal | undefined {
  const { principal, keyId, bound, alsoFor } = voter;
  const barred = [principal, ...alsoFor].find((one) => state.chain.some((other) => samePrincipal(one, other)));
  if (barred !== undefined) return refuse('approver-conflict', `${formatPrincipal(barred)} stands in the requester's chain: somebody else must decide.`);
  if (keyId === state.requesterKeyId) return refuse('approver-conflict', 'The request was made with this API key: a vote needs another one.');
  if (!bound && state.policy.voters !== 'ASSERTED') return refuse('approver-not-eligible', 'A vote needs an API key bound to the voter; this key speaks for any actor.');
  if (principal.type !== 'USER' && principal.type !== 'SERVICE') return refuse('approver-not-eligible', `A ${principal.type} never approves.`);
  if (!state.eligible.some((one) => samePrincipal(one, principal))) return refuse('approver-not-eligible', `${formatPrincipal(principal)} is not among the approvers of this request.`);
  return undefined;
}

const voteOf = ({ principal, keyId, bound }: Voter): Vote => ({ voter: principal, keyId, asserted: !bound });

function grant(state: Approval, { id, nowMs, voter, bound, reason }: Command<'grant'>): Decided {
  const refusal = notPending(state, statusNow(state, bound, nowMs), id) ?? mayNotVote(state, voter);
  if (refusal !== undefined) return refusal;
  if (state.votes.some((vote) => samePrincipal(vote.voter, voter.principal))) return refuse('approval-not-pending', `${formatPrincipal(voter.principal)} has voted on approval ${id} already.`);
  const cast: ApprovalEvent = { type: 'ApprovalVoteCast', data: { ...voteOf(voter), reason } };
  const votes = state.votes.length + 1;
  const progress = { approvals: votes, minApprovals: state.policy.minApprovals };
  if (votes < state.policy.minApprovals) return answer(id, 'PENDING', [cast], progress);
  return answer(id, 'APPROVED', [cast, { type: 'ApprovalGranted', data: {} }], progress);
}

function deny(state: Approval, { id, nowMs, voter, bound, reason }: Command<'deny'>): Decided {
  const refusal = notPending(state, statusNow(state, bound, nowMs), id) ?? mayNotVote(state, voter);
  return refusal ?? answer(id, 'DENIED', [{ type: 'ApprovalDenied', data: { ...voteOf(voter), reason } }]);
}

function withdraw(state: Approval, { id, nowMs, voter, bound, reason }: Command<'withdraw'>): Decided {
  if (!samePrincipal(voter.principal, state.requester)) return refuse('forbidden', `Only the requester, ${formatPrincipal(state.requester)}, withdraws approval ${id}; an approver may revoke it.`);
  const status = statusNow(state, bound, nowMs);
  if (status === 'WITHDRAWN') return answer(id, status, []);
  if (status !== 'PENDING' && status !== 'APPROVED') return closed(id, state, status);
  return answer(id, 'WITHDRAWN', [{ type: 'ApprovalWithdrawn', data: { reason } }]);
}

function revoke(state: Approval, { id, nowMs, voter, bound, reason }: Command<'revoke'>): Decided {
  const isApprover = state.votes.some((vote) => samePrincipal(vote.voter, voter.principal)) || state.eligible.some((one) => samePrincipal(one, voter.principal));
  if (!voter.isAdmin && !(isApprover && (voter.bound || state.policy.voters === 'ASSERTED'))) return refuse('approver-not-eligible', `${formatPrincipal(voter.principal)} is neither an approver of ${id} nor an administrator.`);
  const status = statusNow(state, bound, nowMs);
  if (status === 'REVOKED') return answer(id, status, []);
  if (status !== 'APPROVED') return closed(id, state, status);
  return answer(id, 'REVOKED', [{ type: 'ApprovalRevoked', data: { by: voter.principal, reason } }]);
}

const closed = (id: string, state: Approval, status: ApprovalStatus): Refusal =>
  status === 'CONSUMED'
    ? refuse('approval-already-used', `Approval ${id} was used by command ${state.usedBy ?? ''}.`, { commandId: state.usedBy })
    : refuse('approval-not-pending', `Approval ${id} is ${status}.`, { approvalStatus: status });

/** What housekeeping finds true of an approval that no event says yet. */
export function overdueFacts(state: ApprovalState, bound: BoundNow, nowMs: number): readonly ApprovalEvent[] {
  if (state.status !== 'PENDING' && state.status !== 'APPROVED') return [];
  const status = statusNow(state, bound, nowMs);
  if (status === 'EXPIRED') return [{ type: 'ApprovalExpired', data: {} }];
  if (status === 'INVALIDATED') return [{ type: 'ApprovalInvalidated', data: { cause: bound.policyVersion === state.binding.policyVersion ? 'resource-changed' : 'policy-changed' } }];
  return isOverdue(state, nowMs) && !state.overdueReminded ? [{ type: 'ApprovalDueReminded', data: {} }] : [];
}
