import type { GateableCommand } from '#approvals';
import { type AnyCommandDefinition, anyDefinition } from '../definition.ts';
import { accessCommands } from './access.ts';
import { approvalCommands } from './approvals.ts';
import { deliveryCommands } from './deliveries.ts';
import { policyCommands } from './policies.ts';
import { recoveryCommands } from './recoveries.ts';
import { subscriptionCommands } from './subscriptions.ts';
import { testCommands } from './tests.ts';

const resources = [
  ...subscriptionCommands.map(anyDefinition),
  ...deliveryCommands.map(anyDefinition),
  ...recoveryCommands.map(anyDefinition),
  ...testCommands.map(anyDefinition),
  ...policyCommands.map(anyDefinition),
  ...accessCommands.map((one) => one as unknown as AnyCommandDefinition),
];

/** The definition of a command type that a policy may gate. */
export function gateableDefinition(commandType: GateableCommand): AnyCommandDefinition {
  const found = resources.find(({ type }) => type === commandType);
  if (found === undefined) throw new TypeError(`no definition of ${commandType}`);
  return found;
}

/** Every command type that goes through the pipeline (PublishEvent has its own, shorter path). */
export const commandDefinitions: readonly AnyCommandDefinition[] = [...resources, ...approvalCommands(gateableDefinition).map(anyDefinition)];
