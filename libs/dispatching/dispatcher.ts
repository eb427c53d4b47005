import { setMaxListeners } from 'node:events';
import { type AttemptDecision, decideAfterAttempt, defaultRetrySchedule, type RetrySchedule } from '#deliveries';
import { patiently, type Patience } from '#event-store';
import { comparePositions, Gate, laterPosition, parseStream, type Position, type RecordedEvent, type Secret, type Site, sleep, startOfLog } from '#kernel';
import type { Committed } from '#read-models';
import { SigningSecretUnavailable } from '#secret-vault';
import { type LiveSubscription, signingSecrets } from '#subscriptions';
import { createAlarms } from './alarms.ts';
import { Bodies, type EventBody, EventUnreadable } from './bodies.ts';
import { see, type Seen, waitingOf } from './commits.ts';
import { Dice } from './dice.ts';
import { type Attempt, closeWindows, forgetWaiting, hasRoom, isIdle, isReading, type Lane, laneKey, newLane, nextOf, setOrdered, windowOf } from './lane.ts';
import { type Ended, finishedOf, lineOf, retryOf } from './outcome.ts';
import type { Alarm, Dispatcher, DispatcherLimits, DispatcherParts, DispatcherStats, FedDelivery, OpenDelivery, SentRequest, SubscriptionView } from './port.ts';
import { fold, OutcomeRecorder, type Recorded } from './recorder.ts';
import { Rounds } from './rounds.ts';
import { SigningKeys } from './signing-keys.ts';
import { TranscriptLog } from './transcripts.ts';
import { WakeUps } from './wake-ups.ts';
import { type Page, type Waiting, Window } from './window.ts';

export const defaultLimits: DispatcherLimits = {
  perSubscription: 10,
  inFlight: 1_000,
  window: 100,
  waiting: 50_000,
  bodyCacheBytes: 64 * 1024 * 1024,
  unrecorded: 1_000,
  unrecordedMs: 5_000,
  unshown: 20_000,
  lanes: 10_000,
  transcriptWaitMs: 2,
  timeoutMs: 15_000,
};

const smallWindow = 10;
/** A retry further away than this is left to the read model. */
const keepAheadMs = 60_000;
const secretPauseMs = 30_000;
const troublePauseMs = 1_000;
const brokenPauseMs = 5 * 60_000;
/** Views and pages being read at a time: a start with many subscriptions must not ask everything at once. */
const readsAtATime = 16;

type Phase = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

/** Everything a request is made of. */
interface Ready {
  readonly state: LiveSubscription;
  readonly subscriptionRevision: number;
  readonly event: EventBody;
  readonly keys: readonly Secret<Uint8Array>[];
  readonly secretVersionIds: readonly string[];
}

/** A recorded change of a delivery that the read model has not shown yet. */
interface Unshown {
  readonly lane: Lane;
  readonly revision: number;
  readonly waiting: OpenDelivery | undefined;
  shown: boolean;
}

/** Sends what is due: fair between subscriptions, bounded in memory, never more than can be recorded. */
export const createDispatcher = (parts: DispatcherParts): Dispatcher => new LaneDispatcher(parts);

