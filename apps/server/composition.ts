import { approvalAnnouncements, approvalHousekeeping } from '#approvals';
import { createRefusalRecorder } from '#audit';
import { type Aggregates, commandDefinitions, type CommandPipeline, createAggregates, createApprovalUpkeep, createCommandPipeline, publishEvent, subscriptionFold, type World } from '#command-pipeline';
import { environmentSecret, type ServerConfig, type ServerRole } from '#config';
import { createInFlightLeases } from '#coordination/leases';
import type { RedisCoordination } from '#coordination/redis';
import type { RedisTarget } from '#coordination/redis-url';
import { defaultRetrySchedule, deliveryAnnouncements, subscriptionHealth, subscriptionTests } from '#deliveries';
import { createDispatcher, type Dispatcher, partitions, type Send } from '#dispatching';
import { type EventStore, patiently, StoreUnavailable } from '#event-store';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type Clock, type Ids, isRefusal, startOfLog, streamOf } from '#kernel';
import { operationalEvents } from '#publishing';
import { openReadModels, type ReadModels } from '#read-models';
import { type AnySaga, createFanOut, createRecoveries, createSagaRunner, type FanOut, type FollowerParts, Origins, type Recoveries, type RecoveriesParts, type SagaRunner, type SagaStatus } from '#sagas';
import { createSecretVault, loadMasterKeys, logIdOf, type VaultKeeping } from '#secret-vault';
import { subscriptionAnnouncements, subscriptionLifecycle } from '#subscriptions';
import { createMetrics, type Log, type Metrics } from '#telemetry';
import { createResolver, createSender, createTargetPolicy, resolveAndCheckTarget, type Sender } from '#webhook-sender';
import { currentDirectory } from './access/current-keys.ts';
import { openRootKey, type RootKey } from './access/root-key.ts';
import { createCurrentState } from './current-state.ts';
import { DispatchWork } from './dispatch-work.ts';
import { createFitness, feedReached } from './fitness.ts';
import type { ShellParts } from './http-server.ts';
import { LogBackups, noBackups } from './operations/log-backups.ts';
import { ownReport } from './operations/own-report.ts';
import { createProcessDesk, type ProcessDesk } from './operations/process-desk.ts';
import { ReadinessCheck } from './operations/readiness.ts';
import type { Backups, Commands, Publishing, Refusals, ServerFacts, Sharing } from './parts.ts';
import { claimedRole, leasedRole, ownRole, type Pieces, processName, type Role, type Work } from './roles.ts';
import { createProbing } from './webhooks/probing.ts';

/** Processes on one log write their transcripts side by side: each to the stream of the first partition that it sends for. */
const sharedTranscriptPartitions = 16;

/**
 * Who reacts to what, in one place. Read models: `projections` in the read-models lib, which folds them in a thread of
 * its own. Deliveries: the fan-out, and recoveries. Everything else that happens because something happened:
 */
const sagasOf = ({ historyDays, eventStore }: ServerConfig): readonly AnySaga[] => [
  approvalHousekeeping,
  subscriptionHealth(),
  subscriptionTests,
  subscriptionLifecycle({ historyDays, transcriptPartitions: eventStore === 'sqlite' ? 1 : sharedTranscriptPartitions }),
  operationalEvents({ ...approvalAnnouncements, ...deliveryAnnouncements, ...subscriptionAnnouncements }),
] as readonly AnySaga[];

/** Lists may be so much older than they need be. Nothing is sent later for it: the dispatcher follows what is read. */
const foldingRestMs = 10;

export interface Outside {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly version: string;
  /** Also count what the process as a whole does: memory, event loop, garbage collection. */
  readonly processMetrics: boolean;
  /** The log can't be written any more, or has lost what this process made something of: only a restart can tell what is there, so the process must end. */
  readonly onFatal: (error: Error) => void;
  readonly seams?: Seams;
}

