import type { DeliveryTranscript } from '#deliveries';
import type { EventStore } from '#event-store';
import type { Clock, Ids, Position, RetrySchedule, Secret, Site } from '#kernel';
import type { Committed, DueDelivery } from '#read-models';
import type { SecretVault } from '#secret-vault';
import type { SubscriptionState } from '#subscriptions';

export type OpenStatus = 'PENDING' | 'SCHEDULED';

/** A delivery as the feed tells it. `dueAtMs` matters with SCHEDULED only: its `nextAttemptAt`. PENDING is due at once. */
export type FedDelivery = Omit<DueDelivery, 'operational'>;

/** A delivery that waits for its next attempt. */
export type OpenDelivery = FedDelivery & { readonly status: OpenStatus };

/** A place among the open deliveries of one subscription. */
export interface Place {
  readonly dueAtMs: number;
  readonly scheduledPosition: Position;
}

/** `due`: by `dueAtMs`, then by position. `log`: by position alone. */
export type Order = 'due' | 'log';

export interface OpenQuestion {
  readonly site: Site;
  readonly subscriptionId: string;
  readonly status: OpenStatus;
  /** PENDING is asked for in `log` order; SCHEDULED in `due` order, or for an ORDERED subscription in `log` order. */
  readonly order: Order;
  /** Exclusive; null for the start. */
  readonly after: Place | null;
  readonly limit: number;
}

/**
 * The open deliveries (PENDING and SCHEDULED, due or not, none that is cancelled), from the read model. It may be behind the
 * log; what the dispatcher has recorded meanwhile it knows itself, and forgets when `onCommitted` tells that the read model has it.
 */
export interface DueFeed {
  /** Every subscription with open deliveries that is not deleted, paused ones too; `failures`: of its attempts since the last that did not fail. */
  lanes(): Promise<readonly { readonly site: Site; readonly subscriptionId: string; readonly failures: number }[]>;
  open(question: OpenQuestion): Promise<readonly FedDelivery[]>;
  /** Resolves when `lanes` and `open` know everything up to a position of the log. */
  reached(position: Position): Promise<void>;
}

/** A subscription folded from its stream, and its revision as the outside contract counts it. */
export interface SubscriptionView {
  readonly state: SubscriptionState;
  readonly revision: number;
}

/** One signed POST and what came of it: what `Sender.attempt` of the webhook-sender lib is. */
export type Send = (request: SendRequest) => Promise<SentRequest>;

export interface SendRequest {
  readonly url: string;
  readonly webhookId: string;
  readonly body: Uint8Array;
  /** The current key, then the one in its grace window. */
  readonly keys: readonly Secret<Uint8Array>[];
  /** The headers of the subscription's own. */
  readonly headers: Readonly<Record<string, Secret>>;
  readonly timestampSeconds: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface SentRequest {
  readonly startedAt: string;
  readonly durationMs: number;
  readonly request: { readonly method: string; readonly url: string; readonly headers: Readonly<Record<string, string>> };
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly truncated: boolean } | null;
  readonly error: string | null;
  readonly timings: DeliveryTranscript['timings'];
  readonly remoteAddress: string | null;
  readonly retryAfterMs: number | null;
}

/** One structured log line per attempt; nothing in it is a secret (the target's URL may hold one, so it is left out). */
export interface AttemptLine {
  readonly correlationId: string;
  readonly tenant: string;
  readonly environment: string;
  readonly subscriptionId: string;
  readonly deliveryId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly attempt: number;
  readonly status: number | null;
  readonly error: string | null;
  readonly durationMs: number;
  readonly remoteAddress: string | null;
  readonly decision: 'DELIVERED' | 'SCHEDULED' | 'DEAD_LETTERED';
  readonly why: string;
  readonly nextAttemptAt: string | null;
}

export type AlarmName =
  /** A secret can't be had; the subscription's deliveries wait, and it is tried again. */
  | 'signing-secret-unavailable'
  /** Outcomes can't be recorded; nothing is sent until they are. */
  | 'outcomes-unrecorded'
  /** An endpoint has failed several times in a row; little is sent to it until it answers. */
  | 'endpoint-failing'
  /** The store or the read model did not answer; what needed it is tried again. */
  | 'store-unavailable'
  /** A published event can't be read; its deliveries wait. */
  | 'event-unreadable'
  /** A request or its outcome ended in a way that must not happen; the delivery waits and is sent again. */
  | 'attempt-broken';

/** The same alarm about the same subscription is raised at most once every 30 s while its cause lasts. */
export interface Alarm {
  readonly alarm: AlarmName;
  readonly detail: string;
  readonly site?: Site;
  readonly subscriptionId?: string;
  readonly deliveryId?: string;
}

