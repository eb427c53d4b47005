import { type Caller, type CommandAnswer, commandDefinitions, type CommandPipeline, type CommandRequest, createAggregates, createCommandPipeline, type World } from '#command-pipeline';
import type { ApprovalEvent } from '#approvals';
import { createInFlightLeases } from '#coordination/leases';
import type { EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { isRefusal, type JsonObject, type Principal, type RecordedEvent, type Refusal, samePrincipal, Secret, type Site, startOfLog, stored } from '#kernel';
import { createSecretVault, type SecretVault } from '#secret-vault';
import { seededIds } from './seeded-ids.ts';
import { type SimulatedClock, simulatedClock } from './simulated-clock.ts';

export const site: Site = { tenant: 'tnt_demo', environment: 'production' };
export const sam: Principal = { type: 'USER', id: 'usr_sam' };
export const kim: Principal = { type: 'USER', id: 'usr_kim' };
export const lee: Principal = { type: 'USER', id: 'usr_lee' };

/** A key bound to its actor, as the authenticator would describe it. */
export const boundKey = (principal: Principal, more: Partial<Caller> = {}): Caller => ({ keyId: `key_${principal.id}`, isRoot: false, boundTo: principal, owner: null, createdBy: null, isAdmin: false, ...more });
export const rootKey: Caller = { keyId: 'root', isRoot: true, boundTo: null, owner: null, createdBy: null, isAdmin: true };

type More = Partial<Omit<CommandRequest, 'commandType' | 'payload'>>;

/** The pipeline over a memory log, on a clock that stands still, with an index of approvals that is never late. */
export interface GovernedWorld {
  readonly clock: SimulatedClock;
  readonly store: EventStore;
  readonly log: MemoryLog;
  readonly vault: SecretVault;
  readonly world: World;
  readonly pipeline: CommandPipeline;
  /** Who may vote by default, and who owns whom. */
  readonly directory: { approvers: Principal[]; owners: [machine: Principal, owner: Principal][] };
  /** From now on the history has no delivery any more. */
  dropHistory(): void;
  /** Another process over the same log. `wrap` stands between it and the log. */
  another(wrap?: (store: EventStore) => EventStore): CommandPipeline;
  send(commandType: string, payload: JsonObject, more?: More): Promise<CommandAnswer | Refusal>;
  /** Sends, and fails the test when it is refused. */
  must(commandType: string, payload: JsonObject, more?: More): Promise<CommandAnswer>;
  /** Sends, and answers the code it is refused with. */
  refused(commandType: string, payload: JsonObject, more?: More): Promise<string>;
  events(type?: string): Promise<readonly RecordedEvent[]>;
}

export function governedWorld(): GovernedWorld {
  const clock = simulatedClock();
  const log = new MemoryLog();
  const directory: GovernedWorld['directory'] = { approvers: [kim, lee], owners: [] };
  const dropped = { current: false };
  let seed = 0;
  let keys = 0;

  function processOver(store: EventStore): { world: World; pipeline: CommandPipeline; vault: SecretVault } {
    const ids = seededIds((seed += 1));
    const masterKeys = { current: { id: 'test', sealingKey: new Secret(new Uint8Array(32).fill(9)) }, previous: null };
    const vault = createSecretVault({ store, masterKeys, clock, ids, secretsDir: '/nonexistent', environmentSecrets: () => undefined });
    const world: World = {
      store,
      vault,
      clock,
      ids,
      inFlight: createInFlightLeases(clock),
      approvals: {
        candidates: (where, commandType, resourceId) => approvalsIn(store, where, (data) => data.binding.commandType === commandType && data.binding.resourceId === resourceId),
        openRequests: (where, commandType, resourceId, requester) =>
          approvalsIn(store, where, (data) => data.binding.commandType === commandType && data.binding.resourceId === resourceId && samePrincipal(data.requester, requester)),
      },
      caughtUp: () => Promise.resolve(),
      directory: {
        eligibleApprovers: () => Promise.resolve(directory.approvers),
        ownersOf: (machine) => Promise.resolve(directory.owners.filter(([one]) => samePrincipal(one, machine)).map(([, owner]) => owner)),
      },
      refuseTarget: () => Promise.resolve(undefined),
      isInFlight: () => false,
      isKept: () => Promise.resolve(!dropped.current),
      dispatcherHasSeen: () => Promise.resolve(),
    };
    return { world, vault, pipeline: createCommandPipeline(world, commandDefinitions, createAggregates(store)) };
  }

  const store = createMemoryEventStore(log);
  const { world, vault, pipeline } = processOver(store);
  const send: GovernedWorld['send'] = (commandType, payload, more = {}) => pipeline.execute(commandOf(commandType, payload, { idempotencyKey: `key-${(keys += 1)}`, ...more }));
  return {
    clock,
    store,
    log,
    vault,
    world,
    pipeline,
    directory,
    dropHistory: () => void (dropped.current = true),
    another: (wrap = (inner) => inner) => processOver(wrap(createMemoryEventStore(log))).pipeline,
    send,
    must: async (commandType, payload, more) => {
      const answer = await send(commandType, payload, more);
      if (isRefusal(answer)) throw new Error(`${commandType} was refused: ${answer.refused}: ${answer.detail}`);
      return answer;
    },
    refused: async (commandType, payload, more) => {
      const answer = await send(commandType, payload, more);
      return isRefusal(answer) ? answer.refused : `not refused but ${answer.outcome}`;
    },
    events: async (type) => (await store.readAll(startOfLog, undefined, 1_000_000)).events.filter((event) => type === undefined || event.type === type),
  };
}

/** A request by Sam with Sam's own key, unless it says otherwise. */
export function commandOf(commandType: string, payload: JsonObject, more: More & { readonly idempotencyKey: string }): CommandRequest {
  const actor = more.actor ?? sam;
  return { commandType, payload, site, actor, caller: boundKey(actor), correlationId: 'test', ...more };
}

/** The approval commands of another person: Kim, with Kim's own key. */
export const asKim = { actor: kim, caller: boundKey(kim) } as const;

export const upsertOf = (webhookSubscriptionId: string, more: JsonObject = {}): JsonObject => ({
  webhookSubscriptionId,
  eventPattern: 'version.*',
  targetUrl: 'https://receiver.example/hook',
  signingSecretRef: 'managed',
  deliveryMode: 'AT_LEAST_ONCE',
  status: 'ACTIVE',
  ...more,
});

type Asked = Extract<ApprovalEvent, { type: 'ApprovalRequested' }>['data'];

async function approvalsIn(store: EventStore, where: Site, matches: (data: Asked) => boolean): Promise<readonly string[]> {
  const prefix = `approval-${where.tenant}.${where.environment}.`;
  const { events } = await store.readAll(startOfLog, { prefixes: [prefix] }, 1_000_000);
  return events.filter((event) => event.type === 'ApprovalRequested' && matches(stored<Extract<ApprovalEvent, { type: 'ApprovalRequested' }>>(event).data)).map(({ stream }) => stream.slice(prefix.length));
}

/** A store that hands every call on: what a test spreads to change one of them. */
export function through(inner: EventStore): EventStore {
  return {
    append: (...args) => inner.append(...args),
    readStream: (...args) => inner.readStream(...args),
    readAll: (...args) => inner.readAll(...args),
    subscribe: (...args) => inner.subscribe(...args),
    tombstone: (...args) => inner.tombstone(...args),
    head: () => inner.head(),
    close: () => inner.close(),
  };
}

