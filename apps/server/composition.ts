import { approvalAnnouncements, approvalHousekeeping } from '#approvals';
import { createRefusalRecorder } from '#audit';
import { type Aggregates, commandDefinitions, type CommandPipeline, createAggregates, createApprovalUpkeep, createCommandPipeline, publishEvent, subscriptionFold, type World } from '#command-pipeline';
import { environmentSecret, type ServerConfig, type ServerRole } from '#config';
import { createInFlightLeases } from '#coordination/leases';
import { defaultRetrySchedule, deliveryAnnouncements, subscriptionHealth, subscriptionTests } from '#deliveries';
import { createDispatcher, type Dispatcher, partitions, type Send } from '#dispatching';
import { type EventStore, patiently, StoreUnavailable } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type Clock, type Ids, isRefusal, startOfLog, streamOf } from '#kernel';
import { operationalEvents } from '#publishing';
import { openReadModels, type ReadModels } from '#read-models';
import { type AnySaga, createFanOut, createRecoveries, createSagaRunner, type FanOut, type Recoveries, type RecoveriesParts, type SagaAlarm, type SagaRunner, type SagaStatus } from '#sagas';
import { createSecretVault, loadMasterKeys, type VaultKeeping } from '#secret-vault';
import { subscriptionAnnouncements, subscriptionLifecycle } from '#subscriptions';
import { createMetrics, type Log, type Metrics } from '#telemetry';
import { createResolver, createSender, createTargetPolicy, resolveAndCheckTarget, type Sender } from '#webhook-sender';
import { currentDirectory } from './access/current-keys.ts';
import { openRootKey, type RootKey } from './access/root-key.ts';
import { createCurrentState } from './current-state.ts';
import type { ShellParts } from './http-server.ts';
import { LogBackups, noBackups } from './operations/log-backups.ts';
import type { Backups, Commands, Publishing, Refusals, ServerFacts, Sharing } from './parts.ts';
import { claimedRole, ownRole, processName, type Role, type Work } from './roles.ts';
import { createProbing } from './webhooks/probing.ts';

/**
 * Who reacts to what, in one place. Read models: `projections` in the read-models lib, which folds them in a thread of
 * its own. Deliveries: the fan-out, and recoveries. Everything else that happens because something happened:
 */
const sagasOf = (config: ServerConfig): readonly AnySaga[] => [
  approvalHousekeeping,
  subscriptionHealth(),
  subscriptionTests,
  subscriptionLifecycle({ historyDays: config.historyDays, transcriptPartitions: 1 }),
  operationalEvents({ ...approvalAnnouncements, ...deliveryAnnouncements, ...subscriptionAnnouncements }),
] as readonly AnySaga[];

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
  /** Finishes what is under way, writes the checkpoints, closes. */
  stop(): Promise<void>;
}

/** Opens the log, the keys and the read models of the data folder and puts everything together on them. */
export async function compose(outside: Outside): Promise<Installation> {
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
  // The log is opened first, and what counts its commits needs the read models, which need the log.
  const counting: { metrics?: Metrics } = {};
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
  const readModels = await openReadModels({ dataDir, store, clock, historyDays, onAlarm: (alarm) => log.error(alarm, 'alarm') });
  opened.push(() => readModels.close());
  const metrics = metricsOf(readModels, clock, outside.processMetrics);
  counting.metrics = metrics;
  const resolve = createResolver({ clock });
  const sender = createSender({ policy, clock, resolve, userAgent: `Countersign/${version}`, onFailure: ({ cause, ...failure }) => log.warn({ ...failure, err: cause }, 'delivery request failed') });
  opened.push(() => sender.close());
  const aggregates = createAggregates(store);
  const parts: Parts = { outside, store, vault, readModels, aggregates, metrics, sender };
  const dispatching = dispatchingOf(parts);
  const world = worldOf(parts, dispatching, (url) => resolveAndCheckTarget(url, policy, resolve));
  const { wrapPipeline = (own: CommandPipeline) => own } = outside.seams ?? {};
  const pipeline = wrapPipeline(createCommandPipeline(world, commandDefinitions, aggregates));
  const roles = rolesOf(parts, dispatching, reactingOf(parts, world, pipeline));
  const facts = factsOf(outside, readModels, roles);
  const refusals = refusalsOf(parts, opened);
  const shell = { ...shellOf(parts, world, rootKey, commandsOf(pipeline, metrics, refusals), publishingOf(world, metrics), facts), refusals, backups };
  return {
    shell,
    start: () => {
      readModels.start();
      roles.start();
      if (masterKeys.previous !== null) void sealAnew(vault, log);
    },
    announceStop: () => {
      facts.stopping = true;
    },
    stop: async () => {
      await roles.stop();
      await closeAll(opened);
    },
  };
}

