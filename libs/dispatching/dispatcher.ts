import { setMaxListeners } from 'node:events';
import { type AttemptDecision, decideAfterAttempt, defaultRetrySchedule } from '#deliveries';
import { type Patience } from '#event-store';
import { comparePositions, laterPosition, type Position, type RecordedEvent, type RetrySchedule, type Site, sleep, startOfLog, streamOf } from '#kernel';
import type { Committed } from '#read-models';
import { SigningSecretUnavailable } from '#secret-vault';
import { defaultTimeoutMs, type LiveSubscription, signingSecrets } from '#subscriptions';
import { createAlarms, nameOf } from './alarms.ts';
import { Bodies, type EventBody, EventUnreadable } from './bodies.ts';
import { isWellAnswered } from './breaker.ts';
import { isMove, see, type Seen, waitingOf } from './commits.ts';
import { Dice } from './dice.ts';
import { type Attempt, closeWindows, dueWindows, forgetWaiting, hasRoom, isIdle, isOurs, isQuiet, type Lane, laneKey, newLane, newLosing, newPartition, nextOf, type Partition, setOrdered, windowOf } from './lane.ts';
import { type Opened, OpenedSecrets } from './opened-secrets.ts';
import { type Ended, finishedOf, lineOf, retryOf } from './outcome.ts';
import { partitionOf, partitions } from './partitions.ts';
import type { Alarm, Dispatcher, DispatcherLimits, DispatcherParts, DispatcherStats, FedDelivery, OpenDelivery, SentRequest, SubscriptionView } from './port.ts';
import { Reads } from './reads.ts';
import { OutcomeRecorder, type Recorded } from './recorder.ts';
import { hasTenantRoom, Slots } from './slots.ts';
import { type Tenant, Tenants } from './tenants.ts';
import { TranscriptLog } from './transcripts.ts';
import { Turns } from './turns.ts';
import { Unshown } from './unshown.ts';
import { WakeUps } from './wake-ups.ts';
import { type Page, Window } from './window.ts';

export const defaultLimits: DispatcherLimits = {
  perSubscription: 10,
  inFlight: 1_000,
  window: 100,
  waiting: 50_000,
  bodyCacheBytes: 32 * 1024 * 1024,
  unrecorded: 1_000,
  unrecordedMs: 5_000,
  unshown: 20_000,
  lanes: 10_000,
  transcriptWaitMs: 2,
  viewTrustMs: Infinity,
};

const smallWindow = 10;
/** How many times the limit of unshown changes there may be when each tenant has little of them. */
const unshownAtMost = 3;
/** A retry further away than this is left to the read model. */
const keepAheadMs = 60_000;
const secretPauseMs = 30_000;
const troublePauseMs = 1_000;
const brokenPauseMs = 5 * 60_000;
/** A subscription that has slots, and got no more while room was scarce, asks again. */
const scarcePauseMs = 500;
/** Views and pages being read at a time: a start with many subscriptions must not ask everything at once. */
const readsAtATime = 16;

type Phase = 'running' | 'stopping' | 'stopped';

/** Everything a request is made of. */
interface Ready extends Opened {
  readonly state: LiveSubscription;
  readonly subscriptionRevision: number;
  readonly event: EventBody;
  readonly secretVersionIds: readonly string[];
}

/** Sends what is due: fair between tenants and between their subscriptions, bounded in memory, never more than can be recorded. */
export const createDispatcher = (parts: DispatcherParts): Dispatcher => new LaneDispatcher(parts);

