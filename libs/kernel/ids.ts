import { base32 } from './base32.ts';
import { sha256, uuidBytes } from './digest.ts';
import type { Ids } from './ports.ts';
import type { Site } from './site.ts';

/** 48 bits of milliseconds and 80 bits more: ids that sort by time, so that they cost an index little. */
export function timeOrdered(prefix: string, instantMs: number, rest: Uint8Array): string {
  const bytes = new Uint8Array(16);
  let time = instantMs;
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes.set(rest.subarray(0, 10), 6);
  return `${prefix}_${base32(bytes)}`;
}

/** A new id of our own making: time-ordered, unguessable. */
export const newId = (prefix: string, nowMs: number, ids: Ids): string => timeOrdered(prefix, nowMs, ids.randomBytes(10));

/** The id a caller left out, derived from the commandId, so that an honest retry of a create meets itself. */
export const derivedId = (prefix: string, commandId: string): string => `${prefix}_${base32(uuidBytes(commandId))}`;

/** The delivery of one event to one subscription: the same on every fan-out, unique across sites, in time order. */
export const deliveryId = (site: Site, eventId: string, subscriptionId: string, eventRecordedAt: number): string =>
  timeOrdered('dlv', eventRecordedAt, sha256(`${site.tenant}|${site.environment}|${eventId}|${subscriptionId}`));
