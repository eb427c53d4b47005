import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { type Ids, Secret } from '#kernel';

/** A key that seals other keys. `id` tells keys apart and says nothing about them. */
export interface MasterKey {
  readonly id: string;
  readonly sealingKey: Secret<Uint8Array>;
}

/** The key that seals now, and the one before it, which only opens. */
export interface MasterKeys {
  readonly current: MasterKey;
  readonly previous: MasterKey | null;
}

/** A sealed value as a record holds it: which key opens it, and base64 of nonce (12 bytes), ciphertext and tag (16 bytes). */
export interface Sealed {
  readonly keyId: string;
  readonly sealed: string;
}

const cipher = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * A master key of its text: padded base64 of 32 bytes. Undefined when it is anything else.
 * The sealing key and the id are both derived from it (HKDF-SHA-256, RFC 5869), so the id is not a hash to test guesses on
 * another use of the key with.
 */
export function parseMasterKey(text: Secret): MasterKey | undefined {
  const bytes = Buffer.from(text.reveal(), 'base64');
  if (bytes.length !== keyBytes || bytes.toString('base64') !== text.reveal()) return undefined;
  const derive = (purpose: string, length: number): Buffer => Buffer.from(hkdfSync('sha256', bytes, '', `countersign/${purpose}/v1`, length));
  return { id: derive('master-key-id', 8).toString('hex'), sealingKey: new Secret(new Uint8Array(derive('seal', keyBytes))) };
}

/** A new master key's text. */
export const newMasterKeyText = (ids: Ids): Secret => new Secret(Buffer.from(ids.randomBytes(keyBytes)).toString('base64'));

/** Seals under the current key; `bindTo` is what it belongs to and must be given again to open it. AES-256-GCM, NIST SP 800-38D. */
export function seal({ current }: MasterKeys, bindTo: string, plain: Secret<Uint8Array>, ids: Ids): Sealed {
  const nonce = ids.randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, current.sealingKey.reveal(), nonce, { authTagLength: tagBytes });
  sealing.setAAD(Buffer.from(bindTo));
  const sealed = Buffer.concat([nonce, sealing.update(plain.reveal()), sealing.final(), sealing.getAuthTag()]);
  return { keyId: current.id, sealed: sealed.toString('base64') };
}

/** Opens what was sealed, or says why it can't (a sentence without secret parts). */
export function unseal(keys: MasterKeys, bindTo: string, { keyId, sealed }: Sealed): Secret<Uint8Array> | { readonly unreadable: string } {
  const key = [keys.current, keys.previous].find((known) => known?.id === keyId);
  if (!key) return { unreadable: `it is sealed under master key ${keyId}, which this process does not have` };
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < nonceBytes + tagBytes) return { unreadable: 'its record is not whole' };
  const opening = createDecipheriv(cipher, key.sealingKey.reveal(), bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
  opening.setAAD(Buffer.from(bindTo));
  opening.setAuthTag(bytes.subarray(-tagBytes));
  const plain = opening.update(bytes.subarray(nonceBytes, -tagBytes));
  try {
    return new Secret(new Uint8Array(Buffer.concat([plain, opening.final()])));
  } catch {
    return { unreadable: 'its record was changed, or belongs to something else' };
  }
}
