import { type EventStore, StoreUnavailable } from '#event-store';
import { type Clock, hmacSha256Hex, type Ids, isName, parseStream, type Position, prefixOf, type RecordedEvent, Secret, type Site, streamOf } from '#kernel';
import { ExpiringCache } from './expiring-cache.ts';
import { type ExternalSecrets, resolveExternal } from './external.ts';
import { type SecretName, type SecretPlace, type SecretVault, SigningSecretUnavailable, type StoredVersion, type VaultKeeping } from './port.ts';
import { type FingerprintKeyRecord, fingerprintBinding, Records, secretBinding, type SecretRecord } from './records.ts';
import { rewrapAll } from './rewrap.ts';
import { type MasterKeys, seal, unseal } from './sealing.ts';

export interface SecretVaultParts extends ExternalSecrets {
  readonly store: EventStore;
  readonly masterKeys: MasterKeys;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** A vault that keeps its sealed records in the event store itself, in streams that no seal, export or answer contains. */
export const createSecretVault = (parts: SecretVaultParts): SecretVault & VaultKeeping => new SealedVault(parts);

const fingerprintKeyBytes = 32;
const openedSecrets = { capacity: 1_000, keepMs: 60_000 };
const openedFingerprintKeys = { capacity: 10_000, keepMs: Infinity };
const orphanPage = 500;

class SealedVault implements SecretVault, VaultKeeping {
  readonly #parts: SecretVaultParts;
  readonly #records: Records;
  readonly #opened: ExpiringCache<Secret<Uint8Array>>;
  readonly #fingerprintKeys: ExpiringCache<Promise<Secret<Uint8Array>>>;
  #shreds = 0;

  constructor(parts: SecretVaultParts) {
    this.#parts = parts;
    this.#records = new Records(parts.store, parts.clock, parts.ids);
    this.#opened = new ExpiringCache(parts.clock, openedSecrets.capacity, openedSecrets.keepMs);
    this.#fingerprintKeys = new ExpiringCache(parts.clock, openedFingerprintKeys.capacity, openedFingerprintKeys.keepMs);
  }

  async store(place: SecretPlace, versionId: string, secret: Secret<Uint8Array>): Promise<void> {
    const { masterKeys, ids } = this.#parts;
    const { subscriptionId, incarnation } = place;
    const data = { ...seal(masterKeys, secretBinding(place, versionId), secret, ids), subscriptionId, incarnation };
    const outcome = await this.#records.append(secretStream(place.site, versionId), 'NO_STREAM', { type: 'SigningSecretStored', data });
    if (outcome === 'written') return;
    const there = await this.#read(place, versionId);
    if (!Buffer.from(there.reveal()).equals(secret.reveal())) throw new Error(`secret version ${versionId} exists and holds another secret`);
  }

  async open(place: SecretPlace, name: SecretName): Promise<Secret<Uint8Array>> {
    if (name.kind !== 'managed') return resolveExternal(this.#parts, name);
    const key = `${secretStream(place.site, name.versionId)} ${secretBinding(place, name.versionId)}`;
    const opened = this.#opened.get(key);
    if (opened) return opened;
    const shreds = this.#shreds;
    const secret = await this.#read(place, name.versionId).catch((error: unknown) => {
      if (error instanceof SigningSecretUnavailable || error instanceof StoreUnavailable) throw error;
      throw new SigningSecretUnavailable(`secret version ${name.versionId} can't be read now`, { cause: error });
    });
    // A shred that ran while we read has cleared the cache already: what it removed must not come back.
    if (shreds === this.#shreds) this.#opened.put(key, secret);
    return secret;
  }

  async shred(site: Site, versionId: string): Promise<void> {
    const stream = secretStream(site, versionId);
    await this.#parts.store.tombstone(stream);
    this.#shreds += 1;
    this.#opened.drop((key) => key.startsWith(`${stream} `));
  }

