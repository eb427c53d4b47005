import type { Position, RecordedEvent, Site } from '#kernel';
import type { DeliveryMode } from '#subscriptions';

/** An open delivery as the dispatcher needs it. `revision` is its stream's: the next append's expected revision. */
export interface DueDelivery {
  readonly site: Site;
  readonly deliveryId: string;
  readonly subscriptionId: string;
  /** Of the subscription it was scheduled for: it goes to no later one of the same id. */
  readonly incarnation: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly eventStream: string;
  readonly operational: boolean;
  readonly revision: number;
  readonly attempts: number;
  readonly attemptsCounted: number;
  readonly lastChance: boolean;
  readonly scheduledPosition: Position;
  /** Where it was scheduled or replayed last: a deletion of its subscription behind that has cancelled it. */
  readonly openedPosition: Position;
  /** When the next attempt may start, milliseconds since 1970 UTC. */
  readonly dueAtMs: number;
}

/** One stretch of the log in which a subscription's pattern, filter and status were the same. `toPosition` null: still so. */
export interface SubscriptionVersion {
  readonly site: Site;
  readonly subscriptionId: string;
  readonly incarnation: string;
  readonly eventPattern: string;
  /** Which of the matching events, as an expression about their data; null: all of them. */
  readonly filter: string | null;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DELETED';
  readonly deliveryMode: DeliveryMode;
  /** From this position (exclusive: events after it) … */
  readonly fromPosition: Position;
  /** … to this one (inclusive). */
  readonly toPosition: Position | null;
}

/** What a folded batch changed, told in process as soon as who asks is answered so. */
export interface Committed {
  readonly position: Position;
  readonly events: readonly RecordedEvent[];
}

export interface ProjectionStatus {
  readonly name: string;
  readonly state: 'RUNNING' | 'REBUILDING' | 'STOPPED';
  readonly position: Position;
  /** Milliseconds since the projection last stood at the head; 0 when it stands there. */
  readonly behindMs: number;
  /** The event it stopped at, and why; null while it runs. */
  readonly poison: { readonly position: Position; readonly eventId: string; readonly error: string } | null;
}

export interface ReadModelAlarm {
  readonly alarm:
    /** A projection met an event it can't fold and stands still until a restart. */
    | 'projection-stopped'
    /** Nothing can be folded now (store, disk, thread); it is tried again. */
    | 'read-models-failing'
    /** The file was of no use and is built from the log again. */
    | 'read-models-remade'
    /** Projections could not be built anew; the old ones serve on. */
    | 'rebuild-failed'
    /** Somebody who is told of commits threw. */
    | 'listener-failed';
  readonly projection: string | null;
  readonly detail: string;
}
