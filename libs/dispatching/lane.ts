import { setMaxListeners } from 'node:events';
import { comparePositions, type Position, type Site, siteKey, startOfLog } from '#kernel';
import { Breaker } from './breaker.ts';
import type { OpenedSecrets } from './opened-secrets.ts';
import { Pace } from './pace.ts';
import type { OpenDelivery, OpenStatus, SubscriptionView } from './port.ts';
import type { SlotHolder } from './slots.ts';
import type { Tenant } from './tenants.ts';
import type { Window } from './window.ts';

/** What one process knows of one partition: nothing is sent in it unless it is taken. */
export interface Partition {
  readonly number: number;
  /** `taking`: who is due is not known yet. */
  phase: 'away' | 'taking' | 'taken';
  /** Counts takings and leavings: a taking that is not the last of them takes nothing. */
  turn: number;
  /** When it was taken last, on the monotonic clock: before it somebody else may have sent. */
  sinceMs: number;
  /** Settles when the last taking has. */
  taking: Promise<void>;
  readonly lanes: Set<Lane>;
  /** Requests being prepared or under way, or their outcomes being recorded; not those set aside after an error of ours. */
  busy: number;
  /** Ends the requests under way to ORDERED subscriptions. */
  losing: AbortController;
}

/** Whether it is for us to send there, now or as soon as it is known what. */
export const isOurs = ({ phase }: Partition): boolean => phase !== 'away';

export const newPartition = (number: number): Partition => ({ number, phase: 'away', turn: 0, sinceMs: 0, taking: Promise.resolve(), lanes: new Set(), busy: 0, losing: newLosing() });

export function newLosing(): AbortController {
  const losing = new AbortController();
  // Every request of an ORDERED subscription that is under way listens to it.
  setMaxListeners(0, losing.signal);
  return losing;
}

/** What one process knows of one subscription's deliveries. */
export interface Lane extends SlotHolder {
  readonly partition: Partition;
  readonly site: Site;
  readonly subscriptionId: string;
  /** First attempts and replays, in log order. */
  readonly fresh: Window;
  /** Retries, by their time; of an ORDERED subscription in log order. */
  readonly retries: Window;
  /** ORDERED: one at a time, in log order whatever the status. */
  ordered: boolean;
  /** First attempts and retries take turns, so that neither starves the other. */
  retryIsNext: boolean;
  readonly secrets: OpenedSecrets;
  /** What a page of the read model must know: the last of its deliveries, and whether it was deleted and restored. */
  neededTo: Position;
  /** Undefined until it is needed, and again when the subscription has changed. */
  view: SubscriptionView | undefined;
  /** When the reading of the view began, on the monotonic clock. */
  viewSinceMs: number;
  /** Counts changes of the subscription: what was read before the last one is not used. */
  changes: number;
  loading: Promise<void> | undefined;
  /** Nothing is attempted and nothing kept in memory: paused, deleted, purged. Until the next change. */
  asleep: boolean;
  /** Counts deletions: what was taken from the window before one is not sent. */
  deletions: number;
  readonly breaker: Breaker;
  readonly pace: Pace;
  /** Nothing starts before, on the monotonic clock: the endpoint needs a rest, or something that every attempt needs could not be had. */
  blockedUntilMs: number;
  /** Slots it has taken; what was set aside has none. */
  held: number;
  isTrusted: boolean;
  /** Requests being prepared or under way, and those set aside after an error of ours; requests whose outcome is being recorded. */
  sending: number;
  recording: number;
  /** Views and pages being read for it. */
  reading: number;
  /** Deliveries that somebody else wrote to, whose streams are being read. */
  refreshing: number;
  /** Deliveries whose recorded state the read model has not shown yet. */
  readonly unshown: Set<string>;
  /** Deliveries whose newer state the read model has shown while a page was read, which may still hold the older one. */
  readonly shownMeanwhile: string[];
}

export const laneKey = (site: Site, subscriptionId: string): string => `${siteKey(site)}.${subscriptionId}`;

export const newLane = (partition: Partition, tenant: Tenant, site: Site, subscriptionId: string, fresh: Window, retries: Window, secrets: OpenedSecrets): Lane => ({
  partition,
  tenant,
  site,
  subscriptionId,
  fresh,
  retries,
  ordered: false,
  retryIsNext: false,
  secrets,
  neededTo: startOfLog,
  view: undefined,
  viewSinceMs: 0,
  changes: 0,
  loading: undefined,
  asleep: false,
  deletions: 0,
  breaker: new Breaker(),
  pace: new Pace(partition.sinceMs),
  blockedUntilMs: 0,
  held: 0,
  isTrusted: true,
  sending: 0,
  recording: 0,
  reading: 0,
  refreshing: 0,
  unshown: new Set(),
  shownMeanwhile: [],
});