/** A store that comes up together with this process gets so long. */
const storeWithinMs = 30_000;

/** The log of the data folder, which this process has for itself, or one that several processes may share. */
async function openLog({ config, clock, ids, log, onFatal }: Outside, onCommit: (events: number) => void): Promise<{ readonly store: EventStore; readonly backups: Backups }> {
  const { dataDir } = config;
  if (config.eventStore === 'sqlite') {
    const store = await openSqliteEventStore({ dataDir, onCommit: ({ events }) => onCommit(events), onFatal });
    return { store, backups: new LogBackups({ dataDir, store, clock, ids }) };
  }
  const connectionString = config.eventStore;
  const onTrouble = (error: Error): void => log.warn({ err: error }, 'the event store');
  const late = new AbortController();
  const cancel = clock.after(storeWithinMs, () => late.abort(new StoreUnavailable(`the event store of KF_EVENT_STORE has not answered for ${storeWithinMs / 1_000} s`)));
  try {
    return { store: await patiently(() => openEventStoreDb({ connectionString, clock, onTrouble, onFatal }), { clock, signal: late.signal, onTrouble }), backups: noBackups };
  } finally {
    cancel();
  }
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
}

const metricsOf = (readModels: ReadModels, clock: Clock, process: boolean): Metrics =>
  createMetrics(
    {
      now: () => clock.now(),
      projections: () => readModels.status(),
      openDeliveries: async () => {
        const [{ pending, scheduled }, oldestAtMs] = await Promise.all([readModels.queueDepth(), readModels.oldestUndeliveredAt()]);
        return { count: pending + scheduled, oldestAtMs };
      },
    },
    { process },
  );

