// The only file of the kernel that imports anything: hashing is pure, and Node's is the one implementation to trust.
import { createHash, createHmac } from 'node:crypto';

/** SHA-256 of UTF-8 text or bytes, as lower-case hex. FIPS 180-4. */
export const sha256Hex = (input: string | Uint8Array): string => createHash('sha256').update(input).digest('hex');

/** SHA-256 of UTF-8 text or bytes, as bytes. */
export const sha256 = (input: string | Uint8Array): Uint8Array => createHash('sha256').update(input).digest();

/** HMAC-SHA-256 of UTF-8 text under a key of bytes, as lower-case hex. RFC 2104. */
export const hmacSha256Hex = (key: Uint8Array, input: string): string => createHmac('sha256', key).update(input).digest('hex');

/**
 * A name-based UUID, version 5: the same namespace and name always give the same id. RFC 9562, section 5.5.
 * `namespace` is a UUID in its usual text form.
 */
export function uuidV5(namespace: string, name: string): string {
  const hash = createHash('sha1').update(Buffer.from(namespace.replaceAll('-', ''), 'hex')).update(name, 'utf8').digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return formatUuid(hash);
}

/** Bytes (the first 16) as a UUID's text. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, 16)).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A UUID's text as its 16 bytes. */
export const uuidBytes = (uuid: string): Uint8Array => Buffer.from(uuid.replaceAll('-', ''), 'hex');
