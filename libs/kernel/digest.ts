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
  const needed = uuidLength + 3 * name.length;
  const bytes = needed <= scratch.length ? scratch : Buffer.allocUnsafe(needed);
  writeUuid(bytes, namespace);
  const hex = hash('sha1', bytes.subarray(0, uuidLength + bytes.write(name, uuidLength, 'utf8')), 'hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variantDigits[nibbleOf(hex, 16) & 0b11]}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const uuidLength = 16;
const scratch = Buffer.allocUnsafe(1_024);
const variantDigits = '89ab';
const dash = 0x2d;

/** The bytes of a UUID's text, at the start of the buffer. */
function writeUuid(bytes: Uint8Array, uuid: string): void {
  let at = 0;
  for (let index = 0; index < uuid.length; index += 2) {
    if (uuid.charCodeAt(index) === dash) index += 1;
    bytes[at] = (nibbleOf(uuid, index) << 4) | nibbleOf(uuid, index + 1);
    at += 1;
  }
}

/** The value of a hexadecimal digit, in either case. */
function nibbleOf(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return (code & 0xf) + (code > 0x39 ? 9 : 0);
}

/** Bytes (the first 16) as a UUID's text. */
export const formatUuid = (bytes: Uint8Array): string => dashed(Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex'));

const dashed = (hex: string): string => `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;

/** A UUID's text as its 16 bytes. */
export const uuidBytes = (uuid: string): Uint8Array => Buffer.from(uuid.replaceAll('-', ''), 'hex');