  async fingerprint(site: Site, input: string): Promise<string> {
    const stream = fingerprintKeyStream(site);
    const opening = this.#fingerprintKeys.get(stream) ?? this.#fingerprintKey(site, stream);
    this.#fingerprintKeys.put(stream, opening);
    try {
      return hmacSha256Hex((await opening).reveal(), input);
    } catch (error) {
      this.#fingerprintKeys.drop((key) => key === stream);
      throw error;
    }
  }

  rewrap(): ReturnType<VaultKeeping['rewrap']> {
    return rewrapAll(this.#parts, this.#records);
  }

  async orphans(after: Position, storedBeforeMs: number, isNamed: (version: StoredVersion) => Promise<boolean>): ReturnType<VaultKeeping['orphans']> {
    const versions: StoredVersion[] = [];
    for (let position = after; ; ) {
      const batch = await this.#parts.store.readAll(position, { prefixes: [prefixOf('signingsecret')] }, orphanPage);
      const old = storedBefore(batch.events, storedBeforeMs);
      for (const version of old.flatMap(storedVersion)) if (!(await isNamed(version))) versions.push(version);
      if (old.length < batch.events.length) return { versions, position: old.at(-1)?.position ?? position };
      position = batch.position;
      if (batch.caughtUp) return { versions, position };
    }
  }

  async #read(place: SecretPlace, versionId: string): Promise<Secret<Uint8Array>> {
    const record = await this.#records.last<SecretRecord>(secretStream(place.site, versionId));
    if (!record) throw new SigningSecretUnavailable(`secret version ${versionId} is not in the vault`);
    const secret = unseal(this.#parts.masterKeys, secretBinding(place, versionId), record.data);
    if (secret instanceof Secret) return secret;
    throw new SigningSecretUnavailable(`secret version ${versionId} can't be opened: ${secret.unreadable}`);
  }

  async knownFingerprint(site: Site, input: string): Promise<string | null> {
    const stream = fingerprintKeyStream(site);
    const key = await (this.#fingerprintKeys.get(stream) ?? this.#readFingerprintKey(site, stream));
    return key === undefined ? null : hmacSha256Hex(key.reveal(), input);
  }

  async #fingerprintKey(site: Site, stream: string): Promise<Secret<Uint8Array>> {
    const { masterKeys, ids } = this.#parts;
    const there = await this.#readFingerprintKey(site, stream);
    if (there) return there;
    const key = new Secret(ids.randomBytes(fingerprintKeyBytes));
    const data = seal(masterKeys, fingerprintBinding(site), key, ids);
    const outcome = await this.#records.append(stream, 'NO_STREAM', { type: 'FingerprintKeyCreated', data });
    const winner = outcome === 'written' ? key : await this.#readFingerprintKey(site, stream);
    if (winner) return winner;
    throw new SigningSecretUnavailable(`the fingerprint key in ${stream} can't be read now`);
  }

  async #readFingerprintKey(site: Site, stream: string): Promise<Secret<Uint8Array> | undefined> {
    const record = await this.#records.last<FingerprintKeyRecord>(stream);
    if (!record) return undefined;
    const key = unseal(this.#parts.masterKeys, fingerprintBinding(site), record.data);
    if (key instanceof Secret) return key;
    throw new SigningSecretUnavailable(`the fingerprint key in ${stream} can't be opened: ${key.unreadable}`);
  }
}

const fingerprintKeyStream = (site: Site): string => streamOf('fingerprintkey', site, 'key');

function secretStream(site: Site, versionId: string): string {
  if (!isName(versionId)) throw new TypeError('a secret version id is lower case: letters, digits, dash and underscore');
  return streamOf('signingsecret', site, versionId);
}

function storedBefore(events: readonly RecordedEvent[], beforeMs: number): readonly RecordedEvent[] {
  const firstYoung = events.findIndex(({ metadata }) => Date.parse(metadata['recordedat'] ?? '') >= beforeMs);
  return firstYoung < 0 ? events : events.slice(0, firstYoung);
}

function storedVersion({ type, stream }: RecordedEvent): StoredVersion[] {
  const parsed = type === 'SigningSecretStored' ? parseStream(stream) : undefined;
  return parsed ? [{ site: parsed.site, versionId: parsed.id }] : [];
}
