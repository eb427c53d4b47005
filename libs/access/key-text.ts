import { base32, Secret, sha256Hex } from '#kernel';

/** How many random bytes a key's secret part is made of. */
export const keySecretBytes = 32;

/** Ids of keys start with this; the id of the installation's own key is `root`. */
export const keyIdPrefix = 'key';
export const rootKeyId = 'root';

/**
 * The text of an API key: `kf_<id>_<secret>`, the id without its prefix and the secret as 52 base32 characters, so it can
 * be told in a log scan, names its record, and selects with a double click. Takes 32 random bytes.
 */
export function makeKeyText(keyId: string, random: Uint8Array): Secret {
  if (random.length !== keySecretBytes) throw new TypeError(`a key is made of ${keySecretBytes} random bytes`);
  const id = keyId.startsWith(`${keyIdPrefix}_`) ? keyId.slice(keyIdPrefix.length + 1) : keyId;
  return new Secret(`kf_${id}_${base32(random.subarray(0, 16))}${base32(random.subarray(16))}`);
}

/** The id of the key that a text claims to be, or undefined when it has not the form of one. */
export function keyIdOf(text: string): string | undefined {
  const [, id] = /^kf_([0-9a-z]{26})_[0-9a-z]{52}$/.exec(text) ?? [];
  return id === undefined ? undefined : `${keyIdPrefix}_${id}`;
}

/** What is kept of a key's text. The text has 256 random bits, so a plain hash hides it. */
export const keySha256 = (text: Secret): string => sha256Hex(text.reveal());
