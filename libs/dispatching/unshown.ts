import type { DeliveryState } from '#deliveries';
import { type EventStore, patiently, type Patience } from '#event-store';
import { parseStream, type RecordedEvent, type Site } from '#kernel';
import { nameOf } from './alarms.ts';
import { waitingOf, whoseOf } from './commits.ts';
import { isReading, type Lane, removeWaiting } from './lane.ts';
import type { Alarm, OpenDelivery } from './port.ts';
import type { Reads } from './reads.ts';
import { fold } from './recorder.ts';
import { newTenant, type Tenant } from './tenants.ts';

/** What a delivery came to, which the read model has not shown yet. */
export interface Change {
  readonly lane: Lane;
  readonly revision: number;
  /** Undefined when it waits for nothing. */
  waiting: OpenDelivery | undefined;
  shown: boolean;
}

export interface UnshownParts {
  readonly store: Pick<EventStore, 'readStream'>;
  readonly patience: Patience;
  readonly reads: Reads<Tenant>;
  readonly alarm: (alarm: Alarm) => void;
  /** Undefined when it is not for us to send there. */
  readonly laneOf: (site: Site, subscriptionId: string) => Lane | undefined;
  /** Whether there is anything that is for us to send. */
  readonly sends: () => boolean;
  readonly isUnderWay: (deliveryId: string) => boolean;
  readonly offer: (lane: Lane, entry: OpenDelivery | undefined) => void;
  /** Sees to it that the lane gets what it needs next. */
  readonly attend: (lane: Lane) => void;
  /** Sends what may be sent now. */
  readonly pump: () => void;
}

/**
 * What deliveries came to, from when it is recorded until the read model shows it: what we recorded, and what others did, which their streams
 * say. A row of the read model is older.
 */
export class Unshown {
  readonly #parts: UnshownParts;
  readonly #changes = new Map<string, Change>();
  /** Deliveries whose streams are being read, and the revision that the read model has shown by now. */
  readonly #refreshing = new Map<string, number>();
  /** Those of them of which it is not known whose they are. */
  readonly #anybodys = new Set<string>();
  /** ORDERED ones that wait until there are none of these: the first of their deliveries may be among them. */
  readonly #unsure = new Set<Lane>();
  /** Whose a delivery is that does not say so. */
  readonly #nobody = newTenant('');

  constructor(parts: UnshownParts) {
    this.#parts = parts;
  }

  /** The stream of a delivery that is not under way has grown, and the read model shows it. When it was not by us, the stream says what is true now. */
  moved(event: RecordedEvent, deliveryId: string): void {
    const change = this.#changes.get(deliveryId);
    if (change === undefined || event.revision > change.revision) this.#movedByOthers(event, deliveryId);
    else if (event.revision === change.revision) this.#shown(deliveryId, change);
  }

