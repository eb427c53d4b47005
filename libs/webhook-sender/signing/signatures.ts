import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Secret } from '#kernel';

/** The headers that ids, times and signatures stand in, in lower case as a receiver sees them. */
export const signatureHeaders = {
  id: 'webhook-id',
  timestamp: 'webhook-timestamp',
  standard: 'webhook-signature',
  roost: 'roost-signature',
} as const;

/** What is signed. `timestampSeconds` counts from 1970 UTC; text is signed as UTF-8; `keys` are the current key, then the one in its grace window. */
export interface SignedContent {
  readonly timestampSeconds: number;
  readonly body: string | Uint8Array;
  readonly keys: readonly Secret<Uint8Array>[];
}

/** Why a signature does not hold, or that it does. */
export type SignatureVerdict = 'valid' | 'malformed' | 'timestamp-outside-tolerance' | 'no-matching-signature';

/** How far a timestamp may be from now, either way (the Standard Webhooks libraries take the same). */
const defaultToleranceSeconds = 300;

/** The value of `webhook-signature`: `v1,<base64>` per key, over `id.timestamp.body`. Standard Webhooks 1.0, "Signature scheme". */
export const signStandard = (content: SignedContent & { readonly id: string }): string =>
  content.keys.map((key) => `v1,${digest(key, `${content.id}.${content.timestampSeconds}.`, content.body).toString('base64')}`).join(' ');

/** The value of `Roost-Signature`: `t=<unix>` and `v1=<hex>` per key, over `timestamp.body`, with the same key bytes. */
export const signRoost = (content: SignedContent): string =>
  [`t=${content.timestampSeconds}`, ...content.keys.map((key) => `v1=${digest(key, `${content.timestampSeconds}.`, content.body).toString('hex')}`)].join(',');

/** Whether a `webhook-id`, `webhook-timestamp` and `webhook-signature` vouch for a body under one of the keys. Compares in constant time. */
export function verifyStandard(received: {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: string | Uint8Array;
  readonly keys: readonly Secret<Uint8Array>[];
  readonly nowSeconds: number;
  readonly toleranceSeconds?: number;
}): SignatureVerdict {
  const given = received.signature.split(' ').flatMap((item) => (item.startsWith('v1,') ? [Buffer.from(item.slice(3), 'base64')] : []));
  const prefix = `${received.id}.${received.timestamp}.`;
  return verdict({ ...received, prefix, given });
}

/** Whether a `Roost-Signature` vouches for a body under one of the keys. Compares in constant time. */
export function verifyRoost(received: {
  readonly signature: string;
  readonly body: string | Uint8Array;
  readonly keys: readonly Secret<Uint8Array>[];
  readonly nowSeconds: number;
  readonly toleranceSeconds?: number;
}): SignatureVerdict {
  const items = received.signature.split(',').map((item) => item.trim());
  const timestamp = items.find((item) => item.startsWith('t='))?.slice(2) ?? '';
  const given = items.flatMap((item) => (/^v1=[0-9a-f]{64}$/i.test(item) ? [Buffer.from(item.slice(3), 'hex')] : []));
  return verdict({ ...received, timestamp, prefix: `${timestamp}.`, given });
}

function verdict(claim: {
  readonly timestamp: string;
  readonly prefix: string;
  readonly given: readonly Buffer[];
  readonly body: string | Uint8Array;
  readonly keys: readonly Secret<Uint8Array>[];
  readonly nowSeconds: number;
  readonly toleranceSeconds?: number;
}): SignatureVerdict {
  if (!/^\d{1,12}$/.test(claim.timestamp) || claim.given.length === 0) return 'malformed';
  // Every key meets every signature, so that the time taken does not say which one matched.
  const meetings = claim.keys.flatMap((key) => {
    const expected = digest(key, claim.prefix, claim.body);
    return claim.given.map((signature) => signature.length === expected.length && timingSafeEqual(signature, expected));
  });
  if (!meetings.includes(true)) return 'no-matching-signature';
  const age = Math.abs(claim.nowSeconds - Number(claim.timestamp));
  return age <= (claim.toleranceSeconds ?? defaultToleranceSeconds) ? 'valid' : 'timestamp-outside-tolerance';
}

// A key object first, and one for all that is signed with a key: handed raw bytes, createHmac of Node 24 takes three times as long.
const keyObjects = new WeakMap<Secret<Uint8Array>, KeyObject>();

function keyObjectOf(key: Secret<Uint8Array>): KeyObject {
  const known = keyObjects.get(key);
  if (known !== undefined) return known;
  const made = createSecretKey(key.reveal());
  keyObjects.set(key, made);
  return made;
}

const digest = (key: Secret<Uint8Array>, prefix: string, body: string | Uint8Array): Buffer => createHmac('sha256', keyObjectOf(key)).update(prefix).update(body).digest();