class LaneDispatcher implements Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #limits: DispatcherLimits;
  readonly #schedule: RetrySchedule;
  readonly #alarm: (alarm: Alarm) => void;
  readonly #ending = new AbortController();
  readonly #patience: Patience;
  readonly #recorder: OutcomeRecorder;
  readonly #bodies: Bodies;
  readonly #wakeUps: WakeUps<Lane>;
  readonly #dice: Dice;
  readonly #rounds = new Rounds<Lane>();
  readonly #gate = new Gate(readsAtATime);
  readonly #waiting: Waiting = { count: 0 };
  readonly #lanes = new Map<string, Lane>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #unshown = new Map<string, Unshown>();
  #sweepAt: number;
  #sending = 0;
  /** Attempts that an error of ours broke, until they are tried again. */
  #setAside = 0;
  #shownTo: Position = startOfLog;
  #phase: Phase = 'new';
  #onIdle: (() => void) | undefined;

  constructor(parts: DispatcherParts) {
    const { store, clock, ids } = parts;
    this.#parts = parts;
    this.#limits = { ...defaultLimits, ...parts.limits };
    this.#sweepAt = this.#limits.lanes;
    this.#schedule = parts.schedule ?? defaultRetrySchedule;
    this.#alarm = createAlarms(clock, parts.onAlarm);
    // Every request under way listens to it.
    setMaxListeners(0, this.#ending.signal);
    const onTrouble = (error: Error): void => this.#alarm({ alarm: 'store-unavailable', detail: error.name });
    this.#patience = { clock, signal: this.#ending.signal, onTrouble };
    const transcripts = new TranscriptLog({ store, clock, ids, waitMs: this.#limits.transcriptWaitMs, patience: this.#patience });
    const { unrecorded: maxUnrecorded, unrecordedMs: maxWaitMs } = this.#limits;
    this.#recorder = new OutcomeRecorder({ store, transcripts, clock, ids, patience: this.#patience, maxUnrecorded, maxWaitMs });
    this.#bodies = new Bodies(store, this.#limits.bodyCacheBytes);
    this.#dice = new Dice(ids);
    this.#wakeUps = new WakeUps(clock, (lanes) => {
      for (const lane of lanes) this.#attend(lane);
      this.#pump();
    });
  }

  async start(): Promise<void> {
    if (this.#phase !== 'new') throw new TypeError('a dispatcher is started once');
    this.#phase = 'starting';
    const lanes = await this.#parts.feed.lanes();
    if (!this.#is('starting')) return;
    this.#phase = 'running';
    for (const { site, subscriptionId } of lanes) this.#lane(site, subscriptionId, 'unknown');
    for (const lane of this.#lanes.values()) this.#attend(lane);
    this.#pump();
  }

  /** Asked after waiting: the phase may have moved on. */
  #is(phase: Phase): boolean {
    return this.#phase === phase;
  }

  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopping';
    this.#wakeUps.stop();
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(graceMs, resolve);
      this.#onIdle = () => {
        cancel();
        resolve();
      };
      this.#tellIdle();
    });
    this.#phase = 'stopped';
    this.#ending.abort(new Error('the dispatcher was stopped'));
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
    return { lanes: this.#lanes.size, waiting: this.#waiting.count, sending: this.#sending, unrecorded: this.#recorder.unrecorded };
  }

  // What the read model has committed

  onCommitted({ position, events }: Committed): void {
    if (this.#phase !== 'starting' && this.#phase !== 'running') return;
    const wasBehind = this.#unshown.size >= this.#limits.unshown;
    const news = events.filter((event) => comparePositions(event.position, this.#shownTo) > 0);
    const touched = new Set(news.map((event) => this.#see(event, see(event))).filter((lane) => lane !== undefined));
    this.#shownTo = laterPosition(this.#shownTo, position);
    const caughtUp = wasBehind && this.#unshown.size < this.#limits.unshown;
    for (const lane of caughtUp ? this.#lanes.values() : touched) this.#attend(lane);
    this.#pump();
  }

  #see(event: RecordedEvent, seen: Seen): Lane | undefined {
    switch (seen.kind) {
      case 'published':
        this.#bodies.remember(event);
        return undefined;
      case 'scheduled':
        return this.#offer(this.#lane(seen.entry.site, seen.entry.subscriptionId), seen.entry);
      case 'moved':
        this.#moved(event, seen.deliveryId);
        return undefined;
      case 'subscription':
        return this.#subscriptionChanged(seen);
      case 'nothing':
        return undefined;
    }
  }

  #subscriptionChanged({ site, subscriptionId, change }: Extract<Seen, { kind: 'subscription' }>): Lane | undefined {
    const awakes = change === 'WebhookSubscriptionResumed' || change === 'WebhookSubscriptionRestored';
    const lane = awakes ? this.#lane(site, subscriptionId, 'unknown') : this.#lanes.get(laneKey(site, subscriptionId));
    if (lane === undefined) return undefined;
    if (change === 'WebhookSubscriptionDeleted') {
      lane.deletions += 1;
      forgetWaiting(lane);
    }
    this.#changed(lane);
    return lane;
  }

  /** A delivery's stream has grown. When it was not by us, the stream says what is true now. */
  #moved(event: RecordedEvent, deliveryId: string): void {
    const attempt = this.#attempts.get(deliveryId);
    const unshown = this.#unshown.get(deliveryId);
    if (attempt !== undefined) attempt.shownRevision = event.revision;
    else if (unshown === undefined || event.revision > unshown.revision) void this.#refresh(event.stream, deliveryId);
    else if (event.revision === unshown.revision) this.#shown(deliveryId, unshown);
  }

  async #refresh(stream: string, deliveryId: string): Promise<void> {
    try {
      const history = await this.#gate.run(() => patiently(() => this.#parts.store.readStream(stream), this.#patience));
      const state = fold(history);
      const site = parseStream(stream)?.site;
      // A request that began meanwhile finds out by itself when it is recorded.
      if (site === undefined || state.status === 'NONE' || this.#attempts.has(deliveryId)) return;
      const lane = this.#lane(site, state.subscriptionId);
      const revision = history.length - 1;
      lane.fresh.remove(deliveryId);
      lane.retries.remove(deliveryId);
      this.#keep(deliveryId, { lane, revision, waiting: waitingOf(site, deliveryId, state, revision), shown: true });
      this.#attend(lane);
      this.#pump();
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#alarm({ alarm: 'attempt-broken', detail: `${stream}: ${nameOf(error)}`, deliveryId });
    }
  }

  /** Keeps what was recorded until the read model has shown it; what waits goes to the window when it has a place there. */
  #keep(deliveryId: string, unshown: Unshown): void {
    unshown.lane.unshown.add(deliveryId);
    this.#unshown.set(deliveryId, unshown);
    this.#offerIfAny(unshown.lane, unshown.waiting);
    if (unshown.shown) this.#shown(deliveryId, unshown);
  }

  #shown(deliveryId: string, unshown: Unshown): void {
    const { lane, waiting } = unshown;
    unshown.shown = true;
    // A page that is being read may have been taken before: it must not bring the older state back.
    if (isReading(lane)) lane.shownMeanwhile.push(deliveryId);
    else this.#forget(deliveryId, unshown);
    // Where the window had no place for it, the read model is now where it is found.
    this.#offerIfAny(lane, waiting);
  }

  #forget(deliveryId: string, { lane }: Unshown): void {
    this.#unshown.delete(deliveryId);
    lane.unshown.delete(deliveryId);
  }

  // Lanes

  #lane(site: Site, subscriptionId: string, known: 'nothing-open' | 'unknown' = this.#phase === 'running' ? 'nothing-open' : 'unknown'): Lane {
    const key = laneKey(site, subscriptionId);
    const there = this.#lanes.get(key);
    if (there !== undefined) return there;
    if (this.#lanes.size >= this.#sweepAt) this.#sweep();
    const { vault, clock } = this.#parts;
    const [fresh, retries] = [new Window('PENDING', this.#waiting, known), new Window('SCHEDULED', this.#waiting, known)];
    const lane = newLane(site, subscriptionId, fresh, retries, new SigningKeys(vault, clock));
    this.#lanes.set(key, lane);
    return lane;
  }

  #sweep(): void {
    for (const [key, lane] of this.#lanes) if (isIdle(lane)) this.#lanes.delete(key);
    this.#sweepAt = Math.max(this.#limits.lanes, 2 * this.#lanes.size);
  }

  #changed(lane: Lane): void {
    lane.changes += 1;
    lane.view = undefined;
    lane.keys.forget();
    lane.blockedUntilMs = 0;
    if (!lane.asleep) return;
    lane.asleep = false;
    forgetWaiting(lane);
  }

  /** Lets a delivery wait, unless it is on its way, or nothing is kept for its subscription. */
  #offer(lane: Lane, entry: OpenDelivery): Lane {
    if (!lane.asleep && !this.#attempts.has(entry.deliveryId)) windowOf(lane, entry.status).offer(entry, this.#windowLimit(), this.#parts.clock.now() + keepAheadMs);
    return lane;
  }

  #offerIfAny(lane: Lane, entry: OpenDelivery | undefined): void {
    if (entry !== undefined) this.#offer(lane, entry);
  }

  #windowLimit(): number {
    const { window, waiting } = this.#limits;
    return this.#waiting.count < waiting ? window : Math.min(window, smallWindow);
  }

  /** Sees to it that the lane gets what it needs next: a wake-up, its subscription, a page, its turn. */
  #attend(lane: Lane): void {
    if (this.#phase !== 'running' || lane.asleep || lane.loading !== undefined) return;
    const nowMs = this.#parts.clock.now();
    const atMs = Math.max(Math.min(lane.fresh.wakeAtMs(), lane.retries.wakeAtMs()), lane.blockedUntilMs);
    if (atMs > nowMs) this.#wakeAt(lane, atMs);
    else if (lane.view === undefined) this.#whenRead(lane, this.#loadView(lane));
    else this.#serve(lane, nowMs);
  }

  #serve(lane: Lane, nowMs: number): void {
    for (const window of [lane.fresh, lane.retries]) {
      if (this.#unshown.size < this.#limits.unshown && window.wantsPage(nowMs, this.#windowLimit())) this.#whenRead(lane, this.#readPage(lane, window));
    }
    const next = nextOf(lane, nowMs);
    if (!(next instanceof Window)) this.#wakeAt(lane, next.atMs);
    else if (hasRoom(lane, nowMs, this.#limits.perSubscription)) this.#rounds.add(lane);
    const retryAtMs = lane.retries.wakeAtMs();
    if (retryAtMs > nowMs) this.#wakeAt(lane, retryAtMs);
  }

  #wakeAt(lane: Lane, atMs: number): void {
    if (atMs < Infinity) this.#wakeUps.set(lane, atMs);
  }

  #whenRead(lane: Lane, reading: Promise<void>): void {
    void reading
      .catch((error: unknown) => this.#block(lane, error))
      .then(() => {
        this.#attend(lane);
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
      const view = await this.#gate.run(() => this.#parts.subscription(lane.site, lane.subscriptionId));
      if (changes === lane.changes) return this.#use(lane, view);
    }
  }

  #use(lane: Lane, view: SubscriptionView): void {
    lane.view = view;
    switch (view.state.status) {
      case 'ACTIVE':
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
    const page = window.beginPage(this.#windowLimit());
    if (page === undefined) return;
    const question = { site, subscriptionId, status: window.status, order: window.order, after: page.after, limit: page.limit };
    try {
      this.#endPage(lane, window, page, await this.#gate.run(() => this.#parts.feed.open(question)));
    } catch (error) {
      this.#endPage(lane, window, page);
      throw error;
    }
  }

  #endPage(lane: Lane, window: Window, page: Page, rows?: readonly FedDelivery[]): void {
    window.endPage(page, rows, (row) => this.#offerIfAny(lane, this.#current(row)));
    // The page can't have what the read model does not show.
    for (const deliveryId of lane.unshown) this.#offerIfAny(lane, this.#unshown.get(deliveryId)?.waiting);
    if (isReading(lane)) return;
    for (const deliveryId of lane.shownMeanwhile.splice(0)) {
      const unshown = this.#unshown.get(deliveryId);
      if (unshown?.shown) this.#forget(deliveryId, unshown);
    }
  }

  /** What a row of the read model is by now: recorded since, or as it says. */
  #current(row: OpenDelivery): OpenDelivery | undefined {
    const unshown = this.#unshown.get(row.deliveryId);
    return unshown !== undefined && unshown.revision > row.revision ? unshown.waiting : row;
  }

  // Attempts

  #pump(): void {
    while (this.#phase === 'running' && !this.#rounds.isEmpty && this.#sending < this.#limits.inFlight) {
      if (!this.#recorder.isKeepingUp()) {
        this.#alarm({ alarm: 'outcomes-unrecorded', detail: `${this.#recorder.unrecorded} outcomes wait to be recorded; nothing is sent meanwhile` });
        return;
      }
      const lane = this.#rounds.next();
      if (lane !== undefined) this.#begin(lane, this.#parts.clock.now());
    }
  }

  #begin(lane: Lane, nowMs: number): void {
    const next = nextOf(lane, nowMs);
    const entry = hasRoom(lane, nowMs, this.#limits.perSubscription) && next instanceof Window ? next.take() : undefined;
    if (entry === undefined) return;
    lane.retryIsNext = next === lane.fresh;
    const attempt: Attempt = { lane, entry, deletions: lane.deletions, shownRevision: -1 };
    this.#attempts.set(entry.deliveryId, attempt);
    lane.sending += 1;
    this.#sending += 1;
    this.#proceed(attempt);
    this.#attend(lane);
  }

  /** Sends when everything is at hand; all of it is looked at in one go, so nothing can change between the look and the request. */
  #proceed(attempt: Attempt): void {
    const { lane, entry } = attempt;
    if (attempt.deletions !== lane.deletions) return this.#unhand(attempt);
    if (this.#phase !== 'running' || !this.#recorder.isKeepingUp()) return this.#giveBack(attempt);
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

  /** What the request is made of, or what has to be read first. */
  #gather(lane: Lane, entry: OpenDelivery): Ready | Promise<unknown> | 'not-now' | 'cancelled' {
    const { clock } = this.#parts;
    if (lane.view === undefined) return this.#loadView(lane);
    const { state, revision } = lane.view;
    if (state.status === 'DELETED' || state.status === 'NONE' || state.incarnation !== entry.incarnation) return 'cancelled';
    if (state.status === 'PAUSED') return 'not-now';
    const event = this.#bodies.get(entry.eventStream);
    if (event === undefined) return this.#bodies.load(entry.eventStream);
    const versions = signingSecrets(state, clock.now());
    const keys = lane.keys.get(versions);
    if (keys === undefined) return lane.keys.load(lane.site, lane.subscriptionId, state, versions);
    return { state, subscriptionRevision: revision, event, keys, secretVersionIds: versions.map(({ versionId }) => versionId) };
  }

  #send(attempt: Attempt, ready: Ready): void {
    const { clock, send } = this.#parts;
    const request = { url: ready.state.targetUrl, webhookId: attempt.entry.deliveryId, body: ready.event.body, keys: ready.keys };
    void send({ ...request, timestampSeconds: Math.floor(clock.now() / 1000), timeoutMs: this.#limits.timeoutMs, signal: this.#ending.signal }).then(
      (sent) => this.#ended(attempt, ready, sent),
      (error: unknown) => this.#broke(attempt, error),
    );
  }

  #ended(attempt: Attempt, ready: Ready, sent: SentRequest): void {
    // Aborted by a stop, or too late for it: it stays as it was, and is sent again after the next start.
    if (this.#phase === 'stopped') return;
    const { lane, entry } = attempt;
    const { event, subscriptionRevision, secretVersionIds } = ready;
    const nowMs = this.#parts.clock.now();
    const ended: Ended = { entry, event, sent, decision: this.#decide(entry, ready, sent, nowMs), subscriptionRevision, secretVersionIds, nowMs };
    lane.sending -= 1;
    this.#sending -= 1;
    lane.recording += 1;
    lane.blockedUntilMs = Math.max(lane.blockedUntilMs, nowMs + restAfterMs(sent));
    this.#parts.onAttempt?.(lineOf(ended));
    void this.#recorder.record(finishedOf(ended)).then(
      (recorded) => this.#recorded(attempt, ended.decision, recorded),
      (error: unknown) => this.#unrecordable(attempt, error),
    );
    this.#attend(lane);
    this.#pump();
  }

  #decide({ attemptsCounted, lastChance }: OpenDelivery, { state }: Ready, { response, error, retryAfterMs }: SentRequest, nowMs: number): AttemptDecision {
    const schedule = { mode: state.deliveryMode, schedule: this.#schedule, attemptsCounted, lastChance };
    return decideAfterAttempt({ ...schedule, status: response?.status ?? null, error, retryAfterMs, nowMs, random: this.#dice.roll() });
  }

  #recorded(attempt: Attempt, decision: AttemptDecision, { revision, state }: Recorded): void {
    const { lane, entry } = attempt;
    const { site, deliveryId } = entry;
    const next = state === undefined ? retryOf(entry, decision, revision) : waitingOf(site, deliveryId, state, revision);
    // What a deletion met on its way is cancelled, whatever became of it.
    const waiting = attempt.deletions === lane.deletions ? next : undefined;
    this.#attempts.delete(deliveryId);
    lane.recording -= 1;
    this.#keep(deliveryId, { lane, revision, waiting, shown: attempt.shownRevision >= revision });
    this.#goOn(lane);
  }

  #goOn(lane: Lane): void {
    this.#tellIdle();
    this.#attend(lane);
    this.#pump();
  }

  // What can go wrong

  /** Takes the attempt back before its request began. */
  #unhand({ lane, entry }: Attempt): void {
    this.#attempts.delete(entry.deliveryId);
    lane.sending -= 1;
    this.#sending -= 1;
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#attempts.size === this.#setAside) this.#onIdle?.();
  }

  /** Takes the attempt back, to be made again. */
  #giveBack(attempt: Attempt): void {
    const { lane, entry, deletions } = attempt;
    this.#unhand(attempt);
    if (deletions === lane.deletions) this.#offer(lane, entry);
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
    lane.blockedUntilMs = this.#parts.clock.now() + (secret ? secretPauseMs : troublePauseMs);
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
    this.#sending += 1;
    this.#putAside(attempt);
    this.#goOn(attempt.lane);
  }

  #alarmBroken({ entry }: Attempt, error: unknown): void {
    const { site, subscriptionId, deliveryId } = entry;
    this.#alarm({ alarm: 'attempt-broken', detail: nameOf(error), site, subscriptionId, deliveryId });
  }

  /** An error of ours must not become a storm of requests: the attempt keeps its subscription's slot, but nobody else's, for some minutes. */
  #putAside(attempt: Attempt): void {
    this.#setAside += 1;
    this.#sending -= 1;
    const again = (): void => {
      this.#setAside -= 1;
      this.#sending += 1;
      this.#giveBack(attempt);
      this.#pump();
    };
    // Rejects only when everything has ended.
    void sleep(this.#parts.clock, brokenPauseMs, this.#ending.signal).then(again, () => undefined);
  }
}

/** The message may describe what we stand in: the name is enough for an alarm. */
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : 'unknown error');

/** Answers by which an endpoint says that it has too much to do. Standard Webhooks 1.0, "Operational considerations". */
const overloaded: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const restMs = 1_000;
const longestRestMs = 60_000;

/** How long an overloaded endpoint gets nothing at all: as long as it asks for, within a minute; at least a second. */
const restAfterMs = ({ response, retryAfterMs }: SentRequest): number =>
  response !== null && overloaded.has(response.status) ? Math.min(Math.max(retryAfterMs ?? 0, restMs), longestRestMs) : 0;
