import { type ApprovalBinding, type ApprovalCommand, type ApprovalEvent, type ApprovalState, type BoundNow, decideApproval, type GateableCommand, isGateable, statusNow, type Voter } from '#approvals';
import { type Actor, canonicalJson, isName, isRefusal, type Json, type JsonObject, type Principal, refuse, type Refusal, samePrincipal, type Site, streamOf } from '#kernel';
import type { Aggregates, Loaded } from '../aggregate.ts';
import { boundNow } from '../bound-now.ts';
import { actionDigest, boundPayload } from '../bound-payload.ts';
import type { AnyCommandDefinition, CommandDefinition, Context } from '../definition.ts';
import { fence, usedBefore } from '../fence.ts';
import { approvalFold, loadApproval, loadPolicy } from '../gate.ts';
import { instantOrNull, text, textOr } from '../payload.ts';
import type { Caller, CommandRequest } from '../port.ts';
import type { World } from '../world.ts';

type ApprovalDefinition = CommandDefinition<ApprovalState, ApprovalCommand, ApprovalEvent>;

/** The definition of a gateable command type: where its resource's stream is, and which incarnation it is of. */
type Gateable = (commandType: GateableCommand) => AnyCommandDefinition;

const onApproval = { category: 'approval', idMember: 'approvalId', fold: () => approvalFold, incarnation: () => 'NONE', decide: decideApproval } as const;

/** The approval commands. They need to know the commands they are about. */
export function approvalCommands(gateable: Gateable): readonly ApprovalDefinition[] {
  const voting = (type: string, command: (context: Context, voter: Voter, bound: BoundNow) => ApprovalCommand): ApprovalDefinition => ({
    ...onApproval,
    type,
    prepare: async (context, { state }) => {
      const voter = await voterOf(context);
      if (isRefusal(voter)) return voter;
      return command(context, voter, await boundNowOf(context, gateable, state));
    },
  });
  const reasonOf = ({ request }: Context): string => text(request.payload, 'reason');
  const reasonOrNull = ({ request }: Context): string | null => textOr(request.payload, 'reason', null);
  const at = ({ resourceId: id, nowMs }: Context): { readonly id: string; readonly nowMs: number } => ({ id, nowMs });
  const grant = voting('GrantApproval', (context, voter, bound) => ({ do: 'grant', ...at(context), voter, bound, reason: reasonOrNull(context) }));
  return [
    requestApproval(gateable),
    { ...grant, prepare: async (context, loaded) => needsRevision(context) ?? (await grant.prepare(context, loaded)) },
    voting('DenyApproval', (context, voter, bound) => ({ do: 'deny', ...at(context), voter, bound, reason: reasonOf(context) })),
    { ...voting('WithdrawApproval', (context, voter, bound) => ({ do: 'withdraw', ...at(context), voter, bound, reason: reasonOrNull(context) })), settle: fencing(gateable) },
    { ...voting('RevokeApproval', (context, voter, bound) => ({ do: 'revoke', ...at(context), voter, bound, reason: reasonOf(context) })), settle: fencing(gateable) },
  ];
}

/** What was shown is what is granted. */
const needsRevision = ({ request }: Context): Refusal | undefined =>
  request.expectedRevision === undefined ? refuse('precondition-required', 'GrantApproval needs expectedRevision: the revision of the approval that was looked at.') : undefined;

function requestApproval(gateable: Gateable): ApprovalDefinition {
  return {
    ...onApproval,
    type: 'RequestApproval',
    idPrefix: 'apr',
    locate: async ({ request, world, aggregates, nowMs }) => {
      const { site, actor } = request;
      const wanted = await wantedBinding(world, aggregates, gateable, site, request.payload);
      if (isRefusal(wanted)) return undefined;
      const { commandType, resourceId } = wanted.binding;
      for (const approvalId of await world.approvals.openRequests(site, commandType, resourceId, actor)) {
        const { state } = await loadApproval(aggregates, site, approvalId);
        if (isSameRequest(state, wanted, request, nowMs)) return approvalId;
      }
      return undefined;
    },
    prepare: async (context) => {
      const { request, resourceId: id, world, aggregates, nowMs } = context;
      const { site, payload, actor, caller } = request;
      const wanted = await wantedBinding(world, aggregates, gateable, site, payload);
      if (isRefusal(wanted)) return wanted;
      const { policy } = wanted;
      return {
        do: 'request',
        id,
        nowMs,
        binding: wanted.binding,
        policy,
        eligible: policy.approvers ?? (await world.directory.eligibleApprovers(site)),
        requester: { type: actor.type, id: actor.id },
        onBehalfOf: actor.onBehalfOf ?? [],
        chain: await chainOf(world, actor, caller),
        requesterKeyId: keyIdOf(caller),
        resourceMayBeMissing: mayBeMissing.has(wanted.binding.commandType),
        reason: textOr(payload, 'reason', null),
        payload: wanted.payload,
        ...timesOf(payload),
      };
    },
  };
}

/** An upsert may be about a subscription that is yet to be created; a policy always exists, as the default one. */
const mayBeMissing: ReadonlySet<string> = new Set<GateableCommand>(['UpsertWebhookSubscription', 'SetApprovalPolicy']);

const timesOf = (payload: JsonObject): { readonly dueOnMs: number | null; readonly expiresOnMs: number } => ({ dueOnMs: instantOrNull(payload, 'dueOn'), expiresOnMs: Date.parse(text(payload, 'expiresOn')) });

interface Wanted {
  readonly binding: ApprovalBinding;
  readonly policy: Awaited<ReturnType<typeof loadPolicy>>['state']['policy'];
  /** What would be changed, without secrets; null when the request did not say. */
  readonly payload: JsonObject | null;
}

