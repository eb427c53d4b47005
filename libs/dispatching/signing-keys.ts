import type { Clock, Secret, Site } from '#kernel';
import type { SecretVault } from '#secret-vault';
import type { DeletedSubscription, LiveSubscription, SecretVersion } from '#subscriptions';

/** A reference (`file:…`) may change without an event: no key is used longer than this without asking the vault. */
const keepMs = 10_000;

/** The opened signing keys of one subscription. */
export class SigningKeys {
  readonly #vault: Pick<SecretVault, 'open'>;
  readonly #clock: Clock;
  readonly #opened = new Map<string, { readonly key: Secret<Uint8Array>; readonly untilMs: number }>();

  constructor(vault: Pick<SecretVault, 'open'>, clock: Clock) {
    this.#vault = vault;
    this.#clock = clock;
  }

  /** The versions' keys in their order, when all are at hand. */
  get(versions: readonly SecretVersion[]): readonly Secret<Uint8Array>[] | undefined {
    const nowMs = this.#clock.monotonicMs();
    const keys: Secret<Uint8Array>[] = [];
    for (const { versionId } of versions) {
      const opened = this.#opened.get(versionId);
      if (opened === undefined || opened.untilMs <= nowMs) return undefined;
      keys.push(opened.key);
    }
    return keys;
  }

  /** Rejects with `SigningSecretUnavailable`. */
  async load(site: Site, subscriptionId: string, { incarnation }: LiveSubscription | DeletedSubscription, versions: readonly SecretVersion[]): Promise<void> {
    const place = { site, subscriptionId, incarnation };
    const keys = await Promise.all(versions.map((version) => this.#vault.open(place, version)));
    const untilMs = this.#clock.monotonicMs() + keepMs;
    versions.forEach(({ versionId }, index) => {
      const key = keys[index];
      if (key !== undefined) this.#opened.set(versionId, { key, untilMs });
    });
  }

  forget(): void {
    this.#opened.clear();
  }
}
