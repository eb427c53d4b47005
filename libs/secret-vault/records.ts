import { type EventStore, OutcomeUnknown, WrongExpectedRevision, type ExpectedRevision } from '#event-store';
import { canonicalJson, type Clock, type DomainEvent, formatInstant, type Ids, type JsonObject, type NewEvent, type RecordedEvent, type Site, stored, type Stored } from '#kernel';
import type { SecretPlace } from './port.ts';
import type { Sealed } from './sealing.ts';

/** A sealed signing secret names what it belongs to, so that it can be sealed anew without asking the subscription. */
type SealedSecret = Sealed & { readonly subscriptionId: string; readonly incarnation: string };

/** What stands in `signingsecret-` streams: stored once, then perhaps sealed again; the last one counts. */
export type SecretRecord = DomainEvent<'SigningSecretStored', SealedSecret> | DomainEvent<'SigningSecretRewrapped', SealedSecret>;

/** What stands in `fingerprintkey-` streams, likewise. */
export type FingerprintKeyRecord = DomainEvent<'FingerprintKeyCreated', Sealed> | DomainEvent<'FingerprintKeyRewrapped', Sealed>;

/** What stands in the one stream of master keys; the last one registered is the one in use. */
export type MasterKeyRecord = DomainEvent<'MasterKeyRegistered', { readonly keyId: string }>;

export type VaultRecord = SecretRecord | FingerprintKeyRecord | MasterKeyRecord;

const appendTries = 3;

/** Writes and reads the vault's own records. */
export class Records {
  readonly #store: EventStore;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(store: EventStore, clock: Clock, ids: Ids) {
    this.#store = store;
    this.#clock = clock;
    this.#ids = ids;
  }

  /**
   * Appends one record, repeating the identical append when its outcome stays unknown. `conflict`: somebody else's event
   * stands there. Rejects with the store's errors.
   */
  async append(stream: string, expected: ExpectedRevision, { type, data }: VaultRecord): Promise<'written' | 'conflict'> {
    const metadata = { recordedat: formatInstant(this.#clock.now()), schemaversion: '1' };
    const event: NewEvent = { id: this.#ids.uuid(), type, data: JSON.stringify(data), metadata };
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#store.append(stream, expected, [event]);
        return 'written';
      } catch (error) {
        if (error instanceof WrongExpectedRevision) return 'conflict';
        if (!(error instanceof OutcomeUnknown) || attempt === appendTries) throw error;
      }
    }
  }

  /** The last record of a stream; undefined when there is none, or it was removed. */
  async last<Record extends VaultRecord>(stream: string): Promise<Stored<Record> | undefined> {
    const event: RecordedEvent | undefined = (await this.#store.readStream(stream)).at(-1);
    return event && stored<Record>(event);
  }
}

/** What a signing secret's seal is bound to. One unambiguous text per place and version. */
export const secretBinding = ({ site, subscriptionId, incarnation }: SecretPlace, versionId: string): string =>
  binding({ purpose: 'signing-secret', tenant: site.tenant, environment: site.environment, subscriptionId, incarnation, versionId });

/** What a fingerprint key's seal is bound to. */
export const fingerprintBinding = ({ tenant, environment }: Site): string => binding({ purpose: 'fingerprint-key', tenant, environment });

const binding = (members: JsonObject): string => canonicalJson(members);
