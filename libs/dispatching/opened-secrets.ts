import { type Clock, Secret, type Site } from '#kernel';
import type { SecretName, SecretVault } from '#secret-vault';
import type { DeletedSubscription, LiveSubscription, SecretVersion } from '#subscriptions';

/** A reference (`file:…`) may change without an event: no key is used longer than this without asking the vault. */
const keepMs = 10_000;

type Headers = LiveSubscription['headers'];

/** What a request needs of the vault. */
export interface Opened {
  /** Of the versions that sign, in their order. */
  readonly keys: readonly Secret<Uint8Array>[];
  /** The headers of the subscription's own. */
  readonly headers: Readonly<Record<string, Secret>>;
}

interface OpenedSecret {
  readonly secret: Secret<Uint8Array>;
  readonly untilMs: number;
}

const noHeaders: Opened['headers'] = {};

/** The opened signing keys and values of headers of one subscription. */
export class OpenedSecrets {
  readonly #vault: Pick<SecretVault, 'open'>;
  readonly #clock: Clock;
  readonly #opened = new Map<string, OpenedSecret>();
  #own: { readonly of: NonNullable<Headers>; readonly untilMs: number; readonly headers: Opened['headers'] } | undefined;

  constructor(vault: Pick<SecretVault, 'open'>, clock: Clock) {
    this.#vault = vault;
    this.#clock = clock;
  }

  /** When all is at hand. */
  get(versions: readonly SecretVersion[], headers: Headers): Opened | undefined {
    const nowMs = this.#clock.monotonicMs();
    const keys: Secret<Uint8Array>[] = [];
    for (const { versionId } of versions) {
      const key = this.#atHand(versionId, nowMs);
      if (key === undefined) return undefined;
      keys.push(key.secret);
    }
    const own = headers === undefined ? noHeaders : this.#headers(headers, nowMs);
    return own && { keys, headers: own };
  }

  /** Rejects with `SigningSecretUnavailable`, or with the store's errors. */
  async load(site: Site, subscriptionId: string, { incarnation, headers = {} }: LiveSubscription | DeletedSubscription, versions: readonly SecretVersion[]): Promise<void> {
    const place = { site, subscriptionId, incarnation };
    const names: readonly SecretName[] = [...versions, ...Object.values(headers).map(({ versionId }) => ({ versionId, kind: 'managed' as const }))];
    const secrets = await Promise.all(names.map((name) => this.#vault.open(place, name)));
    const untilMs = this.#clock.monotonicMs() + keepMs;
    names.forEach(({ versionId }, index) => {
      const secret = secrets[index];
      if (secret !== undefined) this.#opened.set(versionId, { secret, untilMs });
    });
  }

  forget(): void {
    this.#opened.clear();
    this.#own = undefined;
  }

  #atHand(versionId: string, nowMs: number): OpenedSecret | undefined {
    const opened = this.#opened.get(versionId);
    return opened === undefined || opened.untilMs <= nowMs ? undefined : opened;
  }

  /** The same object as long as they are at hand: what depends on them is worked out once. */
  #headers(of: NonNullable<Headers>, nowMs: number): Opened['headers'] | undefined {
    if (this.#own?.of === of && this.#own.untilMs > nowMs) return this.#own.headers;
    const own: [string, Secret][] = [];
    let untilMs = Infinity;
    for (const [name, { versionId }] of Object.entries(of)) {
      const value = this.#atHand(versionId, nowMs);
      if (value === undefined) return undefined;
      untilMs = Math.min(untilMs, value.untilMs);
      own.push([name, new Secret(Buffer.from(value.secret.reveal()).toString())]);
    }
    this.#own = { of, untilMs, headers: Object.fromEntries(own) };
    return this.#own.headers;
  }
}
