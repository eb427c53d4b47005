import type { Position, Secret, Site } from '#kernel';

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

/** Keeps signing secrets, and values of headers: sealed under the master key, each version in a stream of its own that can be removed for good. */
export interface SecretVault {
  /**
   * Seals and stores a managed secret or the value of a header; durable when it resolves. Storing the same version of the same place again is
   * success when the secret is the same, else an error. Rejects with the store's errors.
   */
  store(place: SecretPlace, versionId: string, secret: Secret<Uint8Array>): Promise<void>;
  /** The bytes of a version: of a key, or of a value as UTF-8. Throws `SigningSecretUnavailable` when it can't be had now (never with the reason's secret parts); rejects with the store's errors. */
  open(place: SecretPlace, name: SecretName): Promise<Secret<Uint8Array>>;
  /** Removes a managed version for good. Doing it twice is success. Other processes may hold it opened for another minute. */
  shred(site: Site, versionId: string): Promise<void>;
  /**
   * HMAC-SHA-256 hex under a random key per site that never leaves the vault: equal for equal input, useless to a guesser.
   * Throws `SigningSecretUnavailable` when the site's key can't be opened; rejects with the store's errors.
   */
  fingerprint(site: Site, input: string): Promise<string>;
  /** The same, without making a key: null where the site has none yet, so that nothing can have been fingerprinted there. */
  knownFingerprint(site: Site, input: string): Promise<string | null>;
}

/** A version of a managed secret, by the site it belongs to. */
export interface StoredVersion {
  readonly site: Site;
  readonly versionId: string;
}

/** What keeps a vault in order. */
export interface VaultKeeping {
  /**
   * Seals everything anew that is not sealed under the current master key. Safe to repeat, also after it died halfway:
   * what is done stays done. The records before keep their old seals, so this retires a key but does not undo its theft:
   * after a theft, rotate the secrets themselves. `unreadable`: streams that neither key opens; they are left as they are.
   */
  rewrap(): Promise<{ readonly rewrapped: number; readonly unchanged: number; readonly unreadable: readonly string[] }>;
  /**
   * Versions after a position (exclusive) that were stored before `storedBeforeMs` (since 1970 UTC) and that nothing
   * names: what a command that failed after storing left behind. `position`: everything up to it was looked at.
   */
  orphans(after: Position, storedBeforeMs: number, isNamed: (version: StoredVersion) => Promise<boolean>): Promise<{ readonly versions: readonly StoredVersion[]; readonly position: Position }>;
}

/** A secret that can't be had now. Deliveries wait for it; the message names no secret part and may be logged. */
export class SigningSecretUnavailable extends Error {
  override readonly name = 'SigningSecretUnavailable';
}
