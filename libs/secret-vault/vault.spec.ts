import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { StoreUnavailable } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { hmacSha256Hex, Secret, startOfLog } from '#kernel';
import { findCanary } from '../../test/support/canary.ts';
import { faulty, keysOf, managed, newKeyText, place, randomIds, testVault } from '../../test/support/vault.ts';
import { formatSigningSecret, newSigningSecret, parseSecretReference } from './index.ts';

const secretOf = (fill: number): Secret<Uint8Array> => new Secret(new Uint8Array(32).fill(fill));
const stream = (versionId: string): string => `signingsecret-acme.production.${versionId}`;
const elsewhere = [
  { ...place, site: { ...place.site, tenant: 'other' } },
  { ...place, site: { ...place.site, environment: 'staging' } },
  { ...place, subscriptionId: 'whs_2' },
  { ...place, incarnation: randomIds.uuid() },
];

describe('a managed secret', () => {
  it('opens where it was stored, also in another process', async () => {
    const { vault, store, masterKeys } = await testVault();
    const secret = newSigningSecret(randomIds);
    await vault.store(place, 'v1', secret);
    expect((await vault.open(place, managed('v1'))).reveal()).toEqual(secret.reveal());
    const restarted = await testVault({ store, masterKeys });
    expect((await restarted.vault.open(place, managed('v1'))).reveal()).toEqual(secret.reveal());
  });

  it('is sealed anew each time: equal secrets do not look equal', async () => {
    const { vault, store } = await testVault();
    await vault.store(place, 'v1', secretOf(1));
    await vault.store(place, 'v2', secretOf(1));
    const [a, b] = await Promise.all(['v1', 'v2'].map(async (version) => (await store.readStream(stream(version)))[0]?.data));
    expect(a).not.toBe(b);
  });

  it('opens for no other tenant, environment, subscription or incarnation, in cache or not', async () => {
    const { vault, store } = await testVault();
    await vault.store(place, 'v1', secretOf(1));
    const [record] = await store.readStream(stream('v1'));
    for (const [index, other] of elsewhere.entries()) {
      await expect(vault.open(other, managed('v1'))).rejects.toThrow(/belongs to something else|not in the vault/);
      const moved = `signingsecret-${other.site.tenant}.${other.site.environment}.moved${index}`;
      if (record) await store.append(moved, 'NO_STREAM', [{ ...record, id: randomIds.uuid() }]);
      await expect(vault.open(other, managed(`moved${index}`))).rejects.toThrow(/belongs to something else/);
    }
    await vault.open(place, managed('v1'));
    for (const other of elsewhere) await expect(vault.open(other, managed('v1'))).rejects.toThrow(/belongs to something else|not in the vault/);
  });

  it.each([0, 11, 12, 43, 44, 59])('that had byte %i of its record changed does not open', async (at) => {
    const log = new MemoryLog();
    const { vault } = await testVault({ store: createMemoryEventStore(log) });
    await vault.store(place, 'v1', secretOf(1));
    const [record] = log.streams.get(stream('v1')) ?? [];
    const data = JSON.parse(record?.data ?? '') as { sealed: string };
    const bytes = Buffer.from(data.sealed, 'base64');
    expect(bytes).toHaveLength(60);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    if (record) log.streams.set(stream('v1'), [{ ...record, data: JSON.stringify({ ...data, sealed: bytes.toString('base64') }) }]);
    await expect(vault.open(place, managed('v1'))).rejects.toMatchObject({ name: 'SigningSecretUnavailable', message: expect.stringMatching(/was changed/) });
  });

  it('whose record was cut off does not open', async () => {
    const log = new MemoryLog();
    const { vault } = await testVault({ store: createMemoryEventStore(log) });
    await vault.store(place, 'v1', secretOf(1));
    const [record] = log.streams.get(stream('v1')) ?? [];
    for (const bytes of [0, 12, 27, 40]) {
      const data = JSON.parse(record?.data ?? '') as { sealed: string };
      const sealed = Buffer.from(data.sealed, 'base64').subarray(0, bytes).toString('base64');
      if (record) log.streams.set(stream('v1'), [{ ...record, data: JSON.stringify({ ...data, sealed }) }]);
      await expect(vault.open(place, managed('v1'))).rejects.toThrow(/not whole|was changed/);
    }
  });

  it('is unavailable under another master key, and opens under the one before', async () => {
    const [old, next] = [newKeyText(), newKeyText()];
    const { vault, store, masterKeys } = await testVault({ masterKeys: await keysOf(old) });
    await vault.store(place, 'v1', secretOf(1));
    const without = await testVault({ store, masterKeys: await keysOf(next) });
    await expect(without.vault.open(place, managed('v1'))).rejects.toMatchObject({ name: 'SigningSecretUnavailable', message: expect.stringContaining(masterKeys.current.id) });
    const within = await testVault({ store, masterKeys: await keysOf(next, old) });
    expect((await within.vault.open(place, managed('v1'))).reveal()).toEqual(secretOf(1).reveal());
  });

  it('can not be read while the store is away: that is trouble of the store, which may be over in a moment, and none of the secret', async () => {
    const { vault, store } = await testVault();
    await vault.store(place, 'v1', secretOf(1));
    await store.close();
    await expect(vault.open(place, managed('v1'))).rejects.toThrow(StoreUnavailable);
  });

  it('is unavailable when it was never stored', async () => {
    const { vault } = await testVault();
    await expect(vault.open(place, managed('v1'))).rejects.toThrow('secret version v1 is not in the vault');
  });

  it('has a version id that is safe in a stream name, or the caller is wrong', async () => {
    const { vault, store } = await testVault();
    for (const id of ['', 'V1', 'a.b', 'a b', '../x']) await expect(vault.store(place, id, secretOf(1))).rejects.toThrow(TypeError);
    expect(await store.head()).toBe(startOfLog);
  });
});