class LaneDispatcher implements Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #limits: DispatcherLimits;
  readonly #schedule: RetrySchedule;
  readonly #alarm: (alarm: Alarm) => void;
  readonly #held: (partition: number) => boolean;
  readonly #ending = new AbortController();
  readonly #patience: Patience;
  readonly #recorder: OutcomeRecorder;
  readonly #bodies: Bodies;
  readonly #wakeUps: WakeUps<Lane>;
  readonly #dice: Dice;
  readonly #tenants = new Tenants();
  readonly #slots: Slots;
  readonly #turns: Turns<Lane>;
  readonly #reads = new Reads<Tenant>(readsAtATime);
  readonly #partitions = partitions.map(newPartition);
  readonly #lanes = new Map<string, Lane>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #unshown: Unshown;
  /** Wait for a page until the read model has shown more of what their tenants' outcomes were. */
  readonly #behind = new Set<Lane>();
  /** Those who wait for requests to end look whether it is over. */
  readonly #looks = new Set<() => void>();
  #sweepAt: number;
  #shownTo: Position = startOfLog;
  /** What was scheduled, and what became of subscriptions, was read up to here before the read model showed it. */
  #readTo: Position = startOfLog;
  #phase: Phase = 'running';

  constructor(parts: DispatcherParts) {
    const { store, clock, ids } = parts;
    this.#parts = parts;
    this.#limits = { ...defaultLimits, ...parts.limits };
    this.#sweepAt = this.#limits.lanes;
    this.#slots = new Slots(this.#limits.inFlight, this.#limits.perSubscription);
    this.#turns = new Turns(this.#slots);
    this.#schedule = parts.schedule ?? defaultRetrySchedule;
    this.#alarm = createAlarms(clock, parts.onAlarm);
    this.#held = parts.held ?? (() => true);
    // Every request under way listens to it.
    setMaxListeners(0, this.#ending.signal);
    const onTrouble = (error: Error): void => this.#alarm({ alarm: 'store-unavailable', detail: error.name });
    this.#patience = { clock, signal: this.#ending.signal, onTrouble };
    const transcripts = new TranscriptLog({ store, clock, ids, waitMs: this.#limits.transcriptWaitMs, underWay: () => this.#slots.taken, partition: parts.transcriptPartition ?? (() => 0), patience: this.#patience });
    const { unrecorded: maxUnrecorded, unrecordedMs: maxWaitMs } = this.#limits;
    this.#recorder = new OutcomeRecorder({ store, transcripts, clock, ids, patience: this.#patience, maxUnrecorded, maxWaitMs });
    this.#bodies = new Bodies(store, this.#limits.bodyCacheBytes);
    this.#dice = new Dice(ids);
    this.#unshown = new Unshown({
      store,
      patience: this.#patience,
      reads: this.#reads,
      alarm: this.#alarm,
      laneOf: (site, subscriptionId) => this.#lane(site, subscriptionId),
      sends: () => this.#partitions.some(isOurs),
      isUnderWay: (deliveryId) => this.#attempts.has(deliveryId),
      offer: (lane, entry) => this.#offerIfAny(lane, entry),
      attend: (lane) => this.#attend(lane),
      pump: () => this.#pump(),
    });
    this.#wakeUps = new WakeUps(clock, (lanes) => {
      for (const lane of lanes) this.#attend(lane);
      this.#pump();
    });
  }

  async take(numbers: readonly number[]): Promise<void> {
    const asked = this.#those(numbers);
    if (this.#phase !== 'running') return;
    const away = asked.filter(({ phase }) => phase === 'away');
    if (away.length > 0) {
      const taking = this.#take(away);
      for (const partition of away) partition.taking = taking;
    }
    await Promise.all(asked.map(({ taking }) => taking));
  }

  async release(numbers: readonly number[]): Promise<void> {
    await this.#leave(this.#those(numbers));
  }

  async lose(numbers: readonly number[]): Promise<void> {
    const lost = this.#those(numbers);
    const left = this.#leave(lost);
    for (const partition of lost) {
      const { losing } = partition;
      partition.losing = newLosing();
      losing.abort(new Error('the partition may be another process’s'));
    }
    await left;
  }

  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopping';
    this.#wakeUps.stop();
    const late = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(graceMs, late.resolve);
    await Promise.race([this.#ended(this.#partitions), late.promise]);
    cancel();
    this.#phase = 'stopped';
    const why = new Error('the dispatcher was stopped');
    this.#ending.abort(why);
    for (const { losing } of this.#partitions) losing.abort(why);
    this.#lookAgain();
  }

  pauseSeen(site: Site, subscriptionId: string): Promise<void> {
    const lane = this.#lanes.get(laneKey(site, subscriptionId));
    if (lane !== undefined) {
      this.#changed(lane);
      this.#attend(lane);
      this.#pump();
    }
    return Promise.resolve();
  }

  isInFlight(deliveryId: string): boolean {
    return this.#attempts.has(deliveryId);
  }

  stats(): DispatcherStats {
    return { lanes: this.#lanes.size, waiting: this.#tenants.waiting.count, sending: this.#slots.taken, unrecorded: this.#recorder.unrecorded, failing: this.#failing() };
  }

  #failing(): number {
    let failing = 0;
    for (const { breaker } of this.#lanes.values()) if (breaker.isOpen) failing += 1;
    return failing;
  }

  // What the read model has committed

  onRead({ position, events }: Committed): void {
    if (this.#phase !== 'running') return;
    // Only the read model says when it shows what was recorded.
    this.#learn(events.filter((event) => !isMove(event) && this.#isNew(event)));
    this.#readTo = laterPosition(this.#readTo, position);
    this.#pump();
  }

  onCommitted({ position, events }: Committed): void {
    if (this.#phase !== 'running') return;
    this.#learn(events.filter((event) => (isMove(event) ? comparePositions(event.position, this.#shownTo) > 0 : this.#isNew(event))));
    this.#shownTo = laterPosition(this.#shownTo, position);
    this.#catchUp();
    this.#pump();
  }

  #isNew({ position }: RecordedEvent): boolean {
    return comparePositions(position, laterPosition(this.#readTo, this.#shownTo)) > 0;
  }

  #learn(news: readonly RecordedEvent[]): void {
    const touched = new Set(news.map((event) => this.#see(event, see(event))).filter((lane) => lane !== undefined));
    for (const lane of touched) this.#attend(lane);
  }

  #catchUp(): void {
    for (const lane of this.#behind) {
      if (!this.#mayReadPage(lane)) continue;
      this.#behind.delete(lane);
      this.#attend(lane);
    }
  }

  #see(event: RecordedEvent, seen: Seen): Lane | undefined {
    switch (seen.kind) {
      case 'published':
        this.#bodies.remember(event);
        return undefined;
      case 'scheduled':
        return this.#scheduled(this.#lane(seen.entry.site, seen.entry.subscriptionId), seen.entry);
      case 'moved':
        this.#moved(event, seen.deliveryId);
        return undefined;
      case 'subscription':
        return this.#subscriptionChanged(seen, event.position);
      case 'nothing':
        return undefined;
    }
  }

  #scheduled(lane: Lane | undefined, entry: OpenDelivery): Lane | undefined {
    if (lane === undefined) return undefined;
    lane.neededTo = entry.scheduledPosition;
    return this.#offer(lane, entry);
  }

  #subscriptionChanged({ site, subscriptionId, change }: Extract<Seen, { kind: 'subscription' }>, position: Position): Lane | undefined {
    const awakes = change === 'WebhookSubscriptionResumed' || change === 'WebhookSubscriptionRestored';
    const lane = awakes ? this.#lane(site, subscriptionId, 'unknown') : this.#lanes.get(laneKey(site, subscriptionId));
    if (lane === undefined) return undefined;
    // Between the two nothing that waits is left: a page from before them must not bring it back.
    if (change === 'WebhookSubscriptionDeleted' || change === 'WebhookSubscriptionRestored') {
      lane.neededTo = position;
      forgetWaiting(lane);
    }
    if (change === 'WebhookSubscriptionDeleted') {
      lane.deletions += 1;
      this.#unshown.cancelled(lane);
    }
    this.#changed(lane);
    return lane;
  }

  #moved(event: RecordedEvent, deliveryId: string): void {
    const attempt = this.#attempts.get(deliveryId);
    if (attempt === undefined) this.#unshown.moved(event, deliveryId);
    else attempt.shownRevision = event.revision;
  }

  // Partitions

  #those(numbers: readonly number[]): readonly Partition[] {
    return [...new Set(numbers)].map((number) => {
      const partition = this.#partitions[number];
      if (partition === undefined) throw new TypeError(`there is no partition ${number}`);
      return partition;
    });
  }

  async #take(away: readonly Partition[]): Promise<void> {
    const turns = new Map<Partition, number>();
    for (const partition of away) {
      partition.phase = 'taking';
      partition.turn += 1;
      turns.set(partition, partition.turn);
      partition.sinceMs = this.#parts.clock.monotonicMs();
      // Those left from before, for what has not ended yet: what else was known there is old.
      for (const lane of partition.lanes) {
        this.#changed(lane);
        lane.pace.othersSentUntil(partition.sinceMs);
      }
    }
    const isStill = (partition: Partition): boolean => turns.get(partition) === partition.turn;
    try {
      // What was read while they were away was passed over.
      await this.#parts.feed.reached(this.#readTo);
      const lanes = await this.#parts.feed.lanes();
      this.#taken(new Set(away.filter(isStill)), lanes);
    } catch (error) {
      for (const partition of away.filter(isStill)) this.#abandon(partition);
      throw error;
    }
  }

  #taken(taken: ReadonlySet<Partition>, lanes: Awaited<ReturnType<DispatcherParts['feed']['lanes']>>): void {
    for (const partition of taken) partition.phase = 'taken';
    for (const { site, subscriptionId, failures } of lanes) {
      const partition = this.#partitions[partitionOf(site, subscriptionId)];
      if (partition !== undefined && taken.has(partition)) this.#toBeServed(this.#lane(site, subscriptionId, 'unknown'), failures);
    }
    for (const { lanes: all } of taken) for (const lane of all) this.#attend(lane);
    this.#pump();
  }

  #toBeServed(lane: Lane | undefined, failures: number): void {
    if (lane?.breaker.hasFailedBefore(failures) === true) this.#slots.trust(lane, false);
  }

  #leave(left: readonly Partition[]): Promise<void> {
    for (const partition of left) if (isOurs(partition)) this.#abandon(partition);
    return this.#ended(left);
  }

  #abandon(partition: Partition): void {
    partition.phase = 'away';
    partition.turn += 1;
    for (const lane of partition.lanes) {
      forgetWaiting(lane);
      this.#attend(lane);
    }
  }

  /** Resolves when nothing is under way in these partitions, or everything was stopped. */
  #ended(of: readonly Partition[]): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#phase !== 'stopped' && of.some(({ busy }) => busy > 0)) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  #lookAgain(): void {
    for (const look of this.#looks) look();
  }

  // Lanes

  /** Undefined when it is not for us to send there. */
  #lane(site: Site, subscriptionId: string, known?: 'unknown'): Lane | undefined {
    const key = laneKey(site, subscriptionId);
    const there = this.#lanes.get(key);
    if (there !== undefined) return isOurs(there.partition) ? there : undefined;
    const partition = this.#partitions[partitionOf(site, subscriptionId)];
    if (partition === undefined || !isOurs(partition)) return undefined;
    if (this.#lanes.size >= this.#sweepAt) this.#sweep();
    const { vault, clock } = this.#parts;
    const open = known ?? (partition.phase === 'taken' ? 'nothing-open' : 'unknown');
    const tenant = this.#tenants.joined(site);
    const [fresh, retries] = [new Window('PENDING', tenant.waiting, open), new Window('SCHEDULED', tenant.waiting, open)];
    const lane = newLane(partition, tenant, site, subscriptionId, fresh, retries, new OpenedSecrets(vault, clock));
    this.#lanes.set(key, lane);
    partition.lanes.add(lane);
    return lane;
  }

  #sweep(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const lane of this.#lanes.values()) if (isIdle(lane) && lane.pace.isPast(nowMs)) this.#drop(lane);
    this.#sweepAt = Math.max(this.#limits.lanes, 2 * this.#lanes.size);
  }

  #drop(lane: Lane): void {
    // Whatever ends after it looks at it once more.
    if (!lane.partition.lanes.delete(lane)) return;
    this.#lanes.delete(laneKey(lane.site, lane.subscriptionId));
    this.#tenants.left(lane.tenant);
    this.#behind.delete(lane);
    this.#unshown.dropped(lane);
    this.#wakeUps.forget(lane);
  }

  #changed(lane: Lane): void {
    lane.changes += 1;
    lane.view = undefined;
    lane.secrets.forget();
    lane.breaker.reset();
    lane.blockedUntilMs = 0;
    if (!lane.asleep) return;
    lane.asleep = false;
    forgetWaiting(lane);
  }

  /** Lets a delivery wait, unless it is on its way, or nothing is kept for its subscription. */
  #offer(lane: Lane, entry: OpenDelivery): Lane {
    if (!lane.asleep && !this.#attempts.has(entry.deliveryId)) windowOf(lane, entry.status).offer(entry, this.#windowLimit(lane), this.#parts.clock.now() + keepAheadMs);
    return lane;
  }

  #offerIfAny(lane: Lane, entry: OpenDelivery | undefined): void {
    if (entry !== undefined) this.#offer(lane, entry);
  }

  #windowLimit({ tenant }: Lane): number {
    const { window, waiting } = this.#limits;
    // A whole window must fit: a page that is read for less is read again and again.
    return hasTenantRoom(tenant.waiting.count + window, this.#tenants.waiting.count + window, waiting) ? window : Math.min(window, smallWindow);
  }

  #mayReadPage({ tenant }: Lane): boolean {
    const { unshown, window } = this.#limits;
    const { count } = tenant.unshown;
    const all = this.#tenants.unshown.count;
    // What waits in the windows of others when they may read no more comes on top: a tenant that has little of it gets its page yet.
    return hasTenantRoom(count, all, unshown) || (count < window && all < unshownAtMost * unshown);
  }

  /** Sees to it that the lane gets what it needs next: a wake-up, its subscription, a page, its turn. */
  #attend(lane: Lane): void {
    if (lane.partition.phase === 'away' && isQuiet(lane)) return this.#drop(lane);
    if (!this.#isAwake(lane) || lane.loading !== undefined) return;
    const nowMs = this.#parts.clock.now();
    const atMs = Math.max(Math.min(lane.fresh.wakeAtMs(), lane.retries.wakeAtMs()), nowMs + this.#restMs(lane));
    if (atMs > nowMs) this.#wakeAt(lane, atMs);
    else if (lane.view === undefined) this.#whenRead(lane, this.#loadView(lane));
    else this.#serve(lane, nowMs);
  }

  /** For how long nothing may start. */
  #restMs(lane: Lane): number {
    const blockedMs = lane.blockedUntilMs === 0 ? 0 : Math.ceil(lane.blockedUntilMs - this.#parts.clock.monotonicMs());
    return Math.max(0, blockedMs, this.#pacedMs(lane));
  }

  #pacedMs({ view, pace }: Lane): number {
    // A change of the subscription may have changed its rate.
    return view === undefined || !pace.isLimited ? 0 : Math.ceil(pace.waitMs(this.#parts.clock.monotonicMs()));
  }

  #isAwake({ partition, asleep }: Lane): boolean {
    return this.#phase === 'running' && partition.phase === 'taken' && !asleep;
  }

  #serve(lane: Lane, nowMs: number): void {
    for (const window of [lane.fresh, lane.retries]) if (window.wantsPage(nowMs, this.#windowLimit(lane))) this.#wantPage(lane, window);
    const next = nextOf(lane, nowMs);
    if (!(next instanceof Window)) this.#wakeAt(lane, next.atMs);
    else if (!this.#held(lane.partition.number)) this.#wakeAt(lane, nowMs + troublePauseMs);
    else if (hasRoom(lane, this.#limits.perSubscription) && !this.#unshown.holdsBack(lane)) this.#queue(lane, dueWindows(lane, next, nowMs));
    const retryAtMs = lane.retries.wakeAtMs();
    if (retryAtMs > nowMs) this.#wakeAt(lane, retryAtMs);
  }

  #queue(lane: Lane, due: readonly Window[]): void {
    for (const { status } of due) this.#turns.add(lane, status);
  }

  #wantPage(lane: Lane, window: Window): void {
    if (this.#mayReadPage(lane)) this.#whenRead(lane, this.#readPage(lane, window));
    else this.#behind.add(lane);
  }

  #wakeAt(lane: Lane, atMs: number): void {
    if (atMs < Infinity) this.#wakeUps.set(lane, atMs);
  }

  #blockFor(lane: Lane, restMs: number): void {
    lane.blockedUntilMs = Math.max(lane.blockedUntilMs, this.#parts.clock.monotonicMs() + restMs);
  }

  #whenRead(lane: Lane, reading: Promise<void>): void {
    lane.reading += 1;
    void reading
      .catch((error: unknown) => this.#block(lane, error))
      .then(() => {
        lane.reading -= 1;
        this.#attend(lane);
        // What was shown while it was read counts no more.
        this.#catchUp();
        this.#pump();
      });
  }

  #loadView(lane: Lane): Promise<void> {
    lane.loading ??= this.#readView(lane).finally(() => {
      lane.loading = undefined;
    });
    return lane.loading;
  }

  async #readView(lane: Lane): Promise<void> {
    for (;;) {
      const { changes } = lane;
      const read = await this.#reads.run(lane.tenant, async () => ({ sinceMs: this.#parts.clock.monotonicMs(), view: await this.#parts.subscription(lane.site, lane.subscriptionId) }));
      if (changes === lane.changes) return this.#use(lane, read.view, read.sinceMs);
    }
  }

  #use(lane: Lane, view: SubscriptionView, sinceMs: number): void {
    lane.view = view;
    lane.viewSinceMs = sinceMs;
    // What it has cancelled is taken out of the window one by one: a page that has it would bring it back.
    if ('lastDeletedPosition' in view.state && view.state.lastDeletedPosition !== null) lane.neededTo = laterPosition(lane.neededTo, view.state.lastDeletedPosition);
    switch (view.state.status) {
      case 'ACTIVE':
        lane.pace.setRate(view.state.rateLimitPerSecond);
        return setOrdered(lane, view.state.deliveryMode === 'ORDERED');
      case 'PAUSED':
        lane.asleep = true;
        return forgetWaiting(lane);
      case 'DELETED':
      case 'NONE':
        lane.asleep = true;
        return closeWindows(lane);
    }
  }

  async #readPage(lane: Lane, window: Window): Promise<void> {
    const { site, subscriptionId } = lane;
    const page = window.beginPage(this.#windowLimit(lane));
    if (page === undefined) return;
    const question = { site, subscriptionId, status: window.status, order: window.order, after: page.after, limit: page.limit };
    try {
      // What was read before the read model had it may have found no place in the window.
      await this.#parts.feed.reached(lane.neededTo);
      this.#endPage(lane, window, page, await this.#reads.run(lane.tenant, () => this.#parts.feed.open(question)));
    } catch (error) {
      this.#endPage(lane, window, page);
      throw error;
    }
  }

  #endPage(lane: Lane, window: Window, page: Page, rows?: readonly FedDelivery[]): void {
    window.endPage(page, rows, (row) => this.#offerIfAny(lane, this.#unshown.current(row)));
    this.#unshown.pageEnded(lane);
  }

  // Attempts

  #pump(): void {
    while (this.#phase === 'running' && !this.#turns.isEmpty && this.#slots.taken < this.#limits.inFlight) {
      if (!this.#recorder.isKeepingUp()) {
        this.#alarm({ alarm: 'outcomes-unrecorded', detail: `${this.#recorder.unrecorded} outcomes wait to be recorded; nothing is sent meanwhile` });
        return;
      }
      const lane = this.#turns.next();
      if (lane === undefined) return;
      this.#begin(lane, this.#parts.clock.now());
    }
  }

  #begin(lane: Lane, nowMs: number): void {
    const next = nextOf(lane, nowMs);
    if (!(next instanceof Window) || !hasRoom(lane, this.#limits.perSubscription) || this.#unshown.holdsBack(lane) || this.#restMs(lane) > 0) return;
    const window = dueWindows(lane, next, nowMs).find(({ status }) => this.#slots.hasRoom(lane, status));
    const entry = window?.take();
    // For what else is due it stands in the other queue; its own requests may end long after there is room again.
    if (entry === undefined) return this.#wakeAt(lane, nowMs + scarcePauseMs);
    lane.retryIsNext = window === lane.fresh;
    const attempt: Attempt = { lane, entry, deletions: lane.deletions, ordered: lane.ordered, breakerTurn: lane.breaker.turn, shownRevision: -1 };
    this.#attempts.set(entry.deliveryId, attempt);
    lane.partition.busy += 1;
    lane.sending += 1;
    this.#slots.take(lane, entry.status);
    this.#proceed(attempt);
    this.#attend(lane);
  }

  /** Sends when everything is at hand; all of it is looked at in one go, so nothing can change between the look and the request. */
  #proceed(attempt: Attempt): void {
    const { lane, entry } = attempt;
    if (attempt.deletions !== lane.deletions) return this.#unhand(attempt);
    if (!this.#mayGoOn(attempt)) return this.#giveBack(attempt);
    const ready = this.#gather(lane, entry);
    if (ready === 'not-now') return this.#giveBack(attempt);
    if (ready === 'cancelled') return this.#unhand(attempt);
    if (!(ready instanceof Promise)) return this.#send(attempt, ready);
    void ready
      .then(
        () => this.#proceed(attempt),
        (error: unknown) => this.#failedToPrepare(attempt, error),
      )
      .then(() => this.#goOn(lane));
  }

  /** Nothing has changed since it was taken that speaks against it, and it is still for us to send. */
  #mayGoOn({ lane, entry, ordered, shownRevision }: Attempt): boolean {
    const isAsItWas = lane.ordered === ordered && shownRevision <= entry.revision;
    return isAsItWas && this.#phase === 'running' && lane.partition.phase === 'taken' && this.#recorder.isKeepingUp() && this.#held(lane.partition.number);
  }

  /** What the request is made of, or what has to be read first. */
  #gather(lane: Lane, entry: OpenDelivery): Ready | Promise<unknown> | 'not-now' | 'cancelled' {
    const { clock } = this.#parts;
    if (lane.view === undefined || this.#isOld(lane)) return this.#loadView(lane);
    const { state, revision } = lane.view;
    if (!isWanted(state, entry)) return 'cancelled';
    // Its rate is kept by when requests start: others may have, while this one was prepared.
    if (state.status === 'PAUSED' || this.#pacedMs(lane) > 0) return 'not-now';
    const event = this.#bodies.get(entry.eventStream);
    if (event === undefined) return this.#bodies.load(entry.eventStream);
    const versions = signingSecrets(state, clock.now());
    const opened = lane.secrets.get(versions, state.headers);
    if (opened === undefined) return lane.secrets.load(lane.site, lane.subscriptionId, state, versions);
    return { ...opened, state, subscriptionRevision: revision, event, secretVersionIds: versions.map(({ versionId }) => versionId) };
  }

  /** What a request is made by was read so long ago that a change by another process may be unknown here. */
  #isOld({ viewSinceMs }: Lane): boolean {
    return this.#limits.viewTrustMs < Infinity && this.#parts.clock.monotonicMs() - viewSinceMs > this.#limits.viewTrustMs;
  }

  #send(attempt: Attempt, ready: Ready): void {
    const { clock, send } = this.#parts;
    const { lane } = attempt;
    lane.pace.started(clock.monotonicMs());
    const signal = lane.ordered ? lane.partition.losing.signal : this.#ending.signal;
    const request = { url: ready.state.targetUrl, webhookId: attempt.entry.deliveryId, body: ready.event.body, keys: ready.keys, headers: ready.headers };
    void send({ ...request, timestampSeconds: Math.floor(clock.now() / 1000), timeoutMs: ready.state.timeoutMs ?? defaultTimeoutMs, signal }).then(
      (sent) => this.#answered(attempt, ready, sent),
      (error: unknown) => this.#broke(attempt, error),
    );
  }

  #answered(attempt: Attempt, ready: Ready, sent: SentRequest): void {
    // Aborted by a stop, or too late for it: it stays as it was, and is sent again after the next start.
    if (this.#phase === 'stopped') return;
    const { lane, entry } = attempt;
    const { event, subscriptionRevision, secretVersionIds } = ready;
    const nowMs = this.#parts.clock.now();
    const ended: Ended = { entry, event, sent, decision: this.#decide(entry, ready, sent, nowMs), subscriptionRevision, secretVersionIds, nowMs };
    lane.sending -= 1;
    this.#slots.give(lane, entry.status);
    lane.recording += 1;
    this.#judge(attempt, sent);
    this.#parts.onAttempt?.(lineOf(ended));
    void this.#recorder.record(finishedOf(ended)).then(
      (recorded) => this.#recorded(attempt, ended.decision, recorded),
      (error: unknown) => this.#unrecordable(attempt, error),
    );
    this.#attend(lane);
    this.#pump();
  }

  #judge({ lane, breakerTurn }: Attempt, sent: SentRequest): void {
    const { restMs, isNews } = lane.breaker.ended(sent, breakerTurn, this.#limits.perSubscription);
    this.#slots.trust(lane, isWellAnswered(sent));
    if (restMs > 0) this.#blockFor(lane, restMs);
    const { site, subscriptionId } = lane;
    if (isNews) this.#alarm({ alarm: 'endpoint-failing', detail: 'requests fail one after the other: one at a time is sent, ever more rarely, until one is answered', site, subscriptionId });
  }

  #decide({ attemptsCounted, lastChance }: OpenDelivery, { state }: Ready, { response, error, retryAfterMs }: SentRequest, nowMs: number): AttemptDecision {
    const schedule = { mode: state.deliveryMode, schedule: state.retryScheduleMs ?? this.#schedule, attemptsCounted, lastChance };
    return decideAfterAttempt({ ...schedule, status: response?.status ?? null, error, retryAfterMs, nowMs, random: this.#dice.roll() });
  }

  #recorded(attempt: Attempt, decision: AttemptDecision, { revision, state }: Recorded): void {
    const { lane, entry } = attempt;
    const { site, deliveryId } = entry;
    const next = state === undefined ? retryOf(entry, decision, revision) : waitingOf(site, deliveryId, state, revision);
    // What a deletion met on its way is cancelled, whatever became of it.
    const waiting = attempt.deletions === lane.deletions ? next : undefined;
    this.#attempts.delete(deliveryId);
    lane.partition.busy -= 1;
    lane.recording -= 1;
    if (attempt.shownRevision > revision) this.#refreshAfter(attempt);
    else this.#unshown.keep(deliveryId, { lane, revision, waiting, shown: attempt.shownRevision === revision });
    this.#goOn(lane);
  }

  /** Somebody else has written to the delivery while we had it. */
  #refreshAfter({ lane, entry, deletions, shownRevision }: Attempt): void {
    if (deletions !== lane.deletions || !isOurs(lane.partition)) return;
    this.#unshown.refresh(streamOf('webhookdelivery', entry.site, entry.deliveryId), entry.deliveryId, shownRevision, lane);
  }

  #goOn(lane: Lane): void {
    this.#lookAgain();
    this.#attend(lane);
    this.#pump();
  }

  // What can go wrong

  /** Takes the attempt back before its request began. */
  #unhand({ lane, entry }: Attempt): void {
    this.#attempts.delete(entry.deliveryId);
    lane.partition.busy -= 1;
    lane.sending -= 1;
    this.#slots.give(lane, entry.status);
    this.#lookAgain();
  }

  /** Takes the attempt back, to be made again. */
  #giveBack(attempt: Attempt): void {
    const { lane, entry, deletions } = attempt;
    this.#unhand(attempt);
    if (attempt.shownRevision > entry.revision) this.#refreshAfter(attempt);
    else if (deletions === lane.deletions) this.#offer(lane, entry);
    this.#attend(lane);
  }

  #failedToPrepare(attempt: Attempt, error: unknown): void {
    const { lane, entry } = attempt;
    if (!(error instanceof EventUnreadable)) {
      this.#block(lane, error);
      return this.#giveBack(attempt);
    }
    this.#alarm({ alarm: 'event-unreadable', detail: error.message, site: lane.site, subscriptionId: lane.subscriptionId, deliveryId: entry.deliveryId });
    this.#putAside(attempt);
  }

  #block(lane: Lane, error: unknown): void {
    const { site, subscriptionId } = lane;
    const secret = error instanceof SigningSecretUnavailable;
    this.#blockFor(lane, secret ? secretPauseMs : troublePauseMs);
    if (secret) this.#alarm({ alarm: 'signing-secret-unavailable', detail: error.message, site, subscriptionId });
    else this.#alarm({ alarm: 'store-unavailable', detail: nameOf(error) });
  }

  #broke(attempt: Attempt, error: unknown): void {
    if (this.#phase === 'stopped') return;
    this.#alarmBroken(attempt, error);
    this.#putAside(attempt);
    this.#goOn(attempt.lane);
  }

  #unrecordable(attempt: Attempt, error: unknown): void {
    if (this.#phase === 'stopped') return;
    this.#alarmBroken(attempt, error);
    attempt.lane.recording -= 1;
    attempt.lane.sending += 1;
    this.#slots.take(attempt.lane, attempt.entry.status);
    this.#putAside(attempt);
    this.#goOn(attempt.lane);
  }

  #alarmBroken({ entry }: Attempt, error: unknown): void {
    const { site, subscriptionId, deliveryId } = entry;
    this.#alarm({ alarm: 'attempt-broken', detail: nameOf(error), site, subscriptionId, deliveryId });
  }

  /** An error of ours must not become a storm of requests: the attempt keeps its subscription's slot, but nobody else's, for some minutes. */
  #putAside(attempt: Attempt): void {
    const { lane, entry } = attempt;
    const { partition } = lane;
    partition.busy -= 1;
    this.#slots.give(lane, entry.status);
    const again = (): void => {
      partition.busy += 1;
      this.#slots.take(lane, entry.status);
      this.#giveBack(attempt);
      this.#pump();
    };
    // Rejects only when everything has ended.
    void sleep(this.#parts.clock, brokenPauseMs, this.#ending.signal).then(again, () => undefined);
  }
}

/** Whether the delivery is not cancelled: its subscription is the one it was made for, and was not deleted since it was opened. */
function isWanted(state: SubscriptionView['state'], { incarnation, openedPosition }: OpenDelivery): state is LiveSubscription {
  if (state.status === 'DELETED' || state.status === 'NONE' || state.incarnation !== incarnation) return false;
  return state.lastDeletedPosition === null || comparePositions(state.lastDeletedPosition, openedPosition) < 0;
}
