import { describe, expect, it } from '@jest/globals';
import { StoreUnavailable } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { Secret } from '#kernel';
import { faulty, keysOf, managed, newKeyText, place, randomIds, testVault } from '../../test/support/vault.ts';

const secretOf = (fill: number): Secret<Uint8Array> => new Secret(new Uint8Array(32).fill(fill));
const versions = ['v1', 'v2', 'v3'];

/** Three secrets and a fingerprint key under an old master key, and the keys of a process that changed to a new one. */
async function changed() {
  const [old, next] = [newKeyText(), newKeyText()];
  const store = createMemoryEventStore();
  const { vault } = await testVault({ store, masterKeys: await keysOf(old) });
  for (const [index, version] of versions.entries()) await vault.store(place, version, secretOf(index));
  const print = await vault.fingerprint(place.site, 'input');
  return { store, print, old, next, both: await keysOf(next, old), nextOnly: await keysOf(next), oldOnly: await keysOf(old) };
}

describe('rewrap', () => {
  it('seals every secret and fingerprint key under the new key, so that the old one can go', async () => {
    const { store, print, both, nextOnly } = await changed();
    const { vault } = await testVault({ store, masterKeys: both });
    expect(await vault.rewrap()).toEqual({ rewrapped: 4, unchanged: 0, unreadable: [] });
    const after = await testVault({ store, masterKeys: nextOnly });
    for (const [index, version] of versions.entries()) expect((await after.vault.open(place, managed(version))).reveal()).toEqual(secretOf(index).reveal());
    expect(await after.vault.fingerprint(place.site, 'input')).toBe(print);
    await expect(after.vault.open({ ...place, subscriptionId: 'whs_2' }, managed('v1'))).rejects.toThrow(/belongs to something else/);
  });

  it('again does nothing', async () => {
    const { store, both } = await changed();
    const { vault } = await testVault({ store, masterKeys: both });
    await vault.rewrap();
    const head = await store.head();
    expect(await vault.rewrap()).toEqual({ rewrapped: 0, unchanged: 4, unreadable: [] });
    expect(await store.head()).toBe(head);
  });

  it.each([0, 1, 2, 3])('that died after %i of 4 leaves everything readable, and goes on from there', async (done) => {
    const { store, print, both, nextOnly } = await changed();
    let appends = 0;
    const dying = await testVault({ store: faulty(store, () => (appends++ === done ? 'unavailable' : undefined)), masterKeys: both });
    await expect(dying.vault.rewrap()).rejects.toBeInstanceOf(StoreUnavailable);
    const between = await testVault({ store, masterKeys: both });
    for (const [index, version] of versions.entries()) expect((await between.vault.open(place, managed(version))).reveal()).toEqual(secretOf(index).reveal());
    expect(await between.vault.fingerprint(place.site, 'input')).toBe(print);
    expect(await between.vault.rewrap()).toEqual({ rewrapped: 4 - done, unchanged: done, unreadable: [] });
    const after = await testVault({ store, masterKeys: nextOnly });
    expect((await after.vault.open(place, managed('v3'))).reveal()).toEqual(secretOf(2).reveal());
  });

  it('in two processes at once seals each record anew once', async () => {
    const { store, both } = await changed();
    const [a, b] = [await testVault({ store, masterKeys: both }), await testVault({ store, masterKeys: both })];
    const outcomes = await Promise.all([a.vault.rewrap(), b.vault.rewrap()]);
    expect(outcomes.reduce((sum, { rewrapped }) => sum + rewrapped, 0)).toBe(4);
    for (const version of versions) expect(await store.readStream(`signingsecret-acme.production.${version}`)).toHaveLength(2);
  });

  it('disturbs no process that still has the old key, when it was given the new one as the previous before', async () => {
    const { store, print, both, old, next } = await changed();
    const early = await testVault({ store, masterKeys: await keysOf(old, next) });
    await (await testVault({ store, masterKeys: both })).vault.rewrap();
    for (const [index, version] of versions.entries()) expect((await early.vault.open(place, managed(version))).reveal()).toEqual(secretOf(index).reveal());
    expect(await early.vault.fingerprint(place.site, 'input')).toBe(print);
    const late = await testVault({ store, masterKeys: await keysOf(old) });
    await expect(late.vault.open(place, managed('v1'))).rejects.toThrow();
  });

  it('names what neither key opens, and leaves it as it is', async () => {
    const { store, both, oldOnly } = await changed();
    const lost = await testVault({ store, masterKeys: await keysOf(newKeyText()) });
    await lost.vault.store(place, 'lost', secretOf(9));
    await (await testVault({ store, masterKeys: oldOnly })).vault.shred(place.site, 'v2');
    const { vault } = await testVault({ store, masterKeys: both });
    expect(await vault.rewrap()).toEqual({ rewrapped: 3, unchanged: 0, unreadable: ['signingsecret-acme.production.lost'] });
    expect(await store.readStream('signingsecret-acme.production.lost')).toHaveLength(1);
  });

  it('reads on past one page', async () => {
    const log = new MemoryLog();
    const [old, next] = [newKeyText(), newKeyText()];
    const store = createMemoryEventStore(log);
    const before = await testVault({ store, masterKeys: await keysOf(old) });
    for (let version = 0; version < 450; version += 1) await before.vault.store(place, `v${version}-${randomIds.uuid().slice(0, 4)}`, secretOf(1));
    const { vault } = await testVault({ store, masterKeys: await keysOf(next, old) });
    expect(await vault.rewrap()).toEqual({ rewrapped: 450, unchanged: 0, unreadable: [] });
  });
});
