import type { Readable } from 'node:stream';
import type { ApprovalPolicy, GateableCommand } from '#approvals';
import type { RefusedRequest } from '#audit';
import type { CommandAnswer, CommandRequest, DryRunAnswer, EventToPublish, Published, Publisher } from '#command-pipeline';
import type { HeardReport, ProcessReport } from '#coordination/processes';
import type { EventStore } from '#event-store';
import type { Position, Principal, Refusal, Secret, Site } from '#kernel';
import type { ApprovalItem, DeliveryView, Page, ReadModels, RecoveryView, RefusalItem, RefusalList } from '#read-models';
import type { SubscriptionState } from '#subscriptions';
import type { SagaStatus } from '#sagas';
import type { AttemptTranscript } from '#webhook-sender';

// What the HTTP shell asks of the rest. The classes are ports that are their own injection tokens.

export const CLOCK = Symbol('Clock');
export const IDS = Symbol('Ids');
export const METRICS = Symbol('Metrics');
export const ANSWER_PROBLEM = Symbol('AnswerProblem');
/** Answers the OpenAPI document of this application as YAML. */
export const OPENAPI = Symbol('OpenApi');
export const READS = Symbol('Reads');
export const STORY_READS = Symbol('StoryReads');
export const PROJECTIONS = Symbol('Projections');
export const LOG_READER = Symbol('LogReader');

/** Lists and look-ups in the read models. */
export type Reads = Pick<ReadModels, 'apiKeyById' | 'listApiKeys' | 'listApprovals' | 'listSubscriptions' | 'subscriptionHealth' | 'listRecoveries' | 'listDeliveries' | 'delivery' | 'transcripts' | 'event'>;

/** What stories need of the read models. */
export type StoryReads = Pick<ReadModels, 'subscriptionVersions' | 'signedAttempts' | 'publishedIds'>;

/** The log itself, for those who read or follow it: it can't be written through this. */
export type LogReader = Pick<EventStore, 'readAll' | 'readStream' | 'subscribe' | 'head'>;

/** How far this process's read models are. */
export type Projections = Pick<ReadModels, 'status' | 'onCommitted' | 'waitFor' | 'rebuild' | 'replay'>;

/** Takes commands through the pipeline. */
export abstract class Commands {
  abstract execute(request: CommandRequest): Promise<CommandAnswer | Refusal>;
  abstract dryRun(request: CommandRequest): Promise<DryRunAnswer>;
}

/** Refused attempts at gated commands and votes. */
export abstract class Refusals {
  /** Puts one on record when it is to be, after this has returned. Never throws. */
  abstract record(request: RefusedRequest, refusal: Refusal): void;
  abstract list(list: RefusalList): Promise<Page<RefusalItem> | Refusal>;
}

/** Publishes an event with one append. */
export abstract class Publishing {
  abstract publish(publisher: Publisher, event: EventToPublish): Promise<Published | Refusal>;
}

/** One request to send now, valid and within the limits. */
export interface ProbeRequest {
  readonly url: string;
  readonly eventType: string;
  /** The caller's JSON text, byte for byte. */
  readonly dataText: string;
  /** Null: one is made for this request. */
  readonly signingKey: Secret<Uint8Array> | null;
}

export interface Probed {
  readonly probeId: string;
  readonly position: Position;
  readonly transcript: Omit<AttemptTranscript, 'request' | 'retryAfterMs'> & { readonly request: AttemptTranscript['request'] & { readonly body: string } };
}

/** Sends one signed request that belongs to no subscription, and records that it did. */
export abstract class Probing {
  abstract probe(prober: Publisher, request: ProbeRequest): Promise<Probed | Refusal>;
}

export type BackupStep =
  | { readonly kind: 'progress'; readonly bytes: number; readonly totalBytes: number }
  /** The copy is whole, on disk, and has everything that was acknowledged up to the position. */
  | { readonly kind: 'result'; readonly backupId: string; readonly position: Position; readonly bytes: number }
  | { readonly kind: 'failed'; readonly refusal: Refusal };

