import type { Secret, Site } from '#kernel';

/** Whose secret it is: what a sealed record is bound to, so that it opens nowhere else. */
export interface SecretPlace {
  readonly site: Site;
  readonly subscriptionId: string;
  /** Id of the subscription's creation event. */
  readonly incarnation: string;
}

/** Names a secret without holding it (the `SecretVersion` of the subscriptions lib has this shape). */
export interface SecretName {
  readonly versionId: string;
  readonly kind: 'managed' | 'env' | 'file';
  /** `env:<NAME>` or `file:<name>`; absent for `managed`. */
  readonly reference?: string;
}

/** Keeps signing secrets: sealed under the master key, each version in a stream of its own that can be removed for good. */
export interface SecretVault {
  /** Seals and stores a managed secret; durable when it resolves. Storing the same version twice is success. */
  store(place: SecretPlace, versionId: string, secret: Secret<Uint8Array>): Promise<void>;
  /** The key bytes of a version. Throws `SigningSecretUnavailable` when it can't be had now (never with the reason's secret parts). */
  open(place: SecretPlace, name: SecretName): Promise<Secret<Uint8Array>>;
  /** Removes a managed version for good. Doing it twice is success. */
  shred(site: Site, versionId: string): Promise<void>;
  /** HMAC-SHA-256 hex under a random key per site that never leaves the vault: equal for equal input, useless to a guesser. */
  fingerprint(site: Site, input: string): Promise<string>;
}

export class SigningSecretUnavailable extends Error {
  override readonly name = 'SigningSecretUnavailable';
}
