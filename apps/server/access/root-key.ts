import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { keySecretBytes, makeKeyText, parseScope, rootKeyId } from '#access';
import { type Ids, Secret, sha256 } from '#kernel';
import type { AuthenticatedKey } from './authenticated-key.ts';

/** The installation's own key: it speaks for any actor, everywhere. Its text stands in one file and nowhere in the log. */
export interface RootKey {
  readonly sha256: Uint8Array;
  readonly key: AuthenticatedKey;
  /** Where its text is; null when it came from the environment. */
  readonly file: string | null;
}

const scopeTexts = ['admin', 'site:*:read', 'site:*:write', 'site:*:approve', 'site:*:audit'];

const key: AuthenticatedKey = {
  keyId: rootKeyId,
  name: 'root',
  isRoot: true,
  boundTo: null,
  defaultActor: { type: 'USER', id: 'root' },
  owner: null,
  createdBy: null,
  isAdmin: true,
  scopeTexts,
  scopes: scopeTexts.flatMap((text) => parseScope(text) ?? []),
  expiresOnMs: null,
};

/** The root key of the environment, else of `root.key` in the data folder, which the first start makes (mode 0600). Throws when the file is not what was made. */
export function openRootKey(dataDir: string, configured: Secret | null, ids: Ids): RootKey {
  if (configured !== null) return { sha256: sha256(configured.reveal()), key, file: null };
  const file = join(dataDir, 'root.key');
  const text = existsSync(file) ? readRootKey(file) : makeRootKey(file, ids);
  return { sha256: sha256(text.reveal()), key, file };
}

function readRootKey(file: string): Secret {
  if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) throw new Error(`${file} can be read by others: set its mode to 0600 (chmod 600), or remove it to have a new key made.`);
  const text = readFileSync(file, 'utf8').trim();
  if (!/^[\x21-\x7e]{32,200}$/.test(text)) throw new Error(`${file} does not hold a root key: remove it to have a new one made.`);
  return new Secret(text);
}

/** Complete or not there at all, also after a power loss. */
function makeRootKey(file: string, ids: Ids): Secret {
  const text = makeKeyText(rootKeyId, ids.randomBytes(keySecretBytes));
  const unfinished = `${file}.new`;
  const handle = openSync(unfinished, 'w', 0o600);
  writeSync(handle, `${text.reveal()}\n`);
  fsyncSync(handle);
  closeSync(handle);
  renameSync(unfinished, file);
  syncFolder(dirname(file));
  return text;
}

function syncFolder(folder: string): void {
  // Windows has no such thing, and needs none.
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
