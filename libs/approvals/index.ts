export { approvalAnnouncements } from './announcements.ts';
export { type ApprovalCommand, decideApproval, overdueFacts, type Voter } from './decider.ts';
export { type ApprovalBinding, type ApprovalEvent, type ApprovalPolicy, type ApprovalPolicyEvent, type BindingLevel, type GateableCommand, gateableCommands, type Vote } from './events.ts';
export { approvalHousekeeping, type ApprovalOutput, type KeptApproval } from './housekeeping-saga.ts';
export { defaultPolicy, isGateable, maxTtlSeconds, outsideChain, policyDecider, type PolicyState, type SetPolicy } from './policy.ts';
export { approvalPolicyProjection, type ApprovalPolicyRow, approvalPolicyTable, approvalProjection, type ApprovalRow, approvalTable, principalKey } from './projection.ts';
export { type CommandRefused, isOnRecord, refusalProjection, type RefusalRow, refusalTable } from './refusal.ts';
export { type Approval, type ApprovalState, type ApprovalStatus, type BoundNow, decisionEndMs, evolveApproval, initialApproval, isOverdue, nowOf, statusNow } from './state.ts';
export { judgeUse, type Use } from './use.ts';