/** Where a test stands between two parts, to see what the rest does when one of them is not itself. */
export interface Seams {
  readonly wrapPipeline?: (pipeline: CommandPipeline) => CommandPipeline;
  readonly wrapSend?: (send: Send) => Send;
}

/** Everything that runs in one process, put together. */
export interface Installation {
  readonly shell: ShellParts;
  /** Begins to react and to send, as the roles say. Resolves at once; `/health/ready` tells when all is under way. */
  start(): void;
  /** From now on it is not ready. */
  announceStop(): void;
  /** Reacts and sends no more: finishes what is under way, writes the checkpoints, and leaves the rest to other processes. Requests are still answered. */
  standDown(): Promise<void>;
  /** Stands down, and closes. */
  stop(): Promise<void>;
}

/** A store that comes up together with this process gets so long. */
const storeWithinMs = 30_000;

/**
 * Opens the log, the keys and the read models of the data folder and puts everything together on them. A store that several processes may
 * share is a process too, and may be busy: what it does not answer is asked again, for 30 s.
 */
export async function compose(outside: Outside): Promise<Installation> {
  const { config, clock, log } = outside;
  if (config.eventStore === 'sqlite') return await composeAll(outside);
  const late = new AbortController();
  const cancel = clock.after(storeWithinMs, () => late.abort(new StoreUnavailable(`the event store of KF_EVENT_STORE has not answered for ${storeWithinMs / 1_000} s`)));
  try {
    return await patiently(() => composeAll(outside), { clock, signal: late.signal, onTrouble: (error) => log.warn({ err: error }, 'the event store') });
  } finally {
    cancel();
  }
}