/** A copy of the whole log. */
export interface Backup {
  readonly id: string;
  /** Makes it. After the result it does nothing more until the signal aborts. To be asked once. */
  steps(signal: AbortSignal): AsyncIterable<BackupStep>;
  /** Removes it, and breaks off whoever is fetching it. */
  end(): void;
}

/** Copies of the whole log, one at a time. */
export abstract class Backups {
  /** Refuses while another one has not ended (`concurrent-modification`), and when there is no room (`backup-failed`). */
  abstract begin(): Promise<Backup | Refusal>;
  /** What is in one that is whole and has not ended. */
  abstract content(backupId: string): Promise<{ readonly bytes: number; readonly body: Readable } | undefined>;
}

export interface PolicyRecord {
  readonly commandType: GateableCommand;
  readonly policy: ApprovalPolicy;
  /** How often it was set. */
  readonly revision: number;
}

export interface CommandRecord {
  readonly commandId: string;
  readonly commandType: string;
  readonly resourceId: string;
  readonly outcome: 'APPLIED' | 'NO_CHANGE';
  readonly revision: number;
  readonly position: Position;
  readonly actor: Principal;
  readonly approvalId: string | null;
  readonly recordedAtMs: number;
  readonly result: object;
}

export interface SubscriptionRecord {
  readonly state: Exclude<SubscriptionState, { status: 'NONE' }>;
  readonly revision: number;
}

export type ApprovalRecord = Omit<ApprovalItem, 'updatedAtMs'>;

/** What stands in the log, read from its streams: always current. */
export abstract class CurrentState {
  abstract head(): Promise<Position>;
  abstract approval(site: Site, approvalId: string): Promise<ApprovalRecord | undefined>;
  abstract policy(site: Site, commandType: GateableCommand): Promise<PolicyRecord>;
  abstract command(site: Site, commandId: string): Promise<CommandRecord | undefined>;
  /** A subscription, deleted or not; undefined when there is none of this id (any more). */
  abstract subscription(site: Site, subscriptionId: string): Promise<SubscriptionRecord | undefined>;
  abstract delivery(site: Site, deliveryId: string): Promise<DeliveryView | undefined>;
  abstract recovery(site: Site, recoveryId: string): Promise<RecoveryView | undefined>;
  /** What every attempt to deliver the event of a stream sends; null when the event is gone. */
  abstract wireBody(eventStream: string): Promise<string | null>;
}

/** How the work is divided among processes, and this one's part of it. */
export interface Sharing {
  /** `none`: there is no other process. `log`: by claims of roles in the log. `redis`: by leases in Redis. */
  readonly by: 'none' | 'log' | 'redis';
  /** Which process this is. */
  readonly own: Pick<ProcessReport, 'id' | 'process'>;
  /** All that is divided. */
  readonly all: { readonly sagas: readonly string[]; readonly partitions: readonly number[] };
  /** What this process does now. */
  doing(): Pick<ProcessReport, 'roles' | 'sagas' | 'partitions'>;
  /** The other processes, as they were last heard of. */
  others(): readonly HeardReport[];
  /** Why other processes may be at work of which nothing is heard; null when there are none. */
  unheard(): string | null;
}

/** What this process is. */
export abstract class ServerFacts {
  abstract readonly version: string;
  abstract readonly startedAtMs: number;
  abstract readonly roles: readonly string[];
  /** The server is stopping: it is not ready any more. */
  abstract readonly stopping: boolean;
  /** What else is not as it should be, in words: a role that is not under way. */
  abstract troubles(): readonly string[];
  /** Deliveries that are neither delivered nor dead-lettered, over all sites. */
  abstract openDeliveries(): Promise<number>;
  /** How far deliveries are scheduled, and which events could not be read; undefined where this process does not schedule them. */
  abstract fanOut(): Pick<SagaStatus, 'position' | 'parked'> | undefined;
  abstract readonly sharing: Sharing;
}
