import type { ApprovalOutput } from '#approvals';
import type { Aggregates, ApprovalUpkeep, CommandPipeline } from '#command-pipeline';
import type { EventStore } from '#event-store';
import type { Clock, CommandOutput, CreateOutput, Ids, Position, Saga, Site, TombstoneOutput } from '#kernel';
import type { DeliverySelection, LogRange, MissedEvent, Selected, Selection, SubscriptionVersion } from '#read-models';
import type { SecretVault } from '#secret-vault';
import type { ShredOutput } from '#subscriptions';
import type { Origins } from './origins.ts';

/** Everything a saga may ask for. */
export type SagaOutput = CommandOutput | CreateOutput | TombstoneOutput | ShredOutput | ApprovalOutput;

/** A saga of whatever state. */
export type AnySaga = Saga<object, SagaOutput>;

export type AlarmName =
  /** An input or its output can't be dealt with: this instance waits for a restart, the others go on. */
  | 'instance-parked'
  /** Another process has written the checkpoint: this one has stopped. */
  | 'second-owner'
  /** The store, or the read models, do not answer; it is tried again. */
  | 'store-trouble'
  /** It has stopped in a way that must not happen. */
  | 'stopped';

export interface SagaAlarm {
  readonly saga: string;
  readonly alarm: AlarmName;
  readonly instance: string | null;
  readonly detail: string;
}

/** An instance that waits for a restart, which tries its inputs again. */
export interface ParkedStatus {
  readonly instance: string;
  readonly sinceMs: number;
  readonly error: string;
  /** Inputs that wait with it, and those that were too many to be kept. */
  readonly waiting: number;
  readonly dropped: number;
}

export interface SagaStatus {
  readonly name: string;
  readonly state: 'STARTING' | 'RUNNING' | 'STOPPED';
  /** Everything up to here has been reacted to, and the outputs are durable. */
  readonly position: Position;
  readonly caughtUp: boolean;
  /** Milliseconds since it last stood at the head of the log; 0 while it stands there. */
  readonly behindMs: number;
  readonly open: number;
  readonly parked: readonly ParkedStatus[];
  /** Why it has stopped by itself. */
  readonly why: string | null;
}

/** What every follower of the log needs. */
export interface FollowerParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly onAlarm: (alarm: SagaAlarm) => void;
}

export interface SagaRunnerParts extends FollowerParts {
  /** Everything that reacts, one checkpoint each. */
  readonly sagas: readonly AnySaga[];
  readonly execute: CommandPipeline['execute'];
  readonly vault: Pick<SecretVault, 'shred'>;
  readonly approvals: ApprovalUpkeep;
  /** For runners of one process to share what they know of the log; default: one of its own. */
  readonly origins?: Origins;
}

export interface SagaRunner {
  /** Begins. Resolves at once; what becomes of each saga is in `status` and in alarms. */
  start(): void;
  /** Takes nothing more, finishes the outputs under way, writes the checkpoints. */
  stop(): Promise<void>;
  status(): readonly SagaStatus[];
}

/** The projection `subscription_versions`. */
export interface SubscriptionVersions {
  /** Resolves when the projection has folded the log up to this position; rejects when the signal aborts. */
  reached(position: Position, signal: AbortSignal): Promise<void>;
  /** The site's versions that are in force somewhere after `after` and up to `through` (inclusive), of any status: all, or those of some subscriptions. */
  overlapping(site: Site, after: Position, through: Position, subscriptionIds?: readonly string[]): Promise<readonly SubscriptionVersion[]>;
}

export interface FanOutParts extends FollowerParts {
  readonly versions: SubscriptionVersions;
}

export interface FanOut {
  start(): void;
  /** Takes nothing more, finishes the appends under way, writes the checkpoints. */
  stop(): Promise<void>;
  /** As one saga; `position`: every delivery of everything up to here is scheduled. */
  status(): SagaStatus;
}

/** The read models from which a recovery selects. */
export interface Selections {
  /** Resolves when they have folded the log up to this position; rejects when the signal aborts. */
  reached(position: Position, signal: AbortSignal): Promise<void>;
  /** The part of a range of the log outside of which the site recorded nothing in a stretch of time. */
  within(of: Pick<Selection, 'site' | 'sinceMs' | 'untilMs' | 'after' | 'through'>): Promise<LogRange>;
  deliveries(selection: DeliverySelection): Promise<Selected<{ readonly deliveryId: string }>>;
  /** Streams of published events, each with the filter that the subscription had for it; null: none. */
  missed(selection: Selection): Promise<Selected<MissedEvent>>;
}

export interface RecoveriesParts extends FollowerParts {
  readonly aggregates: Aggregates;
  readonly execute: CommandPipeline['execute'];
  readonly selections: Selections;
}

export interface Recoveries {
  start(): void;
  /** Takes nothing more, finishes what is being sent, writes the checkpoint. The jobs go on at the next start. */
  stop(): Promise<void>;
  /** As one saga; `open`: jobs that are not over. */
  status(): SagaStatus;
}
