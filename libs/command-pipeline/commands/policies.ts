import { type ApprovalPolicy, type ApprovalPolicyEvent, type GateableCommand, isGateable, policyDecider, type PolicyState, type SetPolicy } from '#approvals';
import type { JsonObject, Refusal } from '#kernel';
import { policyFold } from '../gate.ts';
import type { CommandDefinition } from '../definition.ts';

const members = ['required', 'minApprovals', 'approvers', 'binding', 'minTtlSeconds', 'maxTtlSeconds', 'dueOnMode', 'executor', 'voters'] as const satisfies readonly (keyof ApprovalPolicy)[];

const typeOf = (resourceId: string): GateableCommand => {
  if (!isGateable(resourceId)) throw new TypeError(`${resourceId} can't be gated`);
  return resourceId;
};

interface Prepared {
  readonly command: SetPolicy;
}

const setPolicy: CommandDefinition<PolicyState, Prepared, ApprovalPolicyEvent> = {
  type: 'SetApprovalPolicy',
  category: 'approvalpolicy',
  idMember: 'commandType',
  fold: (resourceId) => policyFold(typeOf(resourceId)),
  gates: () => ['SetApprovalPolicy'],
  incarnation: () => 'NONE',
  prepare: ({ request, resourceId, overridesGate }) => Promise.resolve<Prepared | Refusal>({ command: { commandType: typeOf(resourceId), change: changeOf(request.payload), overridesGate, setBy: request.actor } }),
  decide: (state, { command }) => policyDecider(command.commandType).decide(state, command),
};

/** The members that the payload names; the others stay as they are. */
const changeOf = (payload: JsonObject): Partial<ApprovalPolicy> => Object.fromEntries(members.flatMap((name) => (payload[name] === undefined ? [] : [[name, payload[name]]])));

export const policyCommands = [setPolicy] as const;
