import type { DomainEvent } from '#kernel';

export type DeadLetterReason = 'endpoint-gone' | 'attempts-exhausted' | 'best-effort-failed';

/** What one HTTP request came to, as the log keeps it. The transcript itself stands in a stream that is dropped after some days. */
export interface AttemptOutcome {
  /** Whose delivery it is: who reads the log without the delivery's other events needs no more. Absent in events of a time when one process sent everything. */
  readonly subscriptionId?: string;
  /** Counts from 1 over the life of the delivery; a reset of attempts does not reset it. */
  readonly attempt: number;
  readonly startedAt: string;
  readonly durationMs: number;
  /** HTTP status, or null when no answer came. */
  readonly status: number | null;
  /** Closed list of codes of the sender (`timeout`, `connect-refused`, …), or null when an answer came. */
  readonly error: string | null;
  readonly subscriptionRevision: number;
  readonly secretVersionIds: readonly string[];
  readonly transcriptSha256: string;
}

export type DeliveryEvent =
  | DomainEvent<
      'WebhookDeliveryScheduled',
      {
        readonly subscriptionId: string;
        readonly incarnation: string;
        readonly eventId: string;
        readonly eventType: string;
        readonly eventPosition: string;
        /** Stream of the published event: where its body stands. */
        readonly eventStream: string;
        readonly operational: boolean;
      }
    >
  | DomainEvent<'WebhookDeliverySucceeded', AttemptOutcome>
  | DomainEvent<'WebhookDeliveryAttemptFailed', AttemptOutcome & { readonly nextAttemptAt: string; readonly why: string }>
  | DomainEvent<'WebhookDeliveryDeadLettered', AttemptOutcome & { readonly reason: DeadLetterReason }>
  /** A request whose outcome changes nothing: another process recorded one for the same revision first. */
  | DomainEvent<'WebhookDeliveryDuplicateAttempted', AttemptOutcome>
  /** `subscriptionId`: whose delivery it is, as in outcomes. Absent in older events. */
  | DomainEvent<'WebhookDeliveryReplayRequested', { readonly subscriptionId?: string; readonly resetAttempts: boolean; readonly manual: boolean }>;
