/** Crockford's alphabet in lower case: it sorts like the bytes it stands for, so ids that start with a time sort by time. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const characters = 26;

/** 16 bytes as 26 lower-case base32 characters, most significant first (the text form of a ULID). */
export function base32(bytes: Uint8Array): string {
  let text = '';
  // 128 bits are 25 digits of five and one of three, the first.
  for (let digit = 0; digit < characters; digit += 1) {
    const end = 128 - 5 * (characters - 1 - digit);
    const byte = (end - 1) >> 3;
    const two = ((bytes[byte - 1] ?? 0) << 8) | (bytes[byte] ?? 0);
    text += alphabet[(two >> (8 * (byte + 1) - end)) & 31];
  }
  return text;
}
