/** Crockford's alphabet in lower case: it sorts like the bytes it stands for, so ids that start with a time sort by time. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** 16 bytes as 26 lower-case base32 characters, most significant first (the text form of a ULID). */
export function base32(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes.subarray(0, 16)) value = (value << 8n) | BigInt(byte);
  let text = '';
  for (let digit = 0; digit < 26; digit += 1) {
    text = (alphabet[Number(value & 31n)] ?? '') + text;
    value >>= 5n;
  }
  return text;
}
