// The only file of the kernel that imports anything: hashing is pure, and Node's is the one implementation to trust.
// One-shot functions and prepared keys: every command hashes a dozen small texts, and objects cost more than hashing them.
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

/** SHA-256 of UTF-8 text or bytes, as lower-case hex. FIPS 180-4. */
export const sha256Hex = (input: string | Uint8Array): string => hash('sha256', input, 'hex');

/** SHA-256 of UTF-8 text or bytes, as bytes. */
export const sha256 = (input: string | Uint8Array): Uint8Array => hash('sha256', input, 'buffer');

const prepared = new WeakMap<Uint8Array, KeyObject>();

/** HMAC-SHA-256 of UTF-8 text under a key of bytes (which must not change afterwards), as lower-case hex. RFC 2104. */
export function hmacSha256Hex(key: Uint8Array, input: string): string {
  let secretKey = prepared.get(key);
  if (secretKey === undefined) prepared.set(key, (secretKey = createSecretKey(key)));
  return createHmac('sha256', secretKey).update(input).digest('hex');
}

/**
 * A name-based UUID, version 5: the same namespace and name always give the same id. RFC 9562, section 5.5.
 * `namespace` is a UUID in its usual text form.
 */
export function uuidV5(namespace: string, name: string): string {
  const hex = hash('sha1', Buffer.concat([uuidBytes(namespace), Buffer.from(name, 'utf8')]), 'hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0b11) | 0b1000).toString(16);
  return dashed(`${hex.slice(0, 12)}5${hex.slice(13, 16)}${variant}${hex.slice(17)}`);
}

/** Bytes (the first 16) as a UUID's text. */
export const formatUuid = (bytes: Uint8Array): string => dashed(Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex'));

const dashed = (hex: string): string => `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;

/** A UUID's text as its 16 bytes. */
export const uuidBytes = (uuid: string): Uint8Array => Buffer.from(uuid.replaceAll('-', ''), 'hex');