export const windowOf = (lane: Lane, status: OpenStatus): Window => (status === 'PENDING' ? lane.fresh : lane.retries);

/** Nothing that has begun will come back to it, and the read model knows all that it knows. */
export const isQuiet = ({ sending, recording, reading, refreshing, unshown }: Lane): boolean => sending + recording + reading + refreshing + unshown.size === 0;

/** Nothing would be lost by forgetting it. */
export const isIdle = (lane: Lane): boolean => lane.fresh.isDone && lane.retries.isDone && isQuiet(lane);

/** Whether a page of the read model is on its way, which may be older than what is known by then. */
export const isReading = (lane: Lane): boolean => lane.fresh.isReading || lane.retries.isReading;

export function removeWaiting(lane: Lane, deliveryId: string): void {
  lane.fresh.remove(deliveryId);
  lane.retries.remove(deliveryId);
}

/** Keeps nothing that waits: the read model knows what is open. */
export function forgetWaiting(lane: Lane): void {
  lane.fresh.forgetAll();
  lane.retries.forgetAll();
}

/** Keeps nothing that waits: nothing is open. */
export function closeWindows(lane: Lane): void {
  lane.fresh.close();
  lane.retries.close();
}

export function setOrdered(lane: Lane, ordered: boolean): void {
  lane.ordered = ordered;
  lane.retries.setOrder(ordered ? 'log' : 'due');
}

/** Whether the lane may send one more, its first delivery and its rest aside. ORDERED waits until the one before is durably recorded, and it is known what became of it. */
export function hasRoom(lane: Lane, perSubscription: number): boolean {
  if (lane.asleep || lane.view === undefined || lane.held >= lane.breaker.places) return false;
  return lane.ordered ? lane.sending + lane.recording + lane.refreshing === 0 : lane.sending < perSubscription;
}

/** The window whose head is to be sent next, or when there will be one; never, when that depends on something else. */
export function nextOf(lane: Lane, nowMs: number): Window | { readonly atMs: number } {
  const window = lane.ordered ? firstOfOrdered(lane) : firstOfAny(lane, nowMs);
  const head = window?.head();
  if (window === undefined || head === undefined) return { atMs: Infinity };
  return isDue(window, nowMs) ? window : { atMs: head.dueAtMs };
}

/** What could be sent now, its room aside: of an ORDERED subscription `next` alone, of others a first attempt, a retry, or either. */
export const dueWindows = ({ ordered, fresh, retries }: Lane, next: Window, nowMs: number): readonly Window[] => (ordered ? [next] : [next, next === fresh ? retries : fresh].filter((window) => isDue(window, nowMs)));

function isDue(window: Window, nowMs: number): boolean {
  const head = window.head();
  return head !== undefined && (head.status === 'PENDING' || head.dueAtMs <= nowMs);
}

function firstOfOrdered({ fresh, retries }: Lane): Window | undefined {
  if (fresh.isUnsure || retries.isUnsure) return undefined;
  const [first, retry] = [fresh.head(), retries.head()];
  if (first === undefined || retry === undefined) return first === undefined ? retries : fresh;
  return comparePositions(first.scheduledPosition, retry.scheduledPosition) < 0 ? fresh : retries;
}

function firstOfAny({ fresh, retries, retryIsNext }: Lane, nowMs: number): Window {
  const retryIsDue = (retries.head()?.dueAtMs ?? Infinity) <= nowMs;
  if (fresh.size === 0) return retries;
  return retryIsDue && retryIsNext ? retries : fresh;
}

/** One delivery on its way: taken from the window, not yet recorded. */
export interface Attempt {
  readonly lane: Lane;
  readonly entry: OpenDelivery;
  /** The lane's `deletions` when it was taken. */
  readonly deletions: number;
  /** The lane's `ordered` when it was taken. */
  readonly ordered: boolean;
  /** The breaker's `turn` when it was taken. */
  readonly breakerTurn: number;
  /** The read model has shown an event of its stream up to this revision meanwhile. */
  shownRevision: number;
}
