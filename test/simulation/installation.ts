import { approvalHousekeeping } from '#approvals';
import { type ApprovalIndex, type Caller, commandDefinitions, type CommandPipeline, createAggregates, createApprovalUpkeep, createCommandPipeline, type World } from '#command-pipeline';
import { createInFlightLeases } from '#coordination/leases';
import type { EventStore } from '#event-store';
import { type Clock, formatUuid, type Ids, type Principal, Secret, type Site } from '#kernel';
import { createSagaRunner, type SagaRunner } from '#sagas';
import { createSecretVault, type SecretVault } from '#secret-vault';
import type { Random } from './random.ts';

export const site: Site = { tenant: 'tnt_sim', environment: 'production' };
export const requester: Principal = { type: 'USER', id: 'usr_sam' };
export const approver: Principal = { type: 'USER', id: 'usr_kim' };

export const callerOf = (principal: Principal): Caller => ({ keyId: `key_${principal.id}`, isRoot: false, boundTo: principal, owner: null, createdBy: null, isAdmin: false });

const masterKeys = { current: { id: 'simulated', sealingKey: new Secret(new Uint8Array(32).fill(7)) }, previous: null };

/** One process: its own vault, caches, pipeline and housekeeping over the shared log. */
export interface Installation {
  readonly pipeline: CommandPipeline;
  readonly vault: SecretVault;
  /** Starts the saga that mirrors uses, repeats unfinished fences and records expiry. */
  readonly startHousekeeping: () => SagaRunner;
}

/** `approvalIds` is the index of approvals, as late and incomplete as the scenario likes. */
export function installationOn(store: EventStore, clock: Clock, random: Random, approvalIds: () => readonly string[]): Installation {
  const ids = seededIds(random);
  const vault = createSecretVault({ store, masterKeys, clock, ids, secretsDir: '/nonexistent', environmentSecrets: () => undefined });
  const approvals: ApprovalIndex = { candidates: () => Promise.resolve(approvalIds()), openRequests: () => Promise.resolve(approvalIds()) };
  const world: World = {
    store,
    vault,
    clock,
    ids,
    inFlight: createInFlightLeases(clock),
    approvals,
    caughtUp: () => Promise.resolve(),
    directory: { eligibleApprovers: () => Promise.resolve([approver]), ownersOf: () => Promise.resolve([]) },
    refuseTarget: () => Promise.resolve(undefined),
    isInFlight: () => false,
    isKept: () => Promise.resolve(true),
    dispatcherHasSeen: () => Promise.resolve(),
  };
  const aggregates = createAggregates(store);
  const pipeline = createCommandPipeline(world, commandDefinitions, aggregates);
  const startHousekeeping = (): SagaRunner => {
    const runner = createSagaRunner({ store, clock, ids, onAlarm: () => undefined, sagas: [approvalHousekeeping], execute: (request) => pipeline.execute(request), vault, approvals: createApprovalUpkeep(world, aggregates) });
    runner.start();
    return runner;
  };
  return { vault, pipeline, startHousekeeping };
}

export function seededIds(random: Random): Ids {
  const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256));
  return { randomBytes, uuid: () => formatUuid(randomBytes(16)) };
}
