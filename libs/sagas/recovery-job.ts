import { loadPolicy, recoveryFold, subscriptionFold } from '#command-pipeline';
import { scheduleDelivery } from '#deliveries';
import { acceptedFilter, EventData } from '#event-filter';
import { StreamTombstoned, WrongExpectedRevision } from '#event-store';
import { comparePositions, type Gate, isRefusal, placeOf, type Position, type Site, sleep, streamOf } from '#kernel';
import { readPublishedEvent } from '#publishing';
import type { LogRange, MissedEvent, Selection } from '#read-models';
import { type Recovery, type RecoveryCounts, type RecoveryCursor, type RecoveryEvent, replays, selectsBeforeMs } from '#recoveries';
import type { LiveSubscription } from '#subscriptions';
import { type Endurance, Stopping } from './endure.ts';
import { inFlight } from './in-flight.ts';
import { envelope, send } from './outputs.ts';
import type { RecoveriesParts } from './port.ts';

const saga = 'recoveries';

/** Progress is recorded at most once a second, or after so many items. */
const recordAfterMs = 1_000;
const recordAfterItems = 1_000;
/** And no oftener than after this part of all, however long that takes: whoever wants to know the job reads its record whole. */
const recordAfterPart = 1 / 10_000;
/** Steps in a second: a job sends its share of the rate in each, so that others come in between and a cancel is soon met. */
const stepsPerSecond = 4;
const itemsPerStep = 500;
const sendsAtOnce = 32;

/** The job's stream has gone on without this process: the job was cancelled, or somebody else runs it. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

export interface JobContext {
  /** Aborts when the job is over, or is to stop here. */
  readonly signal: AbortSignal;
  readonly endurance: Endurance;
  readonly turns: Gate;
}

/** Where to look, the same for every step. */
interface Scope {
  readonly recovery: Recovery;
  readonly range: LogRange;
  /** What was opened after it may be what this job has sent and not recorded; null when it has sent nothing before. */
  readonly openedAfter: Position | null;
}

/** How far the job is; `cursor` null: through. */
interface Progress extends RecoveryCounts {
  readonly cursor: RecoveryCursor | null;
  readonly total: number;
}

type Send = () => Promise<keyof RecoveryCounts>;

interface Page {
  readonly sends: readonly Send[];
  readonly next: RecoveryCursor | null;
}

/**
 * One recovery: counts what it selects, then sends it in log order, deliveries first. Each delivery is replayed by a command
 * whose key is made of recovery and delivery, so at most once however often the job begins again; what was missed is
 * scheduled as the fan-out would have scheduled it. It begins again at the progress recorded last, and looks there also at
 * what was opened since, of whatever status by now: that is how it counts what it sent before a crash.
 */
export class RecoveryJob {
  readonly #parts: RecoveriesParts;
  readonly #stream: string;
  readonly #site: Site;
  readonly #recoveryId: string;
  readonly #context: JobContext;
  #expected = 0;
  #recordedMs = 0;
  #recordedItems = 0;
  /** When the rate allows the next step, on the monotonic clock. */
  #freeAtMs = 0;

  constructor(parts: RecoveriesParts, stream: string, context: JobContext) {
    this.#parts = parts;
    this.#stream = stream;
    const { site, id } = placeOf(stream);
    this.#site = site;
    this.#recoveryId = id;
    this.#context = context;
  }

  /** Resolves when the recovery is over; rejects with `Stopping` when the signal aborts, with another error when it can't go on. */
  async run(): Promise<void> {
    for (;;) {
      const { state, expected } = await this.#durably(() => this.#parts.aggregates.load(this.#stream, recoveryFold));
      if (state.status !== 'RUNNING' || expected === 'NO_STREAM') return;
      this.#expected = expected;
      try {
        return await this.#carryOn(state);
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error;
      }
    }
  }

  async #carryOn(recovery: Recovery): Promise<void> {
    const scope = await this.#scopeOf(recovery);
    const { cursor, total: counted, recovered: before, skipped: passed } = recovery;
    let progress: Progress = counted === null ? await this.#begin(scope) : { cursor, total: counted, recovered: before, skipped: passed };
    this.#recorded(progress);
    while (progress.cursor !== null) {
      await this.#free();
      const subscription = await this.#subscriptionOf(recovery);
      if (subscription === undefined) return await this.#finish(recovery, progress, 'The webhook subscription was deleted.');
      if (await this.#isGated(recovery, progress.cursor)) return await this.#finish(recovery, progress, 'A policy asks for an approval of each replay since.');
      progress = await this.#step(scope, progress, progress.cursor, subscription);
      if (progress.cursor !== null && this.#isRecordDue(progress)) await this.#record(recovery, progress, progress.cursor);
    }
    const { total, recovered, skipped } = progress;
    // What was counted and not met any more was delivered or replayed by others meanwhile.
    await this.#finish(recovery, { ...progress, skipped: Math.max(skipped, total - recovered) }, null);
  }

  /** The read models know everything up to the head of now, so also all that this job has done in an earlier life. */
  async #scopeOf(recovery: Recovery): Promise<Scope> {
    const { selections, store } = this.#parts;
    const head = await this.#durably(() => store.head());
    await this.#ask(() => selections.reached(head, this.#context.signal));
    const { sinceMs, startedPosition, total, recordedPosition } = recovery;
    const range = await this.#ask(() => selections.within({ site: this.#site, sinceMs, untilMs: selectsBeforeMs(recovery), after: '0', through: startedPosition }));
    return { recovery, range, openedAfter: total === null ? null : recordedPosition };
  }