export interface DispatcherLimits {
  /** Requests under way to one subscription; ORDERED has one. */
  readonly perSubscription: number;
  /** Requests under way in all. One tenant alone has at most three quarters; its first attempts two thirds, its retries half, and so those to endpoints that answered badly or late the last time. */
  readonly inFlight: number;
  /** Deliveries of one subscription that wait in memory, of each kind: first attempts and retries. */
  readonly window: number;
  /** Deliveries that wait in memory in all: a subscription whose tenant has more than thrice of what is free yet has a window of 10. */
  readonly waiting: number;
  /** Bodies of published events kept in memory. */
  readonly bodyCacheBytes: number;
  /** Outcomes not yet recorded, and how long one may wait, before nothing more is sent. */
  readonly unrecorded: number;
  readonly unrecordedMs: number;
  /** Recorded changes that the read model has not shown yet. Beyond it what it says is mostly old, and nothing more is read from it; nor for a tenant that has more of them than thrice of what is free yet. */
  readonly unshown: number;
  /** Subscriptions known in memory before idle ones are forgotten. */
  readonly lanes: number;
  /** How long a transcript waits for others before they are written, while other requests are under way. */
  readonly transcriptWaitMs: number;
  /** A subscription is read again before a request when its last reading began longer ago than this: another process may have paused it. */
  readonly viewTrustMs: number;
}

export interface DispatcherParts {
  readonly feed: DueFeed;
  /** Must be as current as the stream: after an acknowledged Pause it says PAUSED. Rejects when the store does. */
  readonly subscription: (site: Site, subscriptionId: string) => Promise<SubscriptionView>;
  readonly store: Pick<EventStore, 'append' | 'readStream'>;
  readonly send: Send;
  readonly vault: Pick<SecretVault, 'open'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly schedule?: RetrySchedule;
  /** Whether a partition that was taken is this process's right now, asked right before each request; by default always. While it is not, nothing starts there. */
  readonly held?: (partition: number) => boolean;
  /** Which `transcript-<yyyymmdd>.<n>` is written to now, best one that no other process writes to; by default 0. Asked for every batch. */
  readonly transcriptPartition?: () => number;
  readonly limits?: Partial<DispatcherLimits>;
  readonly onAlarm: (alarm: Alarm) => void;
  readonly onAttempt?: (line: AttemptLine) => void;
}

export interface DispatcherStats {
  /** Subscriptions known in memory. */
  readonly lanes: number;
  /** Deliveries waiting in memory. */
  readonly waiting: number;
  /** Requests under way, those being prepared included. */
  readonly sending: number;
  /** Outcomes not yet durable. */
  readonly unrecorded: number;
  /** Subscriptions whose endpoints get little because they fail, as far as this process knows. */
  readonly failing: number;
}

export interface Dispatcher {
  /**
   * Begins to send to the subscriptions of these partitions (0 to 63); resolves when it knows who is due. The read model must have caught up
   * with the log since nobody else sends there: what it does not know as sent is sent again. What is taken already stays as it is; what
   * is released or lost meanwhile is not taken in the end, nor is anything once `stop` was called. Rejects when the read model does; then none of them is taken.
   */
  take(partitions: readonly number[]): Promise<void>;
  /** Starts nothing more there, and resolves when the requests under way have ended and are recorded, or the dispatcher was stopped: another process may then take it. */
  release(partitions: readonly number[]): Promise<void>;
  /**
   * Another process may send there from now on. Starts nothing more there; requests under way to ORDERED subscriptions are aborted, and recorded as
   * attempts that failed (`aborted`); others finish. Resolves when all is recorded, or the dispatcher was stopped.
   */
  lose(partitions: readonly number[]): Promise<void>;
  /**
   * Starts nothing more, and resolves when the requests under way have ended and are recorded, at the latest after
   * `graceMs`: what is not by then is aborted, recorded nowhere and sent again after the next start.
   */
  stop(options: { readonly graceMs: number }): Promise<void>;
  /**
   * May be told every batch before the read model has committed it, in order and without gaps: then first attempts do not wait for that. What is told
   * here is not to be told again.
   */
  onRead(batch: Committed): void;
  /** To be told every batch right after the read model has committed it, in order. What concerns partitions that are not taken is passed over. */
  onCommitted(batch: Committed): void;
  /** When it resolves, no attempt starts on anything older than the subscription's stream as it is now: after an acknowledged Pause or Delete, none at all. Requests under way finish. */
  pauseSeen(site: Site, subscriptionId: string): Promise<void>;
  /** Whether a request of the delivery is being prepared or under way, or its outcome is not yet recorded. */
  isInFlight(deliveryId: string): boolean;
  stats(): DispatcherStats;
}
