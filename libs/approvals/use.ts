import { type Actor, formatInstant, formatPrincipal, refuse, type Refusal, samePrincipal } from '#kernel';
import type { ApprovalBinding } from './events.ts';
import { type Approval, statusNow } from './state.ts';

/** What a gated command is about to do: what an approval must have been given for. */
export interface Use {
  readonly approvalId: string;
  readonly actor: Actor;
  /** The binding as the command has it now, with the policy's present version. */
  readonly binding: ApprovalBinding;
  readonly nowMs: number;
}

/**
 * Every condition that stands against using this approval for this command now; none: it may be used. The first is the
 * most telling one.
 */
export function judgeUse(approval: Approval, use: Use): readonly Refusal[] {
  return [...bindingUnmet(approval.binding, use.binding, use.approvalId), ...stateUnmet(approval, use), ...executorUnmet(approval, use)];
}

function bindingUnmet(granted: ApprovalBinding, wanted: ApprovalBinding, id: string): Refusal[] {
  const mismatch = (what: string): Refusal => refuse('approval-binding-mismatch', `Approval ${id} was given for ${what}.`);
  const unmet: Refusal[] = [];
  if (granted.commandType !== wanted.commandType) unmet.push(mismatch(`${granted.commandType}, not for ${wanted.commandType}`));
  if (granted.resourceId !== wanted.resourceId) unmet.push(mismatch(`${granted.resourceId}, not for ${wanted.resourceId}`));
  if (unmet.length > 0) return unmet;
  if (granted.level === 'PAYLOAD' && granted.actionDigest !== wanted.actionDigest) {
    unmet.push(refuse('approval-binding-mismatch', `Approval ${id} was given for another payload.`, { approvedDigest: granted.actionDigest, presentedDigest: wanted.actionDigest }));
  }
  return unmet;
}

function stateUnmet(approval: Approval, { approvalId, binding, nowMs }: Use): Refusal[] {
  const bound = approval.binding.commandType === binding.commandType && approval.binding.resourceId === binding.resourceId ? binding : undefined;
  const status = statusNow(approval, bound, nowMs);
  switch (status) {
    case 'APPROVED':
      return [];
    case 'PENDING':
      return [refuse('approval-pending', `Approval ${approvalId} has ${approval.votes.length} of ${approval.policy.minApprovals} votes; it must be granted before ${formatInstant(approval.expiresOnMs)}.`, { approvalId })];
    case 'CONSUMED':
      return [refuse('approval-already-used', `Approval ${approvalId} was used by command ${approval.usedBy ?? ''}.`, { commandId: approval.usedBy })];
    case 'EXPIRED':
      return [refuse('approval-expired', `Approval ${approvalId} expired at ${formatInstant(approval.expiresOnMs)}.`, { approvalId })];
    case 'DENIED':
      return [refuse('approval-denied', `Approval ${approvalId} was denied.`, { approvalId })];
    case 'WITHDRAWN':
      return [refuse('approval-withdrawn', `Approval ${approvalId} was withdrawn by its requester.`, { approvalId })];
    case 'REVOKED':
      return [refuse('approval-revoked', `Approval ${approvalId} was revoked.`, { approvalId })];
    case 'INVALIDATED':
      return [refuse('approval-invalidated', `Approval ${approvalId} was given under another policy or for a resource that has been replaced since.`, { approvalId })];
  }
}

function executorUnmet(approval: Approval, { approvalId, actor }: Use): Refusal[] {
  if (approval.votes.some((vote) => samePrincipal(vote.voter, actor))) return [refuse('approval-required', `${formatPrincipal(actor)} voted on approval ${approvalId}: a voter can't use it.`)];
  if (approval.policy.executor === 'REQUESTER' && !samePrincipal(actor, approval.requester)) return [refuse('approval-required', `Approval ${approvalId} may be used by its requester only.`)];
  return [];
}
