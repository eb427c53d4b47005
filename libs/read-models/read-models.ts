import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DeliveryTranscript, TranscriptsRecorded } from '#deliveries';
import type { EventStore } from '#event-store';
import { type Clock, eventStream, type Position, type Principal, type Refusal, refuse, type Site, sleep } from '#kernel';
import { type PublishedEvent, readPublishedEvent } from '#publishing';
import { buildBeside } from './beside.ts';
import { holdReadModels } from './lock.ts';
import { type Digest, removeModel, schemaVersion } from './model-file.ts';
import type { Committed, ProjectionStatus, ReadModelAlarm } from './port.ts';
import { Projector } from './projector.ts';
import { projections } from './projections.ts';
import type { Queries } from './queries/all.ts';
import type { DeliveryList } from './queries/deliveries.ts';
import { Replay } from './replay.ts';

export interface ReadModelsOptions {
  /** The folder of `read-models.db`; made with mode 0700 when missing. */
  readonly dataDir: string;
  readonly store: EventStore;
  readonly clock: Clock;
  /** How long attempts, transcripts and ended deliveries are kept, in days of the events' own time. */
  readonly historyDays: number;
  /** For so long after a batch published events, deliveries and transcripts wait for others, unless somebody waits for them; by default not at all. */
  readonly restMs?: number;
  readonly onAlarm: (alarm: ReadModelAlarm) => void;
}

type Args<Name extends keyof Queries> = Parameters<Queries[Name]>[1];
type Result<Name extends keyof Queries> = Promise<ReturnType<Queries[Name]>>;
/** Arguments without the time, which the clock supplies. */
type Timeless<Name extends keyof Queries> = Omit<Args<Name>, 'nowMs'>;

const fileName = 'read-models.db';

/** The projections that lists are read from: those a reader who waits for a position waits for. */
const listed = projections.map(({ name }) => name).filter((name) => !['transcripts', 'missed-while-paused', 'commands'].includes(name));

/**
 * Opens the read models of a data folder. They are disposable: deleted, or of an older form, they are built from the
 * log again. Throws `ReadModelsInUse` when another process, or another opening of this one, folds into them.
 */
export async function openReadModels(options: ReadModelsOptions): Promise<ReadModels> {
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = holdReadModels(dataDir, join(dataDir, 'read-models.lock'));
  const path = join(dataDir, fileName);
  const projector = new Projector({ ...options, restMs: options.restMs ?? 0, path });
  try {
    for (const name of readdirSync(dataDir)) if (/^read-models-.*\.db(-wal|-shm|-journal)?$/.test(name)) removeModel(join(dataDir, name));
    await projector.open();
    return new ReadModels({ ...options, dataDir }, projector, path, lock);
  } catch (error) {
    await projector.stop();
    lock.release();
    throw error;
  }
}

/** The read models of one process: lists and look-ups for every tenant, each within its site. */
export class ReadModels {
  readonly #options: ReadModelsOptions;
  readonly #projector: Projector;
  readonly #path: string;
  readonly #lock: { release(): void };
  readonly #closing = new AbortController();
  /** The projections that are being built anew, and when that is over. */
  #rebuild: { readonly names: readonly string[]; readonly done: Promise<void> } | undefined;

  #replay: Replay | undefined;

  constructor(options: ReadModelsOptions, projector: Projector, path: string, lock: { release(): void }) {
    this.#options = options;
    this.#projector = projector;
    this.#path = path;
    this.#lock = lock;
  }

  /** Begins to follow the log, and builds anew what an older version of the program left. */
  start(): void {
    this.#projector.start();
    const outdated = this.#projector.standings.filter((standing) => standing.outdated).map(({ name }) => name);
    if (outdated.length > 0) void this.#buildBeside(outdated, `read-models-${schemaVersion}.db`, this.#closing.signal);
  }

  /** Stops following; a rebuild or a replay under way is given up. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#rebuild?.done, this.#replay?.end()]);
    await this.#projector.stop();
    this.#lock.release();
  }

  /** Where each projection stands. */
  status(): readonly ProjectionStatus[] {
    return this.#projector.standings.map((standing) => this.#projector.statusOf(standing, this.#rebuild?.names.includes(standing.name) === true));
  }