  #movedByOthers(event: RecordedEvent, deliveryId: string): void {
    const whose = whoseOf(event);
    const lane = whose === undefined ? undefined : this.#parts.laneOf(whose.site, whose.subscriptionId);
    const mayBeOurs = whose === undefined && this.#parts.sends();
    if (lane !== undefined || mayBeOurs) this.refresh(event.stream, deliveryId, event.revision, lane);
  }

  /** Reads the stream. Until then the delivery is not sent, and for ORDERED nothing else is: to no such subscription, where it is not known whose it is. */
  refresh(stream: string, deliveryId: string, shownRevision: number, lane: Lane | undefined): void {
    const underWay = this.#refreshing.get(deliveryId);
    this.#refreshing.set(deliveryId, Math.max(shownRevision, underWay ?? 0));
    if (underWay !== undefined) return;
    if (lane === undefined) this.#anybodys.add(deliveryId);
    else {
      lane.refreshing += 1;
      removeWaiting(lane, deliveryId);
    }
    const { patience, alarm, attend, pump } = this.#parts;
    void this.#read(stream, deliveryId, lane?.tenant ?? this.#nobody)
      .catch((error: unknown) => {
        if (!patience.signal.aborted) alarm({ alarm: 'attempt-broken', detail: `${stream}: ${nameOf(error)}`, deliveryId });
      })
      .then(() => {
        this.#refreshing.delete(deliveryId);
        this.#anybodys.delete(deliveryId);
        if (lane !== undefined) {
          lane.refreshing -= 1;
          attend(lane);
        }
        if (this.#anybodys.size === 0) this.#beSure();
        pump();
      });
  }

  #beSure(): void {
    const lanes = [...this.#unsure];
    this.#unsure.clear();
    for (const lane of lanes) this.#parts.attend(lane);
  }

  /** Whether what is first for an ORDERED subscription may be one of which it is being read what became of it; it is attended to when that is known. */
  holdsBack(lane: Lane): boolean {
    if (!lane.ordered || this.#anybodys.size === 0) return false;
    this.#unsure.add(lane);
    return true;
  }

  /** The lane is no more. */
  dropped(lane: Lane): void {
    this.#unsure.delete(lane);
  }

  async #read(stream: string, deliveryId: string, tenant: Tenant): Promise<void> {
    const { reads, store, patience } = this.#parts;
    const shown = (): number => this.#refreshing.get(deliveryId) ?? 0;
    let history: readonly RecordedEvent[];
    let shownBefore: number;
    // What was read before an event was shown may lack it.
    do {
      shownBefore = shown();
      history = await reads.run(tenant, () => patiently(() => store.readStream(stream), patience));
    } while (shown() > Math.max(shownBefore, history.length - 1));
    const state = fold(history);
    const site = parseStream(stream)?.site;
    if (site !== undefined && state.status !== 'NONE') this.#found(site, deliveryId, state, { revision: history.length - 1, shownRevision: shown() });
  }

  #found(site: Site, deliveryId: string, state: Exclude<DeliveryState, { status: 'NONE' }>, { revision, shownRevision }: { readonly revision: number; readonly shownRevision: number }): void {
    const { laneOf, isUnderWay, attend, pump } = this.#parts;
    const lane = laneOf(site, state.subscriptionId);
    // A request that began meanwhile finds out by itself when it is recorded.
    if (lane === undefined || isUnderWay(deliveryId) || revision < (this.#changes.get(deliveryId)?.revision ?? 0)) return;
    removeWaiting(lane, deliveryId);
    this.keep(deliveryId, { lane, revision, waiting: waitingOf(site, deliveryId, state, revision), shown: revision <= shownRevision });
    attend(lane);
    pump();
  }

  /** Keeps what was recorded until the read model has shown it; what waits goes to the window when it has a place there. */
  keep(deliveryId: string, change: Change): void {
    const { tenant, unshown } = change.lane;
    if (!unshown.has(deliveryId)) tenant.unshown.add(1);
    unshown.add(deliveryId);
    this.#changes.set(deliveryId, change);
    this.#parts.offer(change.lane, change.waiting);
    if (change.shown) this.#shown(deliveryId, change);
  }

  #shown(deliveryId: string, change: Change): void {
    const { lane, waiting } = change;
    change.shown = true;
    // A page that is being read may have been taken before: it must not bring the older state back.
    if (isReading(lane)) lane.shownMeanwhile.push(deliveryId);
    else this.#forget(deliveryId, change);
    // Where the window had no place for it, the read model is now where it is found.
    this.#parts.offer(lane, waiting);
    if (lane.partition.phase === 'away') this.#parts.attend(lane);
  }

  #forget(deliveryId: string, { lane }: Change): void {
    this.#changes.delete(deliveryId);
    if (lane.unshown.delete(deliveryId)) lane.tenant.unshown.add(-1);
  }

  /** What waits was cancelled with its subscription. */
  cancelled(lane: Lane): void {
    for (const deliveryId of lane.unshown) {
      const change = this.#changes.get(deliveryId);
      if (change !== undefined) change.waiting = undefined;
    }
  }

  /** What a row of the read model is by now: recorded since, or as it says; nothing while that is looked up. */
  current(row: OpenDelivery): OpenDelivery | undefined {
    if (this.#refreshing.has(row.deliveryId)) return undefined;
    const change = this.#changes.get(row.deliveryId);
    return change !== undefined && change.revision > row.revision ? change.waiting : row;
  }

  /** A page of the lane's was read, or could not be: it can't have what the read model does not show. */
  pageEnded(lane: Lane): void {
    for (const deliveryId of lane.unshown) this.#parts.offer(lane, this.#changes.get(deliveryId)?.waiting);
    if (isReading(lane)) return;
    for (const deliveryId of lane.shownMeanwhile.splice(0)) {
      const change = this.#changes.get(deliveryId);
      if (change?.shown) this.#forget(deliveryId, change);
    }
  }
}
