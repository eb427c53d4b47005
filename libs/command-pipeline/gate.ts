import {
  type Approval,
  type ApprovalBinding,
  type ApprovalEvent,
  type ApprovalPolicyEvent,
  type ApprovalState,
  evolveApproval,
  type GateableCommand,
  initialApproval,
  isGateable,
  judgeUse,
  policyDecider,
  type PolicyState,
} from '#approvals';
import { type JsonObject, type Position, type Refusal, refuse, samePrincipal, sha256Hex, canonicalJson, formatInstant, type Site, streamOf } from '#kernel';
import type { Aggregates, ApprovalEnd, Fold, Loaded } from './aggregate.ts';
import { actionDigest, boundPayload } from './bound-payload.ts';
import type { CommandRequest } from './port.ts';
import type { World } from './world.ts';

/** An approval that the command will consume in the append of its effect. */
export interface Consumption {
  readonly approvalId: string;
  readonly expiresOnMs: number;
  readonly bindingDigest: string;
}

export const approvalFold: Fold<ApprovalState, ApprovalEvent> = { initialState: initialApproval, evolve: evolveApproval };

export const policyFold = (commandType: GateableCommand): Fold<PolicyState, ApprovalPolicyEvent> => policyDecider(commandType);

export const loadApproval = (aggregates: Aggregates, site: Site, approvalId: string): Promise<Loaded<ApprovalState>> => aggregates.load(streamOf('approval', site, approvalId), approvalFold);

/** The policy in force now, read from its stream: it holds for every command whose gate starts after the policy's answer. */
export const loadPolicy = (aggregates: Aggregates, site: Site, commandType: GateableCommand): Promise<Loaded<PolicyState>> =>
  aggregates.load(streamOf('approvalpolicy', site, commandType), policyFold(commandType));

/** What the gate looks at. */
export interface GateCase {
  readonly request: CommandRequest;
  readonly commandType: string;
  readonly resourceId: string;
  readonly idMember: string;
  readonly incarnation: string;
  readonly loaded: Loaded<unknown>;
  readonly nowMs: number;
  /** The command passes other gates too: the approval it names can be meant for one of those. */
  readonly oneOfSeveral: boolean;
  /** A position at or after the head when the command began: an index that has reached it has seen every earlier approval. */
  readonly head: () => Promise<Position>;
}

/** How long a gate that found no approval waits for the index before it looks once more. */
const indexWaitMs = 2_000;

/**
 * Asks the gate of one command type: what to consume (nothing where no policy requires it), or a refusal that names
 * everything that is missing.
 */
export async function passGate(world: World, aggregates: Aggregates, gate: GateCase): Promise<Consumption | undefined | Refusal> {
  const { commandType, request } = gate;
  if (!isGateable(commandType)) return undefined;
  const { state } = await loadPolicy(aggregates, request.site, commandType);
  if (!state.policy.required) return undefined;
  const bound = await boundPayload({ vault: world.vault, site: request.site, resourceId: gate.resourceId }, request.payload, gate.idMember);
  const binding: ApprovalBinding = {
    commandType,
    resourceId: gate.resourceId,
    incarnation: gate.incarnation,
    level: state.policy.binding,
    actionDigest: state.policy.binding === 'PAYLOAD' ? await actionDigest(world.vault, request.site, bound) : null,
    policyVersion: state.version,
  };
  const first = await lookForUsable(world, aggregates, gate, binding);
  if (first.usable !== undefined) return first.usable;
  // A named approval is read from its stream; only the index can be late.
  if (request.approvalId !== undefined && !gate.oneOfSeveral) return refuseUse(gate, bound, first.judged, state);
  await world.caughtUp(await gate.head(), indexWaitMs);
  const second = await lookForUsable(world, aggregates, gate, binding);
  return second.usable ?? refuseUse(gate, bound, second.judged, state);
}

interface Judged {
  readonly approvalId: string;
  readonly approval: Approval;
  readonly unmet: readonly Refusal[];
}

async function lookForUsable(world: World, aggregates: Aggregates, gate: GateCase, binding: ApprovalBinding): Promise<{ usable?: Consumption; judged: readonly Judged[] }> {
  const { request } = gate;
  const named = request.approvalId === undefined ? [] : [request.approvalId];
  const found = named.length === 0 || gate.oneOfSeveral ? await world.approvals.candidates(request.site, gate.commandType, gate.resourceId) : [];
  const ids = new Set([...named, ...found]);
  const judged = (await Promise.all([...ids].map((approvalId) => judge(aggregates, gate, binding, approvalId)))).filter((one) => one !== undefined);
  const usable = judged.filter(({ unmet }) => unmet.length === 0).sort((a, b) => a.approval.expiresOnMs - b.approval.expiresOnMs)[0];
  if (usable === undefined) return { judged };
  const { approvalId, approval } = usable;
  return { judged, usable: { approvalId, expiresOnMs: approval.expiresOnMs, bindingDigest: sha256Hex(canonicalJson({ ...approval.binding })) } };
}

