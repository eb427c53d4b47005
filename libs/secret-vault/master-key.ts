import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { EventStore } from '#event-store';
import { type Clock, type Ids, Secret, type Stored } from '#kernel';
import { errorCode } from './error-code.ts';
import { type MasterKeyRecord, Records } from './records.ts';
import { type MasterKey, type MasterKeys, newMasterKeyText, parseMasterKey } from './sealing.ts';

/** Why a process must not start with the master keys it was given. The message says what to restore or to set. */
export class MasterKeyRefused extends Error {
  override readonly name = 'MasterKeyRefused';
}

export interface MasterKeySources {
  readonly dataDir: string;
  /** `KF_MASTER_KEY` and `KF_MASTER_KEY_PREVIOUS` as they were set. */
  readonly masterKey: Secret | undefined;
  readonly previousMasterKey: Secret | undefined;
  /** Whether other processes use the same log: then a file of one machine can't hold the key. */
  readonly shared: boolean;
  readonly store: EventStore;
  /** Whether nothing at all has been written to the log yet. */
  readonly logIsEmpty: boolean;
  readonly clock: Clock;
  readonly ids: Ids;
}

const registerStream = 'masterkey-register';

/**
 * The master keys of this installation. Must be the first thing that writes to a new log.
 *
 * On an empty log the key of `KF_MASTER_KEY`, or a new one in `<data dir>/master.key` (mode 0600, durable before it is
 * used), is registered in the log by its id. On any other log the registered key must be there: a key that is lost is
 * never replaced by a new one. A new current key is registered when the registered one is given as the previous.
 * Throws `MasterKeyRefused`; rejects with the store's errors.
 */
export async function loadMasterKeys(sources: MasterKeySources): Promise<MasterKeys> {
  const records = new Records(sources.store, sources.clock, sources.ids);
  const registered = await records.last<MasterKeyRecord>(registerStream);
  if (!registered && !sources.logIsEmpty) {
    throw new MasterKeyRefused('the log holds events but no registered master key: it is not a log of this program, or it is not whole; restore it from a backup');
  }
  const previous = parsed('KF_MASTER_KEY_PREVIOUS', sources.previousMasterKey) ?? null;
  const current = parsed('KF_MASTER_KEY', sources.masterKey) ?? (await keyOfFile(sources, registered?.data.keyId));
  await agree(records, { current, previous }, registered);
  return { current, previous };
}

/** What tells a log from every other for as long as it is: the id of the event that `loadMasterKeys` wrote first. */
export async function logIdOf(store: Pick<EventStore, 'readStream'>): Promise<string> {
  const [first] = await store.readStream(registerStream, 0, 1);
  if (first === undefined) throw new TypeError('the log holds no registered master key');
  return first.id;
}

/** Returns when the register's last key is the current one; registers it when it may be. */
async function agree(records: Records, keys: MasterKeys, registered: Stored<MasterKeyRecord> | undefined): Promise<void> {
  if (!registered) return register(records, keys.current, 'NO_STREAM');
  const { keyId } = registered.data;
  if (keyId === keys.current.id) return;
  if (keyId !== keys.previous?.id) throw wrongKey(keyId, keys);
  await register(records, keys.current, registered.revision);
}

function parsed(source: string, text: Secret | undefined): MasterKey | undefined {
  if (text === undefined) return undefined;
  const key = parseMasterKey(text);
  if (!key) throw new MasterKeyRefused(`${source} is not the base64 of 32 bytes`);
  return key;
}

async function keyOfFile({ dataDir, shared, ids }: MasterKeySources, registeredId: string | undefined): Promise<MasterKey> {
  if (shared) throw new MasterKeyRefused('KF_MASTER_KEY must be set when the log is shared');
  const path = join(dataDir, 'master.key');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new MasterKeyRefused(`${path} can't be read`, { cause: error });
  });
  if (text === undefined && registeredId !== undefined) {
    throw new MasterKeyRefused(`the secrets in the log are sealed under master key ${registeredId}, but ${path} is gone: restore it from a backup, or set KF_MASTER_KEY`);
  }
  const secret = text === undefined ? newMasterKeyText(ids) : new Secret(text.trim());
  const key = parseMasterKey(secret);
  if (!key) throw new MasterKeyRefused(`${path} does not hold the base64 of 32 bytes: restore it from a backup`);
  if (text === undefined) await writeDurably(path, `${secret.reveal()}\n`);
  return key;
}

/** Under another name first, so that a crash leaves a whole file or none; the folder too is on disk before the key is used. */
async function writeDurably(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  // Windows can't open a folder; its renames need no such step.
  if (process.platform === 'win32') return;
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function register(records: Records, { id }: MasterKey, expected: number | 'NO_STREAM'): Promise<void> {
  const outcome = await records.append(registerStream, expected, { type: 'MasterKeyRegistered', data: { keyId: id } });
  if (outcome === 'written') return;
  // Another process registered at the same moment: fine if it has the same key.
  const winner = await records.last<MasterKeyRecord>(registerStream);
  if (winner?.data.keyId !== id) throw new MasterKeyRefused(`another process registered master key ${winner?.data.keyId} at the same time: start every process with the same KF_MASTER_KEY`);
}

function wrongKey(registeredId: string, { current, previous }: MasterKeys): MasterKeyRefused {
  const given = previous ? `${current.id} and, as the previous one, ${previous.id}` : current.id;
  return new MasterKeyRefused(
    `the secrets in the log are sealed under master key ${registeredId}, but this process has ${given}: restore that key (KF_MASTER_KEY or master.key in the data folder), or give it as KF_MASTER_KEY_PREVIOUS to change to the new one`,
  );
}
