/** What can go wrong with one request, as a closed list. What exactly happened is for our own log only. */
export type AttemptError =
  | 'dns-failed'
  | 'target-refused'
  | 'connect-refused'
  | 'connect-failed'
  | 'tls-failed'
  | 'connection-reset'
  | 'timeout'
  | 'headers-too-large'
  | 'protocol-error'
  | 'aborted';

/** Milliseconds, to a tenth. The first three are null when a kept-alive connection was used or there was no such step. */
export interface AttemptTimings {
  readonly dnsMs: number | null;
  readonly connectMs: number | null;
  readonly tlsMs: number | null;
  /** From the start to the first byte of the answer; null when none came. */
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

export interface AttemptResponse {
  readonly status: number;
  /** Names in lower case; the values of a repeated header joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** As text (UTF-8, what is none replaced), never decompressed: at most 16 KiB, 4 KiB of a 2xx. */
  readonly body: string;
  /** Whether there was more than `body`, or the connection ended before it was complete. */
  readonly truncated: boolean;
}

/**
 * One HTTP request and what came of it, ready for JSON and without a secret: values of custom headers are `[redacted]`.
 * There is an error exactly when there is no response; whether the response is a success is its status alone (2xx).
 */
export interface AttemptTranscript {
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** The body is the caller's: it is not repeated here. */
  readonly request: { readonly method: 'POST'; readonly url: string; readonly headers: Readonly<Record<string, string>> };
  readonly response: AttemptResponse | null;
  readonly error: AttemptError | null;
  readonly timings: AttemptTimings;
  /** The IP address that was dialled; null when no connection stood. */
  readonly remoteAddress: string | null;
  /** How long the receiver asked us to wait (`Retry-After`), at most 24 hours; null when it did not say. */
  readonly retryAfterMs: number | null;
}
