import { randomBytes, randomUUID } from 'node:crypto';
import { type EventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { createMemoryEventStore } from '#event-store/memory';
import { type Clock, type Ids, Secret } from '#kernel';
import { createSecretVault, loadMasterKeys, type MasterKeys, type SecretName, type SecretPlace, type SecretVaultParts } from '#secret-vault';

/** A clock that stands still until it is moved, and starts at a given time. */
export class StandingClock implements Clock {
  #nowMs = Date.parse('2026-11-21T12:00:00Z');

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(): () => void {
    throw new Error('nothing waits in these tests');
  }

  move(byMs: number): void {
    this.#nowMs += byMs;
  }
}

export const randomIds: Ids = { uuid: () => randomUUID(), randomBytes: (length) => new Uint8Array(randomBytes(length)) };

export const newKeyText = (): Secret => new Secret(randomBytes(32).toString('base64'));

/** The keys that a process on an empty log of its own would have. */
export const keysOf = (masterKey: Secret, previousMasterKey?: Secret): Promise<MasterKeys> =>
  loadMasterKeys({ dataDir: '/nowhere', masterKey, previousMasterKey, shared: true, store: createMemoryEventStore(), logIsEmpty: true, clock: new StandingClock(), ids: randomIds });

export const place: SecretPlace = { site: { tenant: 'acme', environment: 'production' }, subscriptionId: 'whs_1', incarnation: 'b7b6cf0a-7b8e-4d57-9c1c-1d5a6c7b8e9f' };

export const managed = (versionId: string): SecretName => ({ versionId, kind: 'managed' });

export interface TestVault {
  readonly vault: ReturnType<typeof createSecretVault>;
  readonly store: EventStore;
  readonly clock: StandingClock;
  readonly masterKeys: MasterKeys;
}

/** A vault over a store in memory and random keys, unless told otherwise. */
export async function testVault(parts: Partial<SecretVaultParts> = {}): Promise<TestVault> {
  const clock = new StandingClock();
  const store = parts.store ?? createMemoryEventStore();
  const masterKeys = parts.masterKeys ?? (await keysOf(newKeyText()));
  const vault = createSecretVault({ clock, ids: randomIds, secretsDir: '/nowhere', environmentSecrets: () => undefined, ...parts, store, masterKeys });
  return { vault, store, clock, masterKeys };
}

/** The store, except that what `fault` says happens to its appends: the answer is lost after writing, or nothing is written. */
export function faulty(store: EventStore, fault: (stream: string) => 'lose-answer' | 'unavailable' | undefined): EventStore {
  return {
    append: async (stream, expected, events) => {
      const happens = fault(stream);
      if (happens === 'unavailable') throw new StoreUnavailable('the store is away');
      const result = await store.append(stream, expected, events);
      if (happens === 'lose-answer') throw new OutcomeUnknown('the answer was lost');
      return result;
    },
    readStream: (...args) => store.readStream(...args),
    readAll: (...args) => store.readAll(...args),
    subscribe: (...args) => store.subscribe(...args),
    tombstone: (stream) => store.tombstone(stream),
    head: () => store.head(),
    close: () => store.close(),
  };
}
