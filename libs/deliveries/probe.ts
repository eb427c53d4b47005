import type { DomainEvent } from '#kernel';

/** The one event of a `probe-…` stream: somebody had one request sent, to try a receiver. It never holds what it was signed with. */
export type WebhookProbeSent = DomainEvent<
  'WebhookProbeSent',
  {
    /** Scheme, host and path: what stands in a query may be for the receiver's eyes only. */
    readonly url: string;
    readonly eventType: string;
    /** HTTP status, or null when no answer came. */
    readonly status: number | null;
    /** Closed list of codes of the sender, or null when an answer came. */
    readonly error: string | null;
    readonly durationMs: number;
    /** With a secret that the caller gave for this one request, or with one made for it. */
    readonly signed: 'given' | 'random';
  }
>;