  /** Everything up to here the projection has folded. Throws `TypeError` for a name there is none of. */
  position(name: string): Position {
    return this.#standing(name).position;
  }

  /** Milliseconds since the projection last stood at the head of the log; 0 while it stands there. Grows while it is stopped. */
  behindMs(name: string): number {
    return this.#projector.behindMs(this.#standing(name));
  }

  #standing(name: string): Projector['standings'][number] {
    const standing = this.#projector.standings.find((one) => one.name === name);
    if (standing === undefined) throw new TypeError(`there is no projection ${name}`);
    return standing;
  }

  /** Waits until the named projections (all that lists are read from) have folded the log up to a position. */
  async waitFor(position: Position, timeoutMs: number, names: readonly string[] = listed): Promise<'reached' | 'behind'> {
    if (this.#projector.hasReached(position, names)) return 'reached';
    if (this.#projector.neverReaches(position, names)) return 'behind';
    const over = new AbortController();
    const reached = this.#projector.reached(position, names, over.signal).then(() => 'reached' as const);
    const behind = sleep(this.#options.clock, timeoutMs, over.signal).then(() => 'behind' as const);
    try {
      return await Promise.race([reached, behind]);
    } finally {
      over.abort();
      await Promise.allSettled([reached, behind]);
    }
  }

  /** Resolves when one projection has folded the log up to a position; rejects with the signal's reason. */
  reached(name: string, position: Position, signal: AbortSignal): Promise<void> {
    return this.#projector.reached(position, [name], signal);
  }

  /** Tells every batch as soon as who asks is answered as of after it, in order, each event once. Answers how to stop it. */
  onCommitted(listener: (committed: Committed) => void): () => void {
    return this.#projector.onCommitted(listener);
  }

  /** Tells every batch as it is read, before it is folded, in order, each event once. Answers how to stop it. */
  onRead(listener: (read: Committed) => void): () => void {
    return this.#projector.onRead(listener);
  }

  /**
   * Builds one projection anew from the log, beside the one that serves on, and exchanges them when it has caught up.
   * `done` resolves when that is over, well or not (an alarm tells). Refuses `not-found`, and `concurrent-modification`
   * while another rebuild is under way.
   */
  rebuild(name: string, signal: AbortSignal = new AbortController().signal): { readonly done: Promise<void> } | Refusal<'not-found' | 'concurrent-modification'> {
    if (!projections.some((projection) => projection.name === name)) return refuse('not-found', `There is no projection ${name}.`);
    if (this.#rebuild !== undefined) return refuse('concurrent-modification', `${this.#rebuild.names.join(', ')} is being rebuilt; try again when it is done.`);
    return { done: this.#buildBeside([name], 'read-models-rebuild.db', AbortSignal.any([signal, this.#closing.signal])) };
  }

  #buildBeside(names: readonly string[], file: string, signal: AbortSignal): Promise<void> {
    const { store, historyDays, onAlarm, dataDir } = this.#options;
    const done = buildBeside({ store, projector: this.#projector, livePath: this.#path, path: join(dataDir, file), names, historyDays, signal })
      .catch((error: unknown) => {
        if (!signal.aborted) onAlarm({ alarm: 'rebuild-failed', projection: names.join(', '), detail: error instanceof Error ? error.message : 'it threw no error' });
      })
      .finally(() => {
        this.#rebuild = undefined;
      });
    this.#rebuild = { names, done };
    return done;
  }

  /**
   * Folds the log from its start into a scratch file beside the live one, which is not disturbed, up to a position or to where the
   * live one stands, and compares. `end` must be called, whatever came of it. Refuses `concurrent-modification` while another
   * replay runs, and `projection-behind` while the live file is of another version of the program.
   */
  replay(to: Position | undefined): Replay | Refusal<'concurrent-modification' | 'projection-behind'> {
    if (this.#replay !== undefined) return refuse('concurrent-modification', 'Another replay runs in this process; try again when it has ended.');
    const outdated = this.#projector.standings.filter((standing) => standing.outdated).map(({ name }) => name);
    if (outdated.length > 0) return refuse('projection-behind', `There is nothing to compare with yet: ${outdated.join(', ')} is being built for this version of the program.`);
    const { store, clock, historyDays, dataDir } = this.#options;
    const onEnd = (): void => {
      this.#replay = undefined;
    };
    this.#replay = new Replay({ store, clock, projector: this.#projector, livePath: this.#path, path: join(dataDir, 'read-models-replay.db'), historyDays, to, onEnd });
    return this.#replay;
  }

  /** SHA-256 of every table's content, and of all together: equal for equal logs. */
  digest(): Promise<Digest> {
    return this.#projector.digest();
  }

  /** Subscriptions of a site, newest first. A cursor of another list is refused with `validation-failed`. */
  listSubscriptions(list: Timeless<'listSubscriptions'>): Result<'listSubscriptions'> {
    return this.#projector.ask('listSubscriptions', { ...list, nowMs: this.#nowMs() });
  }

  subscription(site: Site, id: string): Result<'getSubscription'> {
    return this.#projector.ask('getSubscription', { site, id, nowMs: this.#nowMs() });
  }

  /** What stands beside the folded state of a subscription that was read from its stream. */
  subscriptionHealth(site: Site, id: string): Result<'subscriptionHealth'> {
    return this.#projector.ask('subscriptionHealth', { site, id });
  }

  /** The site's versions that are in force somewhere after the first position and up to the second (inclusive), of any status. */
  subscriptionVersions(site: Site, of: { readonly overlapping: readonly [after: Position, through: Position]; readonly subscriptionIds?: readonly string[] | undefined }): Result<'subscriptionVersions'> {
    return this.#projector.ask('subscriptionVersions', { site, ...of });
  }

  /** Deliveries of a site, or of one subscription or event of it, newest first. A cursor of another list is refused with `validation-failed`. */
  async listDeliveries({ eventId, ...list }: Omit<DeliveryList, 'event'> & { readonly eventId?: string | undefined }): Result<'listDeliveries'> {
    if (eventId === undefined) return this.#projector.ask('listDeliveries', list);
    const event = await this.event(list.site, eventId);
    return event === undefined ? { items: [], nextCursor: null } : this.#projector.ask('listDeliveries', { ...list, event: { eventId, recordedAtMs: event.recordedAtMs } });
  }

  delivery(site: Site, id: string): Result<'getDelivery'> {
    return this.#projector.ask('getDelivery', { site, id });
  }

  /** The recorded requests of a delivery within the history, in the order they were recorded. */
  attempts(site: Site, deliveryId: string): Result<'getAttempts'> {
    return this.#projector.ask('getAttempts', { site, id: deliveryId });
  }

  /** Which recorded requests of a subscription's deliveries were signed with some versions of its secret: one look, the latest deliveries first. */
  signedAttempts(of: Args<'signedAttempts'>): Result<'signedAttempts'> {
    return this.#projector.ask('signedAttempts', of);
  }

  /** Ids of what a site published, the latest first, without operational events. */
  publishedIds(of: Args<'publishedIds'>): Result<'publishedIds'> {
    return this.#projector.ask('publishedIds', of);
  }

  /** The transcripts of a delivery's requests that are still kept, by attempt. Their text is read from the log. */
  async transcripts(site: Site, deliveryId: string): Promise<readonly DeliveryTranscript[]> {
    const places = await this.#projector.ask('transcriptPlaces', { site, id: deliveryId });
    const found = await Promise.all(
      places.map(async ({ stream, revision, ordinal }) => {
        const [event] = await this.#options.store.readStream(stream, revision, 1);
        return event === undefined ? undefined : (JSON.parse(event.data) as TranscriptsRecorded['data']).transcripts[ordinal];
      }),
    );
    return found.filter((transcript) => transcript !== undefined);
  }

  /** Recoveries of a site, newest first. A cursor of another list is refused with `validation-failed`. */
  listRecoveries(list: Args<'listRecoveries'>): Result<'listRecoveries'> {
    return this.#projector.ask('listRecoveries', list);
  }

  /** The part of a range of the log outside of which the site recorded nothing in a stretch of time. */
  recordedWithin(within: Args<'recordedWithin'>): Result<'recordedWithin'> {
    return this.#projector.ask('recordedWithin', within);
  }

  /** A subscription's deliveries of some statuses, scheduled in a stretch of time, in log order, as far as one look goes. */
  selectDeliveries(selection: Args<'selectDeliveries'>): Result<'selectDeliveries'> {
    return this.#projector.ask('selectDeliveries', selection);
  }

  /** What was published in a stretch of time while a subscription was paused, and matched its pattern, in log order, as far as one look goes. */
  selectMissed(selection: Args<'selectMissed'>): Result<'selectMissed'> {
    return this.#projector.ask('selectMissed', selection);
  }

  /** Every subscription with open deliveries, paused ones too, and how many of its attempts failed since the last that did not. */
  lanes(): Result<'lanes'> {
    return this.#projector.ask('lanes');
  }

  /** A subscription's first open deliveries of a status (not cancelled; due or not) after a place. `due`, for SCHEDULED only: by time, then position; `log`: by position. */
  openDeliveries(feed: Args<'openDeliveries'>): Result<'openDeliveries'> {
    return this.#projector.ask('openDeliveries', feed);
  }

  /** How many deliveries are open, over all sites. */
  queueDepth(): Result<'queueDepth'> {
    return this.#projector.ask('queueDepth');
  }

  /** When the oldest open delivery was scheduled, over all sites, milliseconds since 1970 UTC; null when none is open. */
  oldestUndeliveredAt(): Result<'oldestUndeliveredAt'> {
    return this.#projector.ask('oldestUndeliveredAt');
  }

  /** A published event, from its stream, so always current. */
  async event(site: Site, eventId: string): Promise<PublishedEvent | undefined> {
    const [event] = await this.#options.store.readStream(eventStream(site, eventId), 0, 1);
    return event === undefined ? undefined : readPublishedEvent(event);
  }

  /** Approvals of a site as of now, newest first. A cursor of another list is refused with `validation-failed`. */
  listApprovals(list: Timeless<'listApprovals'>): Result<'listApprovals'> {
    return this.#projector.ask('listApprovals', { ...list, nowMs: this.#nowMs() });
  }

  /** Refused attempts in a site, newest first. A cursor of another list is refused with `validation-failed`. */
  listRefusals(list: Args<'listRefusals'>): Result<'listRefusals'> {
    return this.#projector.ask('listRefusals', list);
  }

  /** Approvals for a command type on a resource: the open ones, the first to end before the others, then the last ten that ended. */
  approvalCandidates(of: Timeless<'approvalCandidates'>): Result<'approvalCandidates'> {
    return this.#projector.ask('approvalCandidates', { ...of, nowMs: this.#nowMs() });
  }

  /** The open ones of a requester among the candidates. */
  openApprovalsBy(requester: Principal, of: Timeless<'approvalCandidates'>): Result<'openApprovalsBy'> {
    return this.#projector.ask('openApprovalsBy', { ...of, requester, nowMs: this.#nowMs() });
  }

  /** The policies that were set in a site; for every other command type the default holds. */
  listPolicies(site: Site): Result<'listPolicies'> {
    return this.#projector.ask('listPolicies', { site });
  }

  /** Every USER with a live key bound to them that has the site's `:approve`. */
  approversOf(site: Site): Result<'approversOf'> {
    return this.#projector.ask('approversOf', { site, nowMs: this.#nowMs() });
  }

  /** The owners of every key that was ever bound to a principal, also of those that are revoked or have expired. */
  ownersOf(principal: Principal): Result<'ownersOf'> {
    return this.#projector.ask('ownersOf', { principal });
  }

  /** A key, also a revoked or expired one. Whether the projection is fresh enough to be believed is for the caller to see (`api-keys`). */
  apiKeyById(keyId: string): Result<'getApiKey'> {
    return this.#projector.ask('getApiKey', { keyId });
  }

  /** All keys, newest first. A cursor of another list is refused with `validation-failed`. */
  listApiKeys(list: Args<'listApiKeys'>): Result<'listApiKeys'> {
    return this.#projector.ask('listApiKeys', list);
  }

  /** A command that took effect or was a no-op; publishing is not among them, its stream is its receipt. */
  command(site: Site, commandId: string): Result<'getCommand'> {
    return this.#projector.ask('getCommand', { site, id: commandId });
  }

  #nowMs(): number {
    return this.#options.clock.now();
  }
}
