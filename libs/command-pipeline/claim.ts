import type { Append, EventStore } from '#event-store';
import { type LedgerEvent, type Metadata, refuse, type Refusal, stored } from '#kernel';
import { toEvents } from './identity.ts';

/** What a key stands for, for ever. */
export type Claim = Extract<LedgerEvent, { type: 'CommandClaimed' }>['data'];

export async function readClaim(store: Pick<EventStore, 'readStream'>, stream: string): Promise<Claim | undefined> {
  const [first] = await store.readStream(stream, 0, 1);
  if (first === undefined) return undefined;
  const event = stored<LedgerEvent>(first);
  if (event.type !== 'CommandClaimed') throw new TypeError(`${stream} starts with ${event.type}`);
  return event.data;
}

/** What binds the key to this request, unless another attempt has bound it. */
export const claimAppend = (stream: string, claim: Claim, metadata: Metadata, eventId: string): Append => ({ stream, expected: 'NO_STREAM', events: toEvents([{ type: 'CommandClaimed', data: claim }], metadata, () => eventId) });

export const keyReused = (): Refusal => refuse('idempotency-key-reused', 'This idempotency key was used for another request. A retry repeats the request as it was; a new request takes a new key.');
export const keyInFlight = (): Refusal => refuse('idempotency-request-in-flight', 'A request with this idempotency key is under way. Try again in a moment.', { retryAfterSeconds: 1 });
export const outcomeUnknown = (): Refusal => refuse('outcome-unknown', 'The store did not say in time whether the command took effect. Send it again with the same idempotency key: it takes effect at most once, and the answer will be the true one.', { retryAfterSeconds: 1 });
export const storeUnavailable = (): Refusal => refuse('store-unavailable', 'The event store can\'t be reached; nothing was changed. Try again with the same idempotency key.', { retryAfterSeconds: 1 });
