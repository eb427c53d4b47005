import { type Ids, type Refusal, refuse, Secret } from '#kernel';

const prefix = 'whsec_';
const newKeyBytes = 32;
const minKeyBytes = 24;
const maxKeyBytes = 64;

/**
 * The key of a signing secret's text: `whsec_` and the padded base64 of 24 to 64 bytes, in its one written form
 * (Standard Webhooks 1.0, "Symmetric signatures"). Refused with `validation-failed`; the refusal never repeats the text.
 */
export function parseSigningSecret(text: string): Secret<Uint8Array> | Refusal<'validation-failed'> {
  if (!text.startsWith(prefix)) return refuse('validation-failed', `a signing secret starts with ${prefix}`);
  const encoded = text.slice(prefix.length);
  const key = Buffer.from(encoded, 'base64');
  if (key.toString('base64') !== encoded) {
    return refuse('validation-failed', `after ${prefix} a signing secret is base64 with its padding (RFC 4648, section 4)`);
  }
  if (key.length < minKeyBytes || key.length > maxKeyBytes) {
    return refuse('validation-failed', `a signing secret holds ${minKeyBytes} to ${maxKeyBytes} bytes; this one holds ${key.length}`);
  }
  return new Secret(new Uint8Array(key));
}

/** A new key of 32 random bytes. */
export const newSigningKey = (ids: Ids): Secret<Uint8Array> => new Secret(ids.randomBytes(newKeyBytes));

/** The text of a key as people and libraries take it: `whsec_…`. */
export const formatSigningSecret = (key: Secret<Uint8Array>): Secret => new Secret(`${prefix}${Buffer.from(key.reveal()).toString('base64')}`);
