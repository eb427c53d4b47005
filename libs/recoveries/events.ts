import type { DomainEvent, Position } from '#kernel';

/** What a recovery may select: deliveries by their status, and `MISSED`, events that were published while the subscription was paused. */
export const recoverableStatuses = ['DEAD_LETTERED', 'SCHEDULED', 'CANCELLED', 'DELIVERED', 'MISSED'] as const;
export type RecoverableStatus = (typeof recoverableStatuses)[number];

/** Whether a recovery of these replays deliveries; what was missed has none yet and is scheduled. */
export const replays = (statuses: readonly RecoverableStatus[]): boolean => statuses.some((status) => status !== 'MISSED');

/** How far a recovery is: first the deliveries, then the events missed, each in log order. Everything up to `position` was looked at. */
export interface RecoveryCursor {
  readonly part: 'DELIVERIES' | 'MISSED';
  readonly position: Position;
}

/** How much of the selection was sent again, and how much could not be (delivered, or on its way, or dropped meanwhile). */
export interface RecoveryCounts {
  readonly recovered: number;
  readonly skipped: number;
}

export type RecoveryEvent =
  | DomainEvent<
      'WebhookRecoveryStarted',
      {
        readonly subscriptionId: string;
        readonly incarnation: string;
        /** RFC 3339: what was created at or after … */
        readonly since: string;
        /** … and before. */
        readonly until: string;
        readonly statuses: readonly RecoverableStatus[];
        readonly ratePerSecond: number;
      }
    >
  /** `total`: what the selection held when it was counted. */
  | DomainEvent<'WebhookRecoveryProgressed', RecoveryCounts & { readonly cursor: RecoveryCursor; readonly total: number }>
  /** `detail`: why it ended before its end, or null. */
  | DomainEvent<'WebhookRecoveryFinished', RecoveryCounts & { readonly total: number | null; readonly detail: string | null }>
  | DomainEvent<'WebhookRecoveryCancelled', object>;
