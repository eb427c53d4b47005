import { actorTypes, type Cause, type Position, type Principal, type Stored } from '#kernel';
import type { RecoverableStatus, RecoveryCounts, RecoveryCursor, RecoveryEvent } from './events.ts';

export interface Recovery extends RecoveryCounts {
  readonly status: 'RUNNING' | 'FINISHED' | 'CANCELLED';
  readonly subscriptionId: string;
  /** Id of the subscription's creation event: what belongs to an earlier or later one of the same id is not touched. */
  readonly incarnation: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly statuses: readonly RecoverableStatus[];
  readonly ratePerSecond: number;
  readonly requestedBy: Principal;
  /** What the recovery does is caused by its start. */
  readonly because: Cause;
  /** Of its start: what came into the log later is not selected. */
  readonly startedPosition: Position;
  /** Of its start, or of the progress recorded last: what was sent after it may be unrecorded. */
  readonly recordedPosition: Position;
  /** Null until the selection was counted; nothing is sent before. */
  readonly cursor: RecoveryCursor | null;
  readonly total: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly finishedAtMs: number | null;
  readonly detail: string | null;
}

export type RecoveryState = { readonly status: 'NONE' } | Recovery;

export const initialRecovery: RecoveryState = { status: 'NONE' };

/**
 * Before which time it selects. One that was asked for until its start takes all that stands before that in the log, whatever
 * the clocks of other processes said, or this one before it was set back.
 */
export const selectsBeforeMs = ({ untilMs, createdAtMs }: Recovery): number => (untilMs < createdAtMs ? untilMs : Infinity);

/** Folds one event of a recovery's stream. An event that cannot follow the state is a broken log: it throws. */
export function evolveRecovery(state: RecoveryState, event: Stored<RecoveryEvent>): RecoveryState {
  if (event.type === 'WebhookRecoveryStarted') return started(event);
  if (state.status !== 'RUNNING') throw new TypeError(`${event.type} at ${event.position} without a running recovery`);
  const updated = { ...state, updatedAtMs: event.recordedAt };
  switch (event.type) {
    case 'WebhookRecoveryProgressed':
      return { ...updated, ...event.data, recordedPosition: event.position };
    case 'WebhookRecoveryFinished':
      return { ...updated, ...event.data, status: 'FINISHED', finishedAtMs: event.recordedAt };
    case 'WebhookRecoveryCancelled':
      return { ...updated, status: 'CANCELLED', finishedAtMs: event.recordedAt };
  }
}

function started(event: Stored<Extract<RecoveryEvent, { type: 'WebhookRecoveryStarted' }>>): Recovery {
  const { since, until, ...asked } = event.data;
  return {
    ...asked,
    status: 'RUNNING',
    sinceMs: Date.parse(since),
    untilMs: Date.parse(until),
    requestedBy: actorOf(event),
    because: { correlationId: event.metadata['correlationid'] ?? event.id, causationId: event.id },
    startedPosition: event.position,
    recordedPosition: event.position,
    cursor: null,
    total: null,
    recovered: 0,
    skipped: 0,
    createdAtMs: event.recordedAt,
    updatedAtMs: event.recordedAt,
    finishedAtMs: null,
    detail: null,
  };
}

function actorOf({ metadata, position }: Stored<RecoveryEvent>): Principal {
  const type = actorTypes.find((known) => known === metadata['actortype']);
  if (type === undefined) throw new TypeError(`the start of a recovery at ${position} does not say who asked for it`);
  return { type, id: metadata['actorid'] ?? '' };
}
