import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { isRefusal, type Secret } from '#kernel';
import { parseSigningSecret } from '#webhook-sender/signing';
import { errorCode } from './error-code.ts';
import { type SecretName, SigningSecretUnavailable } from './port.ts';
import { referredTo } from './reference.ts';

/** Where secrets that are not ours are looked up. */
export interface ExternalSecrets {
  /** The folder that `file:` references name files of. Mounted secrets may be symbolic links inside it; none leads out of it. */
  readonly secretsDir: string;
  /** The value of a `KF_WEBHOOK_SECRET_…` variable. */
  readonly environmentSecrets: (variable: string) => string | undefined;
}

const maxFileBytes = 1024;
// Windows has neither: there, a link is followed only as far as `realpath` allowed, and no named pipe can stand in a folder.
const readOnly = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Looks up an `env:` or `file:` secret now; its text is `whsec_…`, with or without a line end after it. */
export async function resolveExternal(sources: ExternalSecrets, name: SecretName): Promise<Secret<Uint8Array>> {
  const target = referredTo(name);
  if (target === undefined) throw new SigningSecretUnavailable(`secret version ${name.versionId} has a reference that is not allowed`);
  const text = name.kind === 'env' ? sources.environmentSecrets(target) : await readSecretFile(sources.secretsDir, target);
  if (text === undefined) throw new SigningSecretUnavailable(`${name.reference} is not set`);
  const secret = parseSigningSecret(text.replace(/\r?\n$/, ''));
  if (isRefusal(secret)) throw new SigningSecretUnavailable(`${name.reference}: ${secret.detail}`);
  return secret;
}

async function readSecretFile(folder: string, name: string): Promise<string> {
  const unavailable = (why: string): SigningSecretUnavailable => new SigningSecretUnavailable(`file:${name} ${why}`);
  const [inside, path] = await Promise.all([realpath(folder), realpath(join(folder, name))]).catch((error: unknown) => {
    throw unavailable(`can't be found (${errorCode(error)})`);
  });
  if (!path.startsWith(inside + sep)) throw unavailable('leads out of the secrets folder');
  const file = await open(path, readOnly).catch((error: unknown) => {
    throw unavailable(`can't be opened (${errorCode(error)})`);
  });
  try {
    const text = await readBounded(file);
    if (text === undefined) throw unavailable(`is not a plain file of at most ${maxFileBytes} bytes`);
    return text;
  } finally {
    await file.close();
  }
}

async function readBounded(file: FileHandle): Promise<string | undefined> {
  if (!(await file.stat()).isFile()) return undefined;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(maxFileBytes + 1));
  return bytesRead <= maxFileBytes ? buffer.toString('utf8', 0, bytesRead) : undefined;
}