describe('storing', () => {
  it.each([1, 2])('is done once when the answer is lost %i times', async (losses) => {
    const log = createMemoryEventStore();
    let left = losses;
    const { vault } = await testVault({ store: faulty(log, () => (left-- > 0 ? 'lose-answer' : undefined)) });
    await vault.store(place, 'v1', secretOf(1));
    expect(await log.readStream(stream('v1'))).toHaveLength(1);
    expect((await vault.open(place, managed('v1'))).reveal()).toEqual(secretOf(1).reveal());
  });

  it('does not claim an outcome that it never learned', async () => {
    const { vault } = await testVault({ store: faulty(createMemoryEventStore(), () => 'lose-answer') });
    await expect(vault.store(place, 'v1', secretOf(1))).rejects.toMatchObject({ name: 'OutcomeUnknown' });
    await expect(vault.store(place, 'v1', secretOf(1))).resolves.toBeUndefined();
  });

  it('the same again is success; another secret or place under its name is an error', async () => {
    const { vault } = await testVault();
    await vault.store(place, 'v1', secretOf(1));
    await vault.store(place, 'v1', secretOf(1));
    await expect(vault.store(place, 'v1', secretOf(2))).rejects.toThrow(/holds another secret/);
    await expect(vault.store({ ...place, subscriptionId: 'whs_2' }, 'v1', secretOf(1))).rejects.toThrow(/belongs to something else/);
    expect((await vault.open(place, managed('v1'))).reveal()).toEqual(secretOf(1).reveal());
  });

  it('says when the store is away: nothing was stored', async () => {
    const { vault } = await testVault({ store: faulty(createMemoryEventStore(), () => 'unavailable') });
    await expect(vault.store(place, 'v1', secretOf(1))).rejects.toMatchObject({ name: 'StoreUnavailable' });
  });
});

