import type { DomainEvent, Labels, RetrySchedule } from '#kernel';

export const deliveryModes = ['AT_LEAST_ONCE', 'ORDERED', 'BEST_EFFORT'] as const;
export type DeliveryMode = (typeof deliveryModes)[number];

/** Where a signing secret comes from: the vault (`managed`), or a reference resolved when a request is signed. */
export type SecretKind = 'managed' | 'env' | 'file';

/** Names a signing secret without holding it. `fingerprint` is keyed, so it cannot be checked against a guess. */
export interface SecretVersion {
  readonly versionId: string;
  readonly kind: SecretKind;
  /** `env:<NAME>` or `file:<name>`; absent for `managed`. */
  readonly reference?: string;
  readonly fingerprint: string;
}

/** Names the sealed value of a header without holding it. `fingerprint` is keyed, and of this value in this subscription alone. (A type, not an interface: it is JSON.) */
export type HeaderVersion = { readonly versionId: string; readonly fingerprint: string };

/** What a receiver wants, as the command that set it gave it. */
export interface SubscriptionSettings {
  readonly eventPattern: string;
  /** Which of the matching events, as an expression about their data; absent: all of them. */
  readonly filter?: string;
  readonly targetUrl: string;
  readonly deliveryMode: DeliveryMode;
  readonly description: string | null;
  /** The one deadline of each request; absent: `defaultTimeoutMs`. */
  readonly timeoutMs?: number;
  /** Absent: the server's. */
  readonly retryScheduleMs?: RetrySchedule;
  /** Requests in a second, retries among them; absent: as many as can be. */
  readonly rateLimitPerSecond?: number;
  /** Absent: none. */
  readonly labels?: Labels;
  /** Headers that every request has too, by name in lower case. Absent: none. */
  readonly headers?: Readonly<Record<string, HeaderVersion>>;
}

export type PauseReason = 'requested' | 'endpoint-gone' | 'sustained-failure';

export type SubscriptionEvent =
  | DomainEvent<'WebhookSubscriptionCreated', SubscriptionSettings & { readonly status: 'ACTIVE' | 'PAUSED'; readonly secret: SecretVersion }>
  | DomainEvent<'WebhookSubscriptionUpdated', SubscriptionSettings & { /** Versions of headers that are sent no longer; absent: none. */ readonly retired?: readonly string[] }>
  | DomainEvent<'WebhookSubscriptionPaused', { readonly reason: PauseReason }>
  | DomainEvent<'WebhookSubscriptionResumed', object>
  | DomainEvent<'WebhookSubscriptionSecretRotated', { readonly secret: SecretVersion; readonly previous: { readonly versionId: string; readonly graceUntil: string } | null; readonly retired: readonly string[] }>
  | DomainEvent<'WebhookSubscriptionDeleted', { readonly purgeAt: string }>
  | DomainEvent<'WebhookSubscriptionRestored', object>
  | DomainEvent<'WebhookSubscriptionPurged', { readonly shreddedSecrets: readonly string[] }>;
