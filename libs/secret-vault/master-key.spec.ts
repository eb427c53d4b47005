import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type EventStore, WrongExpectedRevision } from '#event-store';
import { createMemoryEventStore } from '#event-store/memory';
import { Secret, startOfLog } from '#kernel';
import { faulty, newKeyText, randomIds, StandingClock } from '../../test/support/vault.ts';
import { loadMasterKeys, logIdOf, type MasterKeySources } from './master-key.ts';

let dataDir: string;
let store: EventStore;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'master-key-'));
  store = createMemoryEventStore();
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

async function start(sources: Partial<MasterKeySources> = {}) {
  const logIsEmpty = (await store.head()) === startOfLog;
  return loadMasterKeys({ dataDir, masterKey: undefined, previousMasterKey: undefined, shared: false, store, logIsEmpty, clock: new StandingClock(), ids: randomIds, ...sources });
}

const registered = async () => (await store.readStream('masterkey-register')).map(({ type, data }) => [type, JSON.parse(data) as unknown]);
const keyFile = () => join(dataDir, 'master.key');

describe('a log', () => {
  it('is told from others by the first registration, also after a change of keys', async () => {
    await expect(logIdOf(store)).rejects.toThrow('the log holds no registered master key');
    const first = newKeyText();
    await start({ masterKey: first });
    const id = await logIdOf(store);
    await start({ masterKey: newKeyText(), previousMasterKey: first });
    expect(await logIdOf(store)).toBe(id);
    store = createMemoryEventStore();
    await start({ masterKey: first });
    expect(await logIdOf(store)).not.toBe(id);
  });
});

describe('the first start', () => {
  it('makes a key that only its owner can read, and registers its id', async () => {
    const { current, previous } = await start();
    expect(Buffer.from(readFileSync(keyFile(), 'utf8'), 'base64')).toHaveLength(32);
    expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
    expect(previous).toBeNull();
    expect(await registered()).toEqual([['MasterKeyRegistered', { keyId: current.id }]]);
  });

  it('takes the key that was set, and makes no file', async () => {
    const { current } = await start({ masterKey: newKeyText() });
    expect(() => readFileSync(keyFile())).toThrow(/ENOENT/);
    expect(await registered()).toEqual([['MasterKeyRegistered', { keyId: current.id }]]);
  });

  it('that died after making the key goes on with that key', async () => {
    const away = faulty(store, () => 'unavailable');
    await expect(start({ store: away })).rejects.toThrow('the store is away');
    const made = readFileSync(keyFile(), 'utf8');
    await start();
    expect(readFileSync(keyFile(), 'utf8')).toBe(made);
  });

  it('registers once when the answer of the append is lost', async () => {
    let losses = 2;
    await start({ store: faulty(store, () => (losses-- > 0 ? 'lose-answer' : undefined)) });
    expect(await registered()).toHaveLength(1);
  });

  it('of two processes with one key succeeds twice; with different keys, once', async () => {
    const [masterKey, other] = [newKeyText(), newKeyText()];
    await Promise.all([start({ masterKey, shared: true, logIsEmpty: true }), start({ masterKey, shared: true, logIsEmpty: true })]);
    expect(await registered()).toHaveLength(1);
    store = createMemoryEventStore();
    const outcomes = await Promise.allSettled([start({ masterKey, shared: true, logIsEmpty: true }), start({ masterKey: other, shared: true, logIsEmpty: true })]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { name: 'MasterKeyRefused' } });
  });

  it('needs a key that was set when the log is shared', async () => {
    await expect(start({ shared: true })).rejects.toThrow('KF_MASTER_KEY must be set when the log is shared');
  });

  it.each(['', 'short', Buffer.alloc(31).toString('base64'), Buffer.alloc(33).toString('base64'), Buffer.alloc(32).toString('hex'), `${Buffer.alloc(32).toString('base64')} `])(
    'refuses a key that is not the base64 of 32 bytes, without repeating it: %j',
    async (text) => {
      const refused = { name: 'MasterKeyRefused', message: 'KF_MASTER_KEY is not the base64 of 32 bytes' };
      await expect(start({ masterKey: new Secret(text) })).rejects.toMatchObject(refused);
      await expect(start({ masterKey: newKeyText(), previousMasterKey: new Secret(text) })).rejects.toThrow('KF_MASTER_KEY_PREVIOUS');
      expect(await registered()).toEqual([]);
    },
  );
});

describe('a later start', () => {
  it('finds the same key, and registers nothing', async () => {
    const first = await start();
    expect((await start()).current.id).toBe(first.current.id);
    expect(await registered()).toHaveLength(1);
  });

  it('never makes a new key: it says what to restore', async () => {
    await start();
    rmSync(keyFile());
    await expect(start()).rejects.toMatchObject({ name: 'MasterKeyRefused', message: expect.stringMatching(/master\.key is gone: restore it from a backup, or set KF_MASTER_KEY/) });
    expect(() => readFileSync(keyFile())).toThrow(/ENOENT/);
  });

  it('refuses a file that is damaged or unreadable', async () => {
    await start();
    writeFileSync(keyFile(), 'half a k');
    await expect(start()).rejects.toThrow(/does not hold the base64 of 32 bytes: restore it/);
    rmSync(keyFile());
    // A folder in its place can't be read by anybody, root included.
    mkdirSync(keyFile());
    await expect(start()).rejects.toThrow(/can't be read/);
  });

  it('refuses another key, and says which one is missing', async () => {
    const { current } = await start();
    await expect(start({ masterKey: newKeyText() })).rejects.toThrow(new RegExp(`sealed under master key ${current.id}.*KF_MASTER_KEY_PREVIOUS`));
    expect(await registered()).toHaveLength(1);
  });

  it('refuses a log that holds events but no registered key', async () => {
    await store.append('event-acme.production.1', 'NO_STREAM', [{ id: randomIds.uuid(), type: 'EventPublished', data: '{}', metadata: {} }]);
    await expect(start()).rejects.toThrow(/no registered master key/);
    expect(() => readFileSync(keyFile())).toThrow(/ENOENT/);
  });
});

describe('a change of keys', () => {
  it('registers the new key when the registered one is given as the previous, once', async () => {
    const [old, next] = [newKeyText(), newKeyText()];
    const before = await start({ masterKey: old });
    const after = await start({ masterKey: next, previousMasterKey: old });
    expect(after.previous?.id).toBe(before.current.id);
    await start({ masterKey: next, previousMasterKey: old });
    await start({ masterKey: next });
    expect(await registered()).toEqual([before, after].map(({ current }) => ['MasterKeyRegistered', { keyId: current.id }]));
  });

  it('can be taken back the same way, and not by leaving the newer key out', async () => {
    const [old, next] = [newKeyText(), newKeyText()];
    await start({ masterKey: old });
    await start({ masterKey: next, previousMasterKey: old });
    await expect(start({ masterKey: old })).rejects.toThrow(/sealed under master key/);
    await start({ masterKey: old, previousMasterKey: next });
    expect(await registered()).toHaveLength(3);
  });

  it('is refused when another process registered another key at the same moment', async () => {
    const [old, next, other] = [newKeyText(), newKeyText(), newKeyText()];
    await start({ masterKey: old });
    const racing: EventStore = {
      ...faulty(store, () => undefined),
      append: async (stream, expected) => {
        await start({ masterKey: other, previousMasterKey: old });
        throw new WrongExpectedRevision(stream, expected, 1);
      },
    };
    await expect(start({ masterKey: next, previousMasterKey: old, store: racing })).rejects.toThrow(/at the same time/);
  });
});