function dispatcherOf({ outside, store, vault, readModels, aggregates, metrics, sender }: Parts): Dispatcher {
  const { clock, ids, log, config } = outside;
  const { wrapSend = (own: Send) => own } = outside.seams ?? {};
  return createDispatcher({
    feed: {
      lanes: () => readModels.lanes(),
      open: (question) => readModels.openDeliveries(question),
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
}

function worldOf({ outside, store, vault, readModels }: Parts, dispatching: Dispatching, refuseTarget: World['refuseTarget']): World {
  const { clock, ids } = outside;
  return {
    store,
    vault,
    clock,
    ids,
    inFlight: createInFlightLeases(clock),
    approvals: {
      candidates: async (site, commandType, resourceId) => (await readModels.approvalCandidates({ site, commandType, resourceId })).map(({ id }) => id),
      openRequests: async (site, commandType, resourceId, requester) => (await readModels.openApprovalsBy(requester, { site, commandType, resourceId })).map(({ id }) => id),
    },
    caughtUp: async (position, timeoutMs) => {
      await readModels.waitFor(position, timeoutMs);
    },
    directory: currentDirectory(readModels),
    refuseTarget,
    isInFlight: (deliveryId) => dispatching.dispatcher()?.isInFlight(deliveryId) ?? false,
    isKept: async (site, deliveryId) => (await readModels.delivery(site, deliveryId)) !== undefined,
    dispatcherHasSeen: async (site, subscriptionId) => {
      await dispatching.dispatcher()?.pauseSeen(site, subscriptionId);
    },
  };
}

interface Dispatching extends Work {
  dispatcher(): Dispatcher | undefined;
  /** To which it sends now. */
  partitions(): readonly number[];
  /** What is under way when it ends may end, and its outcome be recorded, however long the store is away, but from now on for 15 s at most. */
  hurry(): void;
}

/** A request that is under way may end, and its outcome be recorded, for so long after the server was asked to stop. */
const dispatchGraceMs = 15_000;
/** A read model may be a whole rebuild behind; so may the store be away. */
const aDayMs = 24 * 60 * 60 * 1_000;

function dispatchingOf(parts: Parts): Dispatching {
  const { outside, store, readModels } = parts;
  const { clock, log } = outside;
  const hurry = Promise.withResolvers<void>();
  let dispatcher: Dispatcher | undefined;
  let state: 'starting' | 'running' | 'stopped' = 'starting';

  /** What the read model does not know as sent would be sent again. */
  async function start(started: Dispatcher, signal: AbortSignal): Promise<void> {
    const onTrouble = (error: Error): void => log.warn({ err: error }, 'the dispatcher waits for the event store');
    const head = await patiently(() => store.head(), { clock, signal, onTrouble });
    await readModels.waitFor(head, aDayMs);
    if (signal.aborted) return;
    await started.take(partitions);
    if (!signal.aborted) state = 'running';
  }

  return {
    dispatcher: () => dispatcher,
    hurry: () => hurry.resolve(),
    partitions: () => (state === 'running' ? partitions : []),
    troubles: () => (state === 'running' ? [] : [`the dispatcher is ${state}`]),
    begin: () => {
      const begun = dispatcherOf(parts);
      const ended = new AbortController();
      const forget = readModels.onCommitted((batch) => begun.onCommitted(batch));
      dispatcher = begun;
      state = 'starting';
      void start(begun, ended.signal).catch((error: unknown) => {
        if (!ended.signal.aborted) outside.onFatal(error instanceof Error ? error : new Error(String(error)));
      });
      return async () => {
        state = 'stopped';
        ended.abort(new Error('the dispatcher was stopped'));
        await Promise.race([begun.stop({ graceMs: aDayMs }), hurry.promise.then(() => begun.stop({ graceMs: dispatchGraceMs }))]);
        forget();
        dispatcher = undefined;
      };
    },
  };
}

interface Reacting extends Work {
  fanOut(): ReturnType<FanOut['status']> | undefined;
  /** Those that are under way, the fan-out and recoveries among them. */
  sagas(): readonly SagaStatus[];
}

function reactingOf(parts: Parts, world: World, pipeline: CommandPipeline): Reacting {
  let followers: ReturnType<typeof followersOf> | undefined;
  return {
    begin: (again) => {
      const begun = followersOf(parts, world, pipeline, again);
      followers = begun;
      for (const follower of begun) follower.start();
      return async () => {
        await Promise.all(begun.map((follower) => follower.stop()));
        followers = undefined;
      };
    },
    fanOut: () => followers?.[1].status(),
    sagas: () => (followers ?? []).flatMap((follower) => follower.status()).filter(({ state }) => state === 'RUNNING'),
    troubles: () => {
      const statuses = (followers ?? []).flatMap((follower) => follower.status());
      return statuses.filter(({ state }) => state === 'STOPPED').map(({ name, why }) => `${name} has stopped (${why ?? 'asked to'})`);
    },
  };
}

/** What runs by itself, as the roles say. */
interface Roles {
  start(): void;
  stop(): Promise<void>;
  /** What is not as it should be, in words. */
  troubles(): readonly string[];
  fanOut(): ReturnType<FanOut['status']> | undefined;
  doing: Sharing['doing'];
}

function rolesOf(parts: Parts, dispatching: Dispatching, reacting: Reacting): Roles {
  const { outside, store } = parts;
  const { config } = outside;
  const roleOf = (name: ServerRole, work: Work): Role => (config.eventStore === 'sqlite' ? ownRole(work) : claimedRole({ ...outside, store }, name, work));
  const works: Partial<Record<ServerRole, Work>> = { sagas: reacting, dispatcher: dispatching };
  const named = config.roles.map((name) => ({ name, role: works[name] === undefined ? undefined : roleOf(name, works[name]) }));
  const keeping = named.flatMap(({ role }) => role ?? []);
  return {
    start: () => {
      for (const role of keeping) role.start();
    },
    stop: async () => {
      dispatching.hurry();
      await Promise.all(keeping.map((role) => role.stop()));
    },
    fanOut: () => reacting.fanOut(),
    troubles: () => keeping.flatMap((role) => role.troubles()),
    doing: () => ({
      roles: named.map(({ name, role }) => ({ role: name, ...(role?.report() ?? { state: 'HELD', why: null }) })),
      sagas: reacting.sagas().map(({ name, position, behindMs }) => ({ name, position, behindMs })),
      partitions: dispatching.partitions(),
    }),
  };
}

function followersOf({ outside, store, vault, readModels, aggregates }: Parts, world: World, pipeline: CommandPipeline, again: () => void): readonly [SagaRunner, FanOut, Recoveries] {
  const { clock, ids, log, config } = outside;
  const onAlarm = (alarm: SagaAlarm): void => {
    log.error(alarm, 'alarm');
    if (alarm.alarm === 'second-owner') again();
  };
  const follower = { store, clock, ids, onAlarm };
  const approvals = createApprovalUpkeep(world, aggregates);
  const versions = {
    reached: (position: string, signal: AbortSignal) => readModels.reached('subscriptions', position, signal),
    overlapping: (site: Parameters<ReadModels['subscriptionVersions']>[0], after: string, through: string) => readModels.subscriptionVersions(site, { overlapping: [after, through] }),
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
  return [createSagaRunner({ ...follower, sagas: sagasOf(config), execute, vault, approvals }), createFanOut({ ...follower, versions }), createRecoveries({ ...follower, aggregates, execute, selections })];
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

function sharingOf({ config, ids }: Outside, roles: Roles): Sharing {
  const isShared = config.eventStore !== 'sqlite';
  return {
    by: isShared ? 'log' : 'none',
    own: { id: ids.uuid(), process: processName },
    all: { sagas: ['fan-out', 'recoveries', ...sagasOf(config).map(({ name }) => name)], partitions },
    doing: () => roles.doing(),
    others: () => [],
    unheard: () => (isShared ? 'processes that share a log hear of each other only through Redis' : null),
  };
}

const factsOf = (outside: Outside, readModels: ReadModels, roles: Roles): ServerFacts & { stopping: boolean } => ({
  version: outside.version,
  startedAtMs: outside.clock.now(),
  roles: outside.config.roles,
  stopping: false,
  troubles: () => roles.troubles(),
  openDeliveries: async () => {
    const { pending, scheduled } = await readModels.queueDepth();
    return pending + scheduled;
  },
  fanOut: () => roles.fanOut(),
  sharing: sharingOf(outside, roles),
});

function shellOf({ outside, store, readModels, aggregates, metrics, sender }: Parts, world: World, rootKey: RootKey, commands: Commands, publishing: Publishing, facts: ServerFacts): Omit<ShellParts, 'refusals' | 'backups'> {
  const { clock, ids, log } = outside;
  return { clock, ids, log, metrics, rootKey, commands, publishing, probing: createProbing({ world, sender }), projections: readModels, reads: readModels, storyReads: readModels, logReader: store, current: createCurrentState(world, aggregates), facts };
}