async function wantedBinding(world: World, aggregates: Aggregates, gateable: Gateable, site: Site, payload: JsonObject): Promise<Wanted | Refusal> {
  const commandType = text(payload, 'commandType');
  const resourceId = text(payload, 'resourceId');
  if (!isGateable(commandType)) return invalid('payload.commandType', `${commandType} can't be gated, so no approval is given for it.`);
  if (!isChangedBy(commandType, resourceId)) return invalid('payload.resourceId', `${commandType} never changes a resource of the id ${resourceId}.`);
  const { policy, version } = (await loadPolicy(aggregates, site, commandType)).state;
  const definition = gateable(commandType);
  const kept = await keptPayload({ vault: world.vault, site, resourceId }, payload['payload'], definition.idMember);
  if (policy.binding === 'PAYLOAD' && kept === null) return invalid('payload.payload', `The policy binds an approval of ${commandType} to its payload: give the payload of the command that will be sent.`);
  const loaded = await aggregates.load(streamOf(definition.category, site, resourceId), definition.fold(resourceId));
  return {
    policy,
    payload: kept,
    binding: {
      commandType,
      resourceId,
      incarnation: definition.incarnation(loaded.state),
      level: policy.binding,
      actionDigest: policy.binding === 'PAYLOAD' && kept !== null ? await actionDigest(world.vault, site, kept) : null,
      policyVersion: version,
    },
  };
}

/** Policies are named by the command they gate; everything else by an id. */
const isChangedBy = (commandType: GateableCommand, resourceId: string): boolean => (commandType === 'SetApprovalPolicy' ? isGateable(resourceId) : isName(resourceId));

const keptPayload = async (of: Parameters<typeof boundPayload>[0], shown: Json | undefined, idMember: string): Promise<JsonObject | null> =>
  typeof shown === 'object' && shown !== null ? await boundPayload(of, shown as JsonObject, idMember) : null;

const invalid = (path: string, message: string): Refusal => refuse('validation-failed', message, { errors: [{ path, message }] });

/**
 * Identical: the same binding, shown payload, times and reason, by the same requester with the same key (its owner stands in
 * the chain) on behalf of the same people, and still open.
 */
function isSameRequest(state: ApprovalState, { binding, payload: kept }: Wanted, { payload, actor, caller }: CommandRequest, nowMs: number): boolean {
  if (state.status === 'NONE' || statusNow(state, binding, nowMs) !== 'PENDING') return false;
  const asked = { ...timesOf(payload), reason: textOr(payload, 'reason', null), behalf: actor.onBehalfOf ?? [], payload: kept, ...binding };
  const { dueOnMs, expiresOnMs, reason, onBehalfOf: behalf } = state;
  return samePrincipal(state.requester, actor) && state.requesterKeyId === keyIdOf(caller) && canonicalJson(asked as unknown as JsonObject) === canonicalJson({ dueOnMs, expiresOnMs, reason, behalf, payload: state.payload, ...state.binding } as unknown as JsonObject);
}

/** Everybody who may not decide: the requester, all it acts for, the owner of its key, and the owners of machines among them. */
async function chainOf(world: World, actor: Actor, caller: Caller | null): Promise<readonly Principal[]> {
  const named: Principal[] = [{ type: actor.type, id: actor.id }, ...(actor.onBehalfOf ?? []), ...ownerOf(caller)];
  const machines = named.filter(({ type }) => type === 'AGENT' || type === 'CONNECTOR' || type === 'SERVICE');
  const owners = (await Promise.all(machines.map((machine) => world.directory.ownersOf(machine)))).flat();
  return [...named, ...owners].filter((one, index, all) => all.findIndex((other) => samePrincipal(one, other)) === index);
}

const keyIdOf = (caller: Caller | null): string => caller?.keyId ?? 'saga';

const ownerOf = (caller: Caller | null): readonly Principal[] => (caller === null || caller.owner === null ? [] : [caller.owner]);

async function voterOf({ request, world }: Context): Promise<Voter | Refusal> {
  const { actor, caller } = request;
  if (caller === null) return refuse('forbidden', 'Only people decide on approvals.');
  const owners = actor.type === 'SERVICE' ? await world.directory.ownersOf(actor) : [];
  return {
    principal: { type: actor.type, id: actor.id },
    keyId: caller.keyId,
    bound: caller.boundTo !== null && samePrincipal(caller.boundTo, actor),
    alsoFor: [...(actor.onBehalfOf ?? []), ...ownerOf(caller), ...(caller.createdBy === null ? [] : [caller.createdBy]), ...owners],
    isAdmin: caller.isAdmin,
  };
}

const nothingBound: BoundNow = { policyVersion: 0, incarnation: 'NONE' };

const boundNowOf = async ({ aggregates, request, resourceId }: Context, gateable: Gateable, approval: ApprovalState): Promise<BoundNow> =>
  approval.status === 'NONE' ? nothingBound : await boundNow(aggregates, gateable(approval.binding.commandType), request.site, resourceId, approval.binding);

/** Nothing is acknowledged before the resource is fenced against an approval that was usable; a use found while fencing wins. */
const fencing =
  (gateable: Gateable) =>
  async ({ request, resourceId: approvalId, world, aggregates }: Omit<Context, 'firstEventId'>, _loaded: Loaded<ApprovalState>): Promise<Refusal | undefined> => {
    const { state } = await loadApproval(aggregates, request.site, approvalId);
    if (state.status === 'NONE' || !state.wasApproved) return undefined;
    const { commandType, resourceId } = state.binding;
    const end = await fence(world, aggregates, gateable(commandType), { site: request.site, approvalId, resourceId }, request.correlationId);
    return end === 'fenced' ? undefined : usedBefore(approvalId, end.usedBy);
  };
