import type { DomainEvent } from '#kernel';

/** What was decided after an attempt, and why (a status, an error code, `retry-after`). */
export interface TranscriptDecision {
  readonly next: 'DELIVERED' | 'SCHEDULED' | 'DEAD_LETTERED';
  readonly why: string;
  /** RFC 3339, with SCHEDULED only. */
  readonly nextAttemptAt: string | null;
}

/**
 * One HTTP request of a delivery and what came of it, without a secret. The request's body is not repeated: it is
 * `wireBody` of the event in `eventStream`. The outcome event's `transcriptSha256` is the SHA-256 of this object's
 * JSON text as `JSON.stringify` prints it (which parsing and printing again does not change), and is what joins the two.
 */
export interface DeliveryTranscript {
  readonly tenant: string;
  readonly environment: string;
  readonly deliveryId: string;
  readonly subscriptionId: string;
  readonly eventStream: string;
  readonly attempt: number;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly request: { readonly method: string; readonly url: string; readonly headers: Readonly<Record<string, string>> };
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly truncated: boolean } | null;
  readonly error: string | null;
  readonly timings: { readonly dnsMs: number | null; readonly connectMs: number | null; readonly tlsMs: number | null; readonly firstByteMs: number | null; readonly totalMs: number };
  readonly remoteAddress: string | null;
  readonly decision: TranscriptDecision;
  readonly subscriptionRevision: number;
  readonly secretVersionIds: readonly string[];
}

/** Which attempt of which delivery a transcript is of. */
export type TranscribedAttempt = Pick<DeliveryTranscript, 'deliveryId' | 'attempt'>;

/**
 * The metadata in which an event of transcripts says which attempts they are of, in their order: where each stands is known without
 * reading them. Events of the first releases have none.
 */
export const attemptsListed = 'attempts';

/** That metadata: `<delivery id>:<attempt>`, separated by commas. */
export const listOfAttempts = (attempts: readonly TranscribedAttempt[]): string => attempts.map(({ deliveryId, attempt }) => `${deliveryId}:${attempt}`).join(',');

/** The attempts of such a list. Throws `TypeError` when it is of another form. */
export function readAttempts(list: string): readonly TranscribedAttempt[] {
  return list.split(',').map((listed) => {
    const colon = listed.indexOf(':');
    const attempt = Number(listed.slice(colon + 1));
    if (colon < 1 || !Number.isSafeInteger(attempt) || attempt < 1) throw new TypeError('its list of attempts is of another form');
    return { deliveryId: listed.slice(0, colon), attempt };
  });
}

/** The one type in `transcript-<yyyymmdd>.<partition>` streams: many attempts of many sites in one event. */
export type TranscriptsRecorded = DomainEvent<'WebhookTranscriptsRecorded', { readonly transcripts: readonly DeliveryTranscript[] }>;