describe('shredding', () => {
  it('takes effect at once here, and within a minute in other processes', async () => {
    const { vault, store, masterKeys } = await testVault();
    const other = await testVault({ store, masterKeys });
    await vault.store(place, 'v1', secretOf(1));
    await vault.open(place, managed('v1'));
    await other.vault.open(place, managed('v1'));
    await vault.shred(place.site, 'v1');
    await expect(vault.open(place, managed('v1'))).rejects.toMatchObject({ name: 'SigningSecretUnavailable' });
    other.clock.move(60_000);
    await expect(other.vault.open(place, managed('v1'))).rejects.toMatchObject({ name: 'SigningSecretUnavailable' });
  });

  it('twice is success, and the name is never used again', async () => {
    const { vault } = await testVault();
    await vault.store(place, 'v1', secretOf(1));
    await vault.shred(place.site, 'v1');
    await vault.shred(place.site, 'v1');
    await expect(vault.store(place, 'v1', secretOf(1))).rejects.toMatchObject({ name: 'StreamTombstoned' });
  });

  it('holds against an opening that read before it and ends after it', async () => {
    const store = createMemoryEventStore();
    const { vault } = await testVault({ store });
    await vault.store(place, 'v1', secretOf(1));
    const gate = Promise.withResolvers<void>();
    const original = store.readStream.bind(store);
    store.readStream = async (...args) => {
      const events = await original(...args);
      await gate.promise;
      return events;
    };
    const opening = vault.open(place, managed('v1'));
    await vault.shred(place.site, 'v1');
    gate.resolve();
    await opening;
    await expect(vault.open(place, managed('v1'))).rejects.toMatchObject({ name: 'SigningSecretUnavailable' });
  });

  it('of one version leaves the others, also those whose names begin alike', async () => {
    const { vault } = await testVault();
    await vault.store(place, 'v1', secretOf(1));
    await vault.store(place, 'v11', secretOf(2));
    await vault.shred(place.site, 'v1');
    expect((await vault.open(place, managed('v11'))).reveal()).toEqual(secretOf(2).reveal());
  });
});

describe('opened secrets', () => {
  it('are kept for a minute and bounded in number', async () => {
    const { vault, store, clock } = await testVault();
    let reads = 0;
    const original = store.readStream.bind(store);
    store.readStream = (...args) => {
      reads += 1;
      return original(...args);
    };
    for (let version = 0; version <= 1_000; version += 1) {
      await vault.store(place, `v${version}`, secretOf(1));
      await vault.open(place, managed(`v${version}`));
    }
    reads = 0;
    await vault.open(place, managed('v1000'));
    expect(reads).toBe(0);
    await vault.open(place, managed('v0'));
    expect(reads).toBe(1);
    clock.move(60_000);
    await vault.open(place, managed('v1000'));
    expect(reads).toBe(2);
  });
});

