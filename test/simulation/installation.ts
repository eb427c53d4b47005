import { type ApprovalIndex, type Caller, commandDefinitions, type CommandPipeline, createCommandPipeline, type World } from '#command-pipeline';
import type { EventStore } from '#event-store';
import { type Clock, formatUuid, type Ids, type Principal, Secret, type Site } from '#kernel';
import { createSecretVault, type SecretVault } from '#secret-vault';
import type { Random } from './random.ts';

export const site: Site = { tenant: 'tnt_sim', environment: 'production' };
export const requester: Principal = { type: 'USER', id: 'usr_sam' };
export const approver: Principal = { type: 'USER', id: 'usr_kim' };

export const callerOf = (principal: Principal): Caller => ({ keyId: `key_${principal.id}`, isRoot: false, boundTo: principal, owner: null, isAdmin: false });

const masterKeys = { current: { id: 'simulated', sealingKey: new Secret(new Uint8Array(32).fill(7)) }, previous: null };

/** One process: its own vault, caches and pipeline over the shared log. */
export interface Installation {
  readonly pipeline: CommandPipeline;
  readonly vault: SecretVault;
}

/** `approvalIds` is the index of approvals, as late and incomplete as the scenario likes. */
export function installationOn(store: EventStore, clock: Clock, random: Random, approvalIds: () => readonly string[]): Installation {
  const ids = seededIds(random);
  const vault = createSecretVault({ store, masterKeys, clock, ids, secretsDir: '/nonexistent', environmentSecrets: () => undefined });
  const approvals: ApprovalIndex = { candidates: () => Promise.resolve(approvalIds()), openRequests: () => Promise.resolve([]) };
  const world: World = {
    store,
    vault,
    clock,
    ids,
    approvals,
    caughtUp: () => Promise.resolve(),
    directory: { eligibleApprovers: () => Promise.resolve([approver]), ownersOf: () => Promise.resolve([]) },
    refuseTarget: () => Promise.resolve(undefined),
    isInFlight: () => false,
    dispatcherHasSeen: () => Promise.resolve(),
  };
  return { vault, pipeline: createCommandPipeline(world, commandDefinitions) };
}

export function seededIds(random: Random): Ids {
  const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256));
  return { randomBytes, uuid: () => formatUuid(randomBytes(16)) };
}