async function judge(aggregates: Aggregates, gate: GateCase, binding: ApprovalBinding, approvalId: string): Promise<Judged | undefined> {
  const { state: approval } = await loadApproval(aggregates, gate.request.site, approvalId);
  if (approval.status === 'NONE') return undefined;
  const end = gate.loaded.endedApprovals.get(approvalId);
  return { approvalId, approval, unmet: [...endedOnResource(approvalId, approval.status, end), ...judgeUse(approval, { approvalId, actor: gate.request.actor, binding, nowMs: gate.nowMs })] };
}

/** What the resource says of an approval that has ended, where the approval's own stream does not say it. */
function endedOnResource(approvalId: string, status: Approval['status'], end: ApprovalEnd | undefined): readonly Refusal[] {
  if (end === undefined) return [];
  if (end === 'fenced') return status === 'APPROVED' ? [refuse('approval-revoked', `Approval ${approvalId} was revoked or withdrawn.`, { approvalId })] : [];
  return status === 'CONSUMED' ? [] : [refuse('approval-already-used', `Approval ${approvalId} was used by command ${end.usedBy}.`, { commandId: end.usedBy })];
}

/** The most telling condition of the named approval, or of the caller's own open request; else that one is required. Always with all that is unmet. */
function refuseUse(gate: GateCase, payload: JsonObject, judged: readonly Judged[], policy: PolicyState): Refusal {
  const { request, commandType, resourceId } = gate;
  const named = request.approvalId;
  if (named !== undefined && judged.length === 0) return refuse('not-found', `There is no approval ${named} in this tenant and environment.`);
  const needed = `${commandType} on ${resourceId} needs ${policy.policy.minApprovals === 1 ? 'an approval' : `${policy.policy.minApprovals} approvals`}`;
  const members = {
    unmet: judged.length === 0 ? [{ code: 'approval-required', detail: `${needed}.` }] : unmetOf(judged),
    candidates: judged.map(candidate),
    approvalRequest: requestTemplate(gate, payload, policy),
  };
  const telling = (named === undefined ? ownPending(judged, request) : judged[0])?.unmet[0];
  if (telling !== undefined) return refuse(telling.refused, telling.detail, { ...members, ...telling.members });
  return refuse('approval-required', `${needed} by other people. Ask for one with RequestApproval (kf approval request), then send the command again; the same idempotency key may be used.`, members);
}

const ownPending = (judged: readonly Judged[], { actor }: CommandRequest): Judged | undefined =>
  judged.find(({ approval, unmet }) => samePrincipal(approval.requester, actor) && unmet.every(({ refused }) => refused === 'approval-pending'));

const candidate = ({ approvalId, approval, unmet }: Judged): object => ({
  approvalId,
  status: approval.status,
  expiresOn: formatInstant(approval.expiresOnMs),
  unmet: unmet.map(({ refused }) => refused),
});

/** A day is what the template proposes; the policy may allow less, or ask for more. */
const proposedTtlSeconds = 24 * 60 * 60;

const ttlSecondsOf = ({ minTtlSeconds, maxTtlSeconds }: PolicyState['policy']): number => (minTtlSeconds < proposedTtlSeconds ? Math.min(proposedTtlSeconds, maxTtlSeconds) : maxTtlSeconds);

/** A body that `POST /api/commands/RequestApproval` takes as it is. */
function requestTemplate({ request, commandType, resourceId, nowMs }: GateCase, payload: JsonObject, { policy }: PolicyState): object {
  const expiresOn = formatInstant(nowMs + ttlSecondsOf(policy) * 1000);
  return {
    tenant: request.site.tenant,
    environment: request.site.environment,
    actor: request.actor,
    payload: { commandType, resourceId, expiresOn, ...(policy.binding === 'PAYLOAD' ? { payload } : {}) },
  };
}

const unmetOf = (judged: readonly Judged[]): readonly object[] => judged.flatMap(({ approvalId, unmet }) => unmet.map(({ refused, detail }) => ({ approvalId, code: refused, detail })));