describe('fingerprints', () => {
  it('are equal for equal input of one site, in every process, and differ between sites', async () => {
    const { vault, store, masterKeys } = await testVault();
    const other = await testVault({ store, masterKeys });
    const print = await vault.fingerprint(place.site, 'input');
    expect(print).toMatch(/^[0-9a-f]{64}$/);
    expect(await other.vault.fingerprint(place.site, 'input')).toBe(print);
    expect(await vault.fingerprint(place.site, 'Input')).not.toBe(print);
    expect(await vault.fingerprint({ tenant: 'acme', environment: 'staging' }, 'input')).not.toBe(print);
  });

  it('do not follow from the master key', async () => {
    const masterKeys = await keysOf(newKeyText());
    const [a, b] = [await testVault({ masterKeys }), await testVault({ masterKeys })];
    expect(await a.vault.fingerprint(place.site, 'input')).not.toBe(await b.vault.fingerprint(place.site, 'input'));
    expect(await a.vault.fingerprint(place.site, 'input')).not.toBe(hmacSha256Hex(masterKeys.current.sealingKey.reveal(), 'input'));
  });

  it('cost one read of the store, the first time only', async () => {
    const { vault, store } = await testVault();
    await vault.fingerprint(place.site, 'input');
    const restarted = await testVault({ store });
    await expect(restarted.vault.fingerprint(place.site, 'input')).rejects.toMatchObject({ name: 'SigningSecretUnavailable' });
    await store.close();
    await expect(vault.fingerprint(place.site, 'again')).resolves.toMatch(/^[0-9a-f]{64}$/);
  });

  it('agree when two processes make the key of a site at the same moment', async () => {
    const { vault, store, masterKeys } = await testVault();
    const other = await testVault({ store, masterKeys });
    const prints = await Promise.all([vault, other.vault, vault].map((each) => each.fingerprint(place.site, 'input')));
    expect(new Set(prints).size).toBe(1);
    expect(await store.readStream('fingerprintkey-acme.production.key')).toHaveLength(1);
  });

  it('agree when the answer to making the key is lost', async () => {
    const log = createMemoryEventStore();
    let left = 1;
    const { vault, masterKeys } = await testVault({ store: faulty(log, () => (left-- > 0 ? 'lose-answer' : undefined)) });
    const restarted = await testVault({ store: log, masterKeys });
    expect(await restarted.vault.fingerprint(place.site, 'input')).toBe(await vault.fingerprint(place.site, 'input'));
  });

  it('are tried again after a failure', async () => {
    let away = true;
    const { vault } = await testVault({ store: faulty(createMemoryEventStore(), () => (away ? 'unavailable' : undefined)) });
    await expect(vault.fingerprint(place.site, 'input')).rejects.toMatchObject({ name: 'StoreUnavailable' });
    away = false;
    await expect(vault.fingerprint(place.site, 'input')).resolves.toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('orphans', () => {
  it('are the versions stored long enough ago that nothing names', async () => {
    const { vault, store, clock } = await testVault();
    for (const version of ['named', 'left', 'shredded']) await vault.store(place, version, secretOf(1));
    await vault.shred(place.site, 'shredded');
    await vault.fingerprint(place.site, 'input');
    clock.move(3_600_000);
    await vault.store(place, 'young', secretOf(1));
    const isNamed = ({ versionId }: { versionId: string }) => Promise.resolve(versionId === 'named');
    const found = await vault.orphans(startOfLog, clock.now() - 3_599_999, isNamed);
    expect(found.versions).toEqual([{ site: place.site, versionId: 'left' }]);
    expect((await vault.orphans(found.position, clock.now() - 3_599_999, isNamed)).versions).toEqual([]);
    clock.move(3_600_000);
    const later = await vault.orphans(found.position, clock.now() - 3_599_999, isNamed);
    expect(later).toEqual({ versions: [{ site: place.site, versionId: 'young' }], position: await store.head() });
  });
});

describe('a secret', () => {
  it('stands nowhere in clear: not in the log, an error, a stack, JSON or an inspection', async () => {
    const log = new MemoryLog();
    const { vault, masterKeys } = await testVault({ store: createMemoryEventStore(log) });
    const secret = newSigningSecret(randomIds);
    await vault.store(place, 'v1', secret);
    const errors = await Promise.all([
      vault.store(place, 'v1', newSigningSecret(randomIds)).catch((error: unknown) => error),
      vault.store({ ...place, subscriptionId: 'whs_2' }, 'v1', secret).catch((error: unknown) => error),
      vault.open({ ...place, subscriptionId: 'whs_2' }, managed('v1')).catch((error: unknown) => error),
    ]);
    const opened = await vault.open(place, managed('v1'));
    const seen = [secret, opened, formatSigningSecret(secret), parseSecretReference(formatSigningSecret(secret).reveal()), masterKeys, vault, ...errors];
    const texts = {
      log: JSON.stringify(log.events),
      json: JSON.stringify({ seen }),
      text: seen.map(String).join('\n'),
      inspected: inspect(seen, { depth: Infinity, showHidden: true, getters: true }),
      stacks: errors.map((error) => (error instanceof Error ? `${error.stack}` : '')).join('\n'),
    };
    expect(findCanary(secret.reveal(), { texts })).toEqual([]);
    expect(findCanary(masterKeys.current.sealingKey.reveal(), { texts })).toEqual([]);
    expect(texts.json).toContain('[redacted]');
  });

  it('is whsec_ and base64 of 32 random bytes', () => {
    expect(formatSigningSecret(newSigningSecret(randomIds)).reveal()).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  });
});
