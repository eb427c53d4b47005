import { timingSafeEqual } from 'node:crypto';
import { isAdmin, keyIdOf, parseScope } from '#access';
import { type Clock, formatInstant, refuse, type Refusal, sha256 } from '#kernel';
import type { ApiKeyItem } from '#read-models';
import type { Projections, Reads } from '../parts.ts';
import type { AuthenticatedKey } from './authenticated-key.ts';
import { areKeysCurrent } from './current-keys.ts';
import type { RootKey } from './root-key.ts';

const capacity = 10_000;

/**
 * Tells who sends a request by its `Authorization` header. It costs one hash and at most one look-up, whatever is sent.
 * Records are remembered until a commit touches any key: a cached key is never older than the read model.
 */
export class Authenticator {
  readonly #cache = new Map<string, ApiKeyItem>();
  readonly #reads: Pick<Reads, 'apiKeyById'>;
  readonly #projections: Pick<Projections, 'status' | 'onCommitted'>;
  readonly #root: RootKey;
  readonly #clock: Clock;
  #generation = 0;

  constructor(reads: Pick<Reads, 'apiKeyById'>, projections: Pick<Projections, 'status' | 'onCommitted'>, root: RootKey, clock: Clock) {
    this.#reads = reads;
    this.#projections = projections;
    this.#root = root;
    this.#clock = clock;
    projections.onCommitted(({ events }) => {
      if (events.some(({ stream }) => stream.startsWith('apikey-'))) this.#forget();
    });
  }

  /** Refuses with `unauthenticated`, or `store-unavailable` when it can't be known whether the key was revoked. */
  async authenticate(header: string | undefined): Promise<AuthenticatedKey | Refusal> {
    const text = bearer(header);
    if (text === undefined) return refuse('unauthenticated', 'Send an API key: Authorization: Bearer <key>.');
    const hash = sha256(text);
    if (timingSafeEqual(hash, this.#root.sha256)) return this.#root.key;
    const keyId = keyIdOf(text);
    if (keyId === undefined) return unknownKey();
    if (!areKeysCurrent(this.#projections)) return refuse('store-unavailable', 'API keys cannot be checked now: their read model is not current. Try again.');
    const record = await this.#record(keyId);
    return record !== undefined && timingSafeEqual(hash, Buffer.from(record.keySha256, 'hex')) ? this.#usable(record) : unknownKey();
  }

  async #record(keyId: string): Promise<ApiKeyItem | undefined> {
    const known = this.#cache.get(keyId);
    if (known !== undefined) return known;
    const generation = this.#generation;
    const found = await this.#reads.apiKeyById(keyId);
    // A commit meanwhile may have revoked it: what was read before is used once, and not remembered.
    if (found !== undefined && generation === this.#generation) this.#remember(found);
    return found;
  }

  #usable(record: ApiKeyItem): AuthenticatedKey | Refusal {
    if (record.revokedAtMs !== null) return refuse('unauthenticated', 'This API key was revoked.');
    const { expiresOnMs } = record;
    if (expiresOnMs !== null && this.#clock.now() >= expiresOnMs) return refuse('unauthenticated', `This API key expired at ${formatInstant(expiresOnMs)}.`);
    return authenticated(record);
  }

  #remember(record: ApiKeyItem): void {
    if (this.#cache.size >= capacity) this.#cache.clear();
    this.#cache.set(record.id, record);
  }

  #forget(): void {
    this.#generation += 1;
    this.#cache.clear();
  }
}

/** RFC 6750, section 2.1. */
const bearer = (header = ''): string | undefined => /^Bearer +([\x21-\x7e]{1,256})$/i.exec(header)?.[1];

const unknownKey = (): Refusal => refuse('unauthenticated', 'There is no such API key.');

function authenticated(record: ApiKeyItem): AuthenticatedKey {
  const scopes = record.scopes.flatMap((text) => parseScope(text) ?? []);
  return {
    keyId: record.id,
    name: record.name,
    isRoot: false,
    boundTo: record.actor,
    defaultActor: record.defaultActor,
    owner: record.owner,
    createdBy: record.createdBy,
    isAdmin: isAdmin(scopes),
    scopeTexts: record.scopes,
    scopes,
    expiresOnMs: record.expiresOnMs,
  };
}
