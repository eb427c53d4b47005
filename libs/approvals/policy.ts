import { type Decider, formatPrincipal, type Principal, refuse, type Refusal, samePrincipal, type Stored } from '#kernel';
import { type ApprovalPolicy, type ApprovalPolicyEvent, type GateableCommand, gateableCommands } from './events.ts';

export const isGateable = (commandType: string): commandType is GateableCommand => gateableCommands.some((known) => known === commandType);

export const maxTtlSeconds = 30 * 24 * 60 * 60;

/** What holds where nobody has set a policy: rotation needs one approval, nothing else is gated. */
export function defaultPolicy(commandType: GateableCommand): ApprovalPolicy {
  return {
    required: commandType === 'RotateWebhookSubscriptionSecret',
    minApprovals: 1,
    approvers: null,
    binding: commandType === 'UpsertWebhookSubscription' ? 'PAYLOAD' : 'RESOURCE',
    minTtlSeconds: 1,
    maxTtlSeconds,
    dueOnMode: 'reminder',
    executor: 'REQUESTER',
    voters: 'BOUND',
  };
}

/** The policy of one command type in one site, and its version: how often it was set. */
export interface PolicyState {
  readonly policy: ApprovalPolicy;
  readonly version: number;
}

/** What `SetApprovalPolicy` asks. `overridesGate`: the root key sets it past the policy's own gate. Members left out keep their value. */
export interface SetPolicy {
  readonly commandType: GateableCommand;
  readonly change: Partial<ApprovalPolicy>;
  readonly overridesGate: boolean;
  /** Who asks for it: a list that needs their vote could not decide what they themselves ask for. */
  readonly setBy: Principal;
}

/** The policy of one command type. Refuses `validation-failed` when nobody could ever meet it. */
export function policyDecider(commandType: GateableCommand): Decider<PolicyState, SetPolicy, ApprovalPolicyEvent> {
  return {
    initialState: { policy: defaultPolicy(commandType), version: 0 },
    evolve: (state: PolicyState, event: Stored<ApprovalPolicyEvent>): PolicyState => ({ policy: event.data, version: state.version + 1 }),
    decide: (state, command) => {
      const policy: ApprovalPolicy = { ...state.policy, ...command.change };
      const refusal = unmeetable(policy, command.setBy);
      if (refusal !== undefined) return refusal;
      const result = { commandType, ...policy };
      if (sameJson(policy, state.policy)) return { events: [], result };
      return { events: [{ type: command.overridesGate ? 'ApprovalPolicyOverridden' : 'ApprovalPolicySet', data: policy }], result };
    },
  };
}

const sameJson = (a: ApprovalPolicy, b: ApprovalPolicy): boolean =>
  (Object.keys(b) as (keyof ApprovalPolicy)[]).every((name) => JSON.stringify(a[name]) === JSON.stringify(b[name]));

const neverVote: ReadonlySet<string> = new Set(['AGENT', 'CONNECTOR', 'SYSTEM']);

function unmeetable(policy: ApprovalPolicy, setBy: Principal): Refusal | undefined {
  const wrong = (path: string, message: string): Refusal => refuse('validation-failed', message, { errors: [{ path: `payload.${path}`, message }] });
  const { approvers, minApprovals } = policy;
  if (policy.minTtlSeconds > policy.maxTtlSeconds) return wrong('maxTtlSeconds', `maxTtlSeconds must be at least minTtlSeconds (${policy.minTtlSeconds}).`);
  if (approvers === null) return undefined;
  const barred = approvers.find((approver) => neverVote.has(approver.type));
  if (barred !== undefined) return wrong('approvers', `A ${barred.type} never approves: list USER (or SERVICE) principals.`);
  const distinct = approvers.filter((approver, index) => approvers.findIndex((other) => samePrincipal(other, approver)) === index);
  const others = outsideChain(distinct, [setBy]).length;
  if (distinct.length > 0 && others < minApprovals) return wrong('approvers', `The list must hold at least ${minApprovals} approver(s) beside ${formatPrincipal(setBy)}, who can't approve their own requests; it holds ${others}.`);
  return undefined;
}

/** Those of a list who are not in the chain of a request: who could really vote. */
export const outsideChain = (principals: readonly Principal[], chain: readonly Principal[]): readonly Principal[] =>
  principals.filter((one) => !chain.some((other) => samePrincipal(one, other)));