  /** Counts the selection. What it comes to is recorded before anything is sent: without it nothing was. */
  async #begin(scope: Scope): Promise<Progress> {
    const start: RecoveryCursor = { part: 'DELIVERIES', position: scope.range.after };
    let total = 0;
    for (let cursor: RecoveryCursor | null = start; cursor !== null; ) {
      const at: RecoveryCursor = cursor;
      const page = await this.#context.turns.run(() => this.#page(scope, at, itemsPerStep));
      total += page.sends.length;
      cursor = page.next;
    }
    const progress = { total, recovered: 0, skipped: 0, cursor: start };
    await this.#record(scope.recovery, progress, start);
    return progress;
  }

  #step(scope: Scope, { total, recovered, skipped }: Progress, cursor: RecoveryCursor, subscription: LiveSubscription): Promise<Progress> {
    return this.#context.turns.run(async () => {
      const { ratePerSecond } = scope.recovery;
      const startedMs = this.#parts.clock.monotonicMs();
      const { sends, next } = await this.#page(scope, cursor, Math.min(itemsPerStep, Math.ceil(ratePerSecond / stepsPerSecond)));
      const counts = { recovered, skipped };
      await inFlight(sends, atOnce(cursor, subscription), async (one) => {
        counts[await this.#ask(one)] += 1;
      });
      this.#freeAtMs = Math.max(this.#freeAtMs, startedMs) + (sends.length * 1_000) / ratePerSecond;
      return { ...counts, total: Math.max(total, counts.recovered + counts.skipped), cursor: next };
    });
  }

  async #page({ recovery, range, openedAfter }: Scope, { part, position }: RecoveryCursor, limit: number): Promise<Page> {
    const { subscriptionId, incarnation, sinceMs, statuses } = recovery;
    const selection: Selection = { site: this.#site, subscriptionId, incarnation, sinceMs, untilMs: selectsBeforeMs(recovery), after: position, through: range.through, limit };
    const nextOf = (through: Position): RecoveryCursor | null => (comparePositions(through, range.through) < 0 ? { part, position: through } : part === 'DELIVERIES' ? { part: 'MISSED', position: range.after } : null);
    if (part === 'MISSED') {
      if (!statuses.includes('MISSED')) return { sends: [], next: null };
      const { items, through } = await this.#ask(() => this.#parts.selections.missed(selection));
      return { sends: items.map((event) => () => this.#schedule(recovery, event)), next: nextOf(through) };
    }
    const asked = statuses.filter((status) => status !== 'MISSED');
    if (asked.length === 0) return { sends: [], next: nextOf(range.through) };
    const { items, through } = await this.#ask(() => this.#parts.selections.deliveries({ ...selection, statuses: asked, openedAfter }));
    return { sends: items.map(({ deliveryId }) => () => this.#replay(recovery, deliveryId)), next: nextOf(through) };
  }

  async #replay({ statuses, because }: Recovery, webhookDeliveryId: string): Promise<keyof RecoveryCounts> {
    const answer = await send(this.#parts, saga, {
      do: 'command',
      key: `${this.#recoveryId}|${webhookDeliveryId}`,
      site: this.#site,
      commandType: 'ReplayWebhookDelivery',
      payload: { webhookDeliveryId, includeDelivered: statuses.includes('DELIVERED'), includeCancelled: statuses.includes('CANCELLED') },
      settledBy: ['not-found', 'delivery-not-replayable'],
      because,
    });
    return isRefusal(answer) || answer.outcome === 'NO_CHANGE' ? 'skipped' : 'recovered';
  }

  async #schedule({ subscriptionId, incarnation, because }: Recovery, { stream: eventStream, filter }: MissedEvent): Promise<keyof RecoveryCounts> {
    const { store, clock } = this.#parts;
    const [event] = await store.readStream(eventStream, 0, 1);
    if (event === undefined || !isWanted(filter, event.data)) return 'skipped';
    const { stream, event: scheduled } = scheduleDelivery(readPublishedEvent(event), event, { subscriptionId, incarnation }, clock.now(), { saga, because });
    try {
      await store.append(stream, 'NO_STREAM', [scheduled]);
    } catch (error) {
      // It has been removed since.
      if (error instanceof WrongExpectedRevision || error instanceof StreamTombstoned) return 'skipped';
      throw error;
    }
    // A delivery that was there is met by the same event id, which is success: it says itself who scheduled it.
    const [first] = await store.readStream(stream, 0, 1);
    return first?.metadata['causationid'] === because.causationId ? 'recovered' : 'skipped';
  }

  /** Undefined when it is gone, for good or not: nothing is sent to it. */
  async #subscriptionOf({ subscriptionId, incarnation }: Recovery): Promise<LiveSubscription | undefined> {
    const { state } = await this.#durably(() => this.#parts.aggregates.load(streamOf('webhooksubscription', this.#site, subscriptionId), subscriptionFold));
    return (state.status === 'ACTIVE' || state.status === 'PAUSED') && state.incarnation === incarnation ? state : undefined;
  }

  /** The gate is for callers; what would go past it for one that came before it must stop here. */
  async #isGated({ statuses }: Recovery, { part }: RecoveryCursor): Promise<boolean> {
    if (part === 'MISSED' || !replays(statuses)) return false;
    return (await this.#durably(() => loadPolicy(this.#parts.aggregates, this.#site, 'ReplayWebhookDelivery'))).state.policy.required;
  }

  #isRecordDue({ recovered, skipped, total }: Progress): boolean {
    const items = recovered + skipped - this.#recordedItems;
    return items >= recordAfterItems || (items >= total * recordAfterPart && this.#parts.clock.monotonicMs() - this.#recordedMs >= recordAfterMs);
  }

  #recorded({ recovered, skipped }: RecoveryCounts): void {
    this.#recordedMs = this.#parts.clock.monotonicMs();
    this.#recordedItems = recovered + skipped;
  }

  async #record(recovery: Recovery, { total, recovered, skipped }: Progress, cursor: RecoveryCursor): Promise<void> {
    await this.#append(recovery, { type: 'WebhookRecoveryProgressed', data: { cursor, total, recovered, skipped } });
    this.#recorded({ recovered, skipped });
  }

  #finish(recovery: Recovery, { total, recovered, skipped }: Progress, detail: string | null): Promise<void> {
    return this.#append(recovery, { type: 'WebhookRecoveryFinished', data: { total, recovered, skipped, detail } });
  }

  async #append({ because }: Recovery, { type, data }: RecoveryEvent): Promise<void> {
    const { store, clock, ids } = this.#parts;
    // A random id: what another process writes at the same place must be a conflict, the repeat of this must not.
    const event = { id: ids.uuid(), type, data: JSON.stringify(data), metadata: envelope(saga, this.#site, because, clock.now()) };
    const expected = this.#expected;
    try {
      this.#expected = (await this.#durably(() => store.append(this.#stream, expected, [event]))).revision;
    } catch (error) {
      if (error instanceof WrongExpectedRevision) throw new Overtaken(`${this.#stream} has gone on`, { cause: error });
      throw error;
    }
  }

  /** Waits until the rate allows the next step. */
  async #free(): Promise<void> {
    const waitMs = this.#freeAtMs - this.#parts.clock.monotonicMs();
    this.#mustGoOn();
    if (waitMs <= 0) return;
    try {
      await sleep(this.#parts.clock, waitMs, this.#context.signal);
    } catch (error) {
      throw new Stopping('stopped between two steps', { cause: error });
    }
  }

  /** Asks the read models, or what asks them, until they answer. */
  #ask<T>(question: () => Promise<T>): Promise<T> {
    return this.#durably(async () => {
      try {
        return await question();
      } catch (error) {
        this.#mustGoOn();
        throw error;
      }
    });
  }

  #durably<T>(action: () => Promise<T>): Promise<T> {
    this.#mustGoOn();
    return this.#context.endurance.durably(action);
  }

  #mustGoOn(): void {
    if (this.#context.signal.aborted) throw new Stopping('the job is over here');
  }
}

function isWanted(filter: string | null, dataText: string): boolean {
  if (filter === null) return true;
  const verdict = acceptedFilter(filter).judge(new EventData(dataText));
  return 'wants' in verdict && verdict.wants;
}

/** To an ORDERED subscription the log of its deliveries is the order in which they are sent. */
const atOnce = ({ part }: RecoveryCursor, { deliveryMode }: LiveSubscription): number => (part === 'MISSED' && deliveryMode === 'ORDERED' ? 1 : sendsAtOnce);