/** All of it, or nothing is left open. */
async function composeAll(outside: Outside): Promise<Installation> {
  const opened: Closing[] = [];
  try {
    return await composeOn(outside, opened);
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

type Closing = () => Promise<void>;

/** In the reverse order of their opening. */
async function closeAll(opened: readonly Closing[]): Promise<void> {
  for (const close of opened.toReversed()) await close();
}

async function composeOn(outside: Outside, opened: Closing[]): Promise<Installation> {
  const { config, clock, ids, log, version } = outside;
  const policy = createTargetPolicy(config);
  // The log is opened first, and what counts its commits needs the read models, which need the log; the dispatcher needs what counts.
  const counting: { metrics?: Metrics; dispatcher?: Dispatcher } = {};
  const { store, backups } = await openLog(outside, (events) => counting.metrics?.commit(events));
  opened.push(() => store.close());
  const { dataDir, secretsDir, historyDays } = config;
  const masterKeys = await loadMasterKeys({
    dataDir,
    masterKey: config.masterKey ?? undefined,
    previousMasterKey: config.masterKeyPrevious ?? undefined,
    shared: config.eventStore !== 'sqlite',
    store,
    logIsEmpty: (await store.head()) === startOfLog,
    clock,
    ids,
  });
  const rootKey = openRootKey(dataDir, config.rootKey, ids);
  const vault = createSecretVault({ store, masterKeys, clock, ids, secretsDir, environmentSecrets: environmentSecret });
  const readModels = await openReadModels({ dataDir, store, clock, historyDays, restMs: foldingRestMs, onAlarm: (alarm) => log.error(alarm, 'alarm') });
  opened.push(() => readModels.close());
  const coordination = config.redis === null ? null : await joinOthers(config.redis, clock, store);
  opened.push(() => Promise.resolve(coordination?.close()));
  const metrics = metricsOf(readModels, clock, outside.processMetrics, () => counting.dispatcher?.stats().failing ?? 0);
  counting.metrics = metrics;
  const resolve = createResolver({ clock });
  const sender = createSender({ policy, clock, resolve, userAgent: `Countersign/${version}`, onFailure: ({ cause, ...failure }) => log.warn({ ...failure, err: cause }, 'delivery request failed') });
  opened.push(() => sender.close());
  const aggregates = createAggregates(store);
  const parts: Parts = { outside, store, vault, readModels, aggregates, metrics, sender, coordination };
  const { dispatcher, dispatching } = dispatchingOf(parts);
  counting.dispatcher = dispatcher;
  const world = worldOf(parts, dispatcher, (url) => resolveAndCheckTarget(url, policy, resolve));
  const { wrapPipeline = (own: CommandPipeline) => own } = outside.seams ?? {};
  const pipeline = wrapPipeline(createCommandPipeline(world, commandDefinitions, aggregates));
  const reacting = reactingOf(parts, world, pipeline);
  const roles = rolesOf(parts, dispatching, reacting);
  const talking: { desk?: ProcessDesk } = {};
  const facts = factsOf(outside, readModels, roles, reacting, sharingOf(roles.sharing, () => talking.desk));
  const refusals = refusalsOf(parts, opened);
  const shell = { ...shellOf(parts, world, rootKey, commandsOf(pipeline, metrics, refusals), publishingOf(world, metrics), facts), refusals, backups };
  if (coordination !== null) talking.desk = deskOf(coordination, shell, clock);
  let standingDown: Promise<void> | undefined;
  const standDown = (): Promise<void> => (standingDown ??= roles.stop());
  return {
    shell,
    standDown,
    start: () => {
      readModels.start();
      roles.start();
      talking.desk?.start();
      if (masterKeys.previous !== null) void sealAnew(vault, log);
    },
    announceStop: () => {
      facts.stopping = true;
    },
    stop: async () => {
      await standDown();
      await talking.desk?.stop();
      await closeAll(opened);
    },
  };
}

/** Tells the processes that share the work what this one does. */
function deskOf({ processes }: RedisCoordination, { current, projections, facts }: ShellParts, clock: Clock): ProcessDesk {
  const readiness = new ReadinessCheck(current, projections, facts, clock);
  return createProcessDesk({ board: processes, clock, id: facts.sharing.own.id, report: async () => ownReport(facts, await readiness.look(), projections) });
}

/** The log of the data folder, which this process has for itself, or one that several processes may share. */
async function openLog({ config, clock, ids, log, onFatal }: Outside, onCommit: (events: number) => void): Promise<{ readonly store: EventStore; readonly backups: Backups }> {
  const { dataDir } = config;
  if (config.eventStore === 'sqlite') {
    const store = await openSqliteEventStore({ dataDir, onCommit: ({ events }) => onCommit(events), onFatal });
    return { store, backups: new LogBackups({ dataDir, store, clock, ids }) };
  }
  const connectionString = config.eventStore;
  // Its client would be a sixth of the heap of a server that has started: only who needs it loads it.
  const { openEventStoreDb } = await import('#event-store/eventstoredb');
  const onTrouble = (error: Error): void => log.warn({ err: error }, 'the event store');
  return { store: await openEventStoreDb({ connectionString, clock, onTrouble, onFatal }), backups: noBackups };
}

/** What the processes on a shared log divide the work through. Its client, too, is loaded only by who needs it. */
async function joinOthers(target: RedisTarget, clock: Clock, store: EventStore): Promise<RedisCoordination> {
  const { openRedis } = await import('#coordination/redis');
  return openRedis(target, clock, await logIdOf(store));
}

/** What KF_MASTER_KEY_PREVIOUS is set for: when this says that everything is sealed under the new key, the old one can go. */
async function sealAnew(vault: VaultKeeping, log: Log): Promise<void> {
  try {
    const { rewrapped, unchanged, unreadable } = await vault.rewrap();
    if (unreadable.length === 0) log.info({ rewrapped, unchanged }, 'every secret is sealed under the current master key');
    else log.error({ alarm: 'secrets-unreadable', rewrapped, unchanged, unreadable }, 'alarm');
  } catch (error) {
    // It goes on where it stopped at the next start; until then the previous key is still needed.
    log.error({ alarm: 'rewrap-unfinished', err: error }, 'alarm');
  }
}

interface Parts {
  readonly outside: Outside;
  readonly store: EventStore;
  readonly vault: ReturnType<typeof createSecretVault>;
  readonly readModels: ReadModels;
  readonly aggregates: Aggregates;
  readonly metrics: Metrics;
  readonly sender: Sender;
  /** Null: the processes on the log, if there are several, divide nothing. */
  readonly coordination: RedisCoordination | null;
}

const metricsOf = (readModels: ReadModels, clock: Clock, process: boolean, endpointsFailing: () => number): Metrics =>
  createMetrics(
    {
      now: () => clock.now(),
      projections: () => readModels.status(),
      endpointsFailing,
      openDeliveries: async () => {
        const [{ pending, scheduled }, oldestAtMs] = await Promise.all([readModels.queueDepth(), readModels.oldestUndeliveredAt()]);
        return { count: pending + scheduled, oldestAtMs };
      },
    },
    { process },
  );

/** A Pause that another process has acknowledged is noticed within so long. */
const viewTrustMs = 1_000;

function dispatchingOf({ outside, store, vault, readModels, aggregates, metrics, sender }: Parts): { readonly dispatcher: Dispatcher; readonly dispatching: DispatchWork } {
  const { clock, ids, log, config, onFatal } = outside;
  const { wrapSend = (own: Send) => own } = outside.seams ?? {};
  const shared = config.eventStore !== 'sqlite';
  const dispatcher: Dispatcher = createDispatcher({
    held: (partition) => dispatching.held(partition),
    ...(shared ? { transcriptPartition: () => transcriptPartitionOf(dispatching.taken()), limits: { viewTrustMs } } : {}),
    feed: {
      lanes: () => readModels.lanes(),
      open: (question) => readModels.openDeliveries(question),
      reached: (position) => feedReached(readModels, position),
    },
    subscription: (site, subscriptionId) => aggregates.load(streamOf('webhooksubscription', site, subscriptionId), subscriptionFold),
    store,
    send: wrapSend((request) => sender.attempt(request)),
    vault,
    clock,
    ids,
    schedule: config.retryScheduleMs ?? defaultRetrySchedule,
    onAlarm: (alarm) => log.error(alarm, 'alarm'),
    onAttempt: (line) => {
      metrics.attempt(line.decision.toLowerCase(), line.durationMs);
      log.info(line, 'attempt');
    },
  });
  const dispatching = new DispatchWork({ dispatcher, store, readModels, clock, log, onFatal });
  return { dispatcher, dispatching };
}

/** Different for processes that send for different parts, as long as they are not too many; where they are the same, they write in turn. */
const transcriptPartitionOf = ([first = 0]: readonly number[]): number => Math.floor((first * sharedTranscriptPartitions) / partitions.length);

function worldOf({ outside, store, vault, readModels, coordination }: Parts, dispatcher: Dispatcher, refuseTarget: World['refuseTarget']): World {
  const { clock, ids } = outside;
  return {
    store,
    vault,
    clock,
    ids,
    inFlight: coordination?.inFlight ?? createInFlightLeases(clock),
    approvals: {
      candidates: async (site, commandType, resourceId) => (await readModels.approvalCandidates({ site, commandType, resourceId })).map(({ id }) => id),
      openRequests: async (site, commandType, resourceId, requester) => (await readModels.openApprovalsBy(requester, { site, commandType, resourceId })).map(({ id }) => id),
    },
    caughtUp: async (position, timeoutMs) => {
      await readModels.waitFor(position, timeoutMs);
    },
    directory: currentDirectory(readModels),
    refuseTarget,
    isInFlight: (deliveryId) => dispatcher.isInFlight(deliveryId),
    isKept: async (site, deliveryId) => (await readModels.delivery(site, deliveryId)) !== undefined,
    dispatcherHasSeen: async (site, subscriptionId) => {
      await dispatcher.pauseSeen(site, subscriptionId);
    },
  };
}

interface Reacting {
  readonly pieces: Pieces;
  fanOut(): SagaStatus | undefined;
  /** Those that are under way, the fan-out and recoveries among them. */
  sagas(): readonly SagaStatus[];
}

/** A piece for each follower of the log, by its name. */
function reactingOf(parts: Parts, world: World, pipeline: CommandPipeline): Reacting {
  const running = new Map<string, Follows>();
  const pieceOf = (name: string, create: (again: () => void) => Follows): Work => ({
    begin: ({ again }) => {
      const begun = create(again);
      running.set(name, begun);
      begun.start();
      return async () => {
        await begun.stop();
        if (running.get(name) === begun) running.delete(name);
      };
    },
    troubles: () => {
      const statuses = [running.get(name)?.status() ?? []].flat();
      return statuses.filter(({ state }) => state === 'STOPPED').map((status) => `${status.name} has stopped (${status.why ?? 'asked to'})`);
    },
  });
  const followers = followersOf(parts, world, pipeline);
  return {
    pieces: new Map([...followers].map(([name, create]) => [name, pieceOf(name, create)])),
    fanOut: () => [running.get('fan-out')?.status() ?? []].flat()[0],
    sagas: () => [...running.values()].flatMap((follower) => follower.status()).filter(({ state }) => state === 'RUNNING'),
  };
}

/** What runs by itself, as the roles say. */
interface Roles {
  start(): void;
  stop(): Promise<void>;
  /** What is not as it should be, in words. */
  troubles(): readonly string[];
  readonly sharing: Omit<Sharing, 'others' | 'unheard'>;
}

function rolesOf(parts: Parts, dispatching: DispatchWork, reacting: Reacting): Roles {
  const { outside, store, readModels, coordination } = parts;
  const { config, ids } = outside;
  const id = ids.uuid();
  const fitness = createFitness({ ...outside, store, readModels });
  const roleOf = (role: ServerRole, pieces: Pieces): Role => {
    if (config.eventStore === 'sqlite') return ownRole(pieces);
    if (coordination === null) return claimedRole({ ...outside, store, role, pieces });
    return leasedRole({ ...outside, role, pieces, leases: coordination.leases, holder: id, unfit: () => fitness.unfit() });
  };
  const pieces: Partial<Record<ServerRole, Pieces>> = { sagas: reacting.pieces, dispatcher: dispatching.pieces };
  const named = config.roles.map((name) => ({ name, role: pieces[name] === undefined ? undefined : roleOf(name, pieces[name]) }));
  const roles = named.flatMap(({ role }) => role ?? []);
  return {
    start: () => {
      if (coordination !== null) fitness.start();
      for (const role of roles) role.start();
    },
    stop: async () => {
      fitness.stop();
      await Promise.all([dispatching.stop(), ...roles.map((role) => role.stop())]);
    },
    troubles: () => roles.flatMap((role) => role.troubles()),
    sharing: {
      by: config.eventStore === 'sqlite' ? 'none' : coordination === null ? 'log' : 'redis',
      own: { id, process: processName },
      all: { sagas: [...reacting.pieces.keys()], partitions },
      doing: () => ({
        roles: named.map(({ name, role }) => ({ role: name, ...(role?.report() ?? { state: 'HELD', why: null }) })),
        sagas: reacting.sagas().map(({ name, position, behindMs }) => ({ name, position, behindMs })),
        partitions: dispatching.taken(),
      }),
    },
  };
}

type Follows = SagaRunner | FanOut | Recoveries;

/** How each follower of the log is made, by its name; `again` is called when another process has written its checkpoint. */
function followersOf({ outside, store, vault, readModels, aggregates }: Parts, world: World, pipeline: CommandPipeline): ReadonlyMap<string, (again: () => void) => Follows> {
  const { clock, ids, log, config } = outside;
  const follower = (again: () => void): FollowerParts => ({
    store,
    clock,
    ids,
    onAlarm: (alarm) => {
      log.error(alarm, 'alarm');
      if (alarm.alarm === 'second-owner') again();
    },
  });
  const origins = new Origins(store);
  const approvals = createApprovalUpkeep(world, aggregates);
  const versions = {
    reached: (position: string, signal: AbortSignal) => readModels.reached('subscriptions', position, signal),
    overlapping: (site: Parameters<ReadModels['subscriptionVersions']>[0], after: string, through: string, subscriptionIds?: readonly string[]) => readModels.subscriptionVersions(site, { overlapping: [after, through], subscriptionIds }),
  };
  const selections: RecoveriesParts['selections'] = {
    reached: async (position, signal) => {
      await Promise.all(['deliveries', 'events', 'subscriptions'].map((name) => readModels.reached(name, position, signal)));
    },
    within: (of) => readModels.recordedWithin(of),
    deliveries: (selection) => readModels.selectDeliveries(selection),
    missed: (selection) => readModels.selectMissed(selection),
  };
  const execute: CommandPipeline['execute'] = (request) => pipeline.execute(request);
  return new Map<string, (again: () => void) => Follows>([
    ['fan-out', (again) => createFanOut({ ...follower(again), versions })],
    ['recoveries', (again) => createRecoveries({ ...follower(again), aggregates, execute, selections })],
    ...sagasOf(config).map((saga) => [saga.name, (again: () => void) => createSagaRunner({ ...follower(again), sagas: [saga], execute, vault, approvals, origins })] as const),
  ]);
}

/** What is refused is recorded behind the answer; what still waits at the stop, before the log is closed. */
function refusalsOf({ outside, store, readModels }: Parts, opened: Closing[]): Refusals {
  const { clock, ids, log } = outside;
  const recorder = createRefusalRecorder({ store, clock, ids, onAlarm: (alarm) => log.error(alarm, 'alarm') });
  opened.push(() => recorder.stop());
  return { record: (request, refusal) => recorder.record(request, refusal), list: (list) => readModels.listRefusals(list) };
}

const commandsOf = (pipeline: CommandPipeline, metrics: Metrics, refusals: Refusals): Commands => ({
  execute: async (request) => {
    const answer = await pipeline.execute(request);
    if (isRefusal(answer)) refusals.record(request, answer);
    metrics.command(request.commandType, isRefusal(answer) ? answer.refused : answer.replayed ? 'replayed' : answer.outcome.toLowerCase());
    return answer;
  },
  dryRun: (request) => pipeline.dryRun(request),
});

const publishingOf = (world: World, metrics: Metrics): Publishing => ({
  publish: async (publisher, event) => {
    const published = await publishEvent(world, publisher, event);
    metrics.published(isRefusal(published) ? published.refused : published.status.toLowerCase(), 1);
    return published;
  },
});

/** What the other processes say of themselves; without Redis nothing. */
function sharingOf(sharing: Roles['sharing'], desk: () => ProcessDesk | undefined): Sharing {
  const silence = sharing.by === 'log' ? 'processes that share a log hear of each other only through Redis' : null;
  return { ...sharing, others: () => desk()?.others() ?? [], unheard: () => desk()?.unheard() ?? silence };
}

const factsOf = ({ config, clock, version }: Outside, readModels: ReadModels, roles: Roles, reacting: Reacting, sharing: Sharing): ServerFacts & { stopping: boolean } => ({
  version,
  startedAtMs: clock.now(),
  roles: config.roles,
  stopping: false,
  troubles: () => roles.troubles(),
  openDeliveries: async () => {
    const { pending, scheduled } = await readModels.queueDepth();
    return pending + scheduled;
  },
  fanOut: () => reacting.fanOut(),
  sharing,
});

function shellOf({ outside, store, readModels, aggregates, metrics, sender }: Parts, world: World, rootKey: RootKey, commands: Commands, publishing: Publishing, facts: ServerFacts): Omit<ShellParts, 'refusals' | 'backups'> {
  const { clock, ids, log } = outside;
  return { clock, ids, log, metrics, rootKey, commands, publishing, probing: createProbing({ world, sender }), projections: readModels, reads: readModels, storyReads: readModels, logReader: store, current: createCurrentState(world, aggregates), facts };
}
