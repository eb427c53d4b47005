import { type EventStore } from '#event-store';
import { type Clock, type LedgerEvent, type Metadata, refuse, type Refusal, stored } from '#kernel';
import { appendUntilKnown } from './append.ts';
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

/**
 * Binds the key to this request, unless another attempt of the same request has. Nothing is bound when it answers
 * `unavailable`; after `unknown` it may be, to this very request, which a retry will find.
 */
export async function claimKey(store: EventStore, clock: Clock, stream: string, claim: Claim, metadata: Metadata, eventId: string, deadlineMs: number): Promise<Refusal | undefined> {
  const events = toEvents([{ type: 'CommandClaimed', data: claim }], metadata, () => eventId);
  const appended = await appendUntilKnown(store, clock, stream, 'NO_STREAM', events, deadlineMs);
  if (appended === 'unknown') return outcomeUnknown();
  if (appended === 'unavailable') return storeUnavailable();
  if (appended !== 'conflict') return undefined;
  const winner = await readClaim(store, stream);
  if (winner?.fingerprint !== claim.fingerprint) return keyReused();
  // Another process has settled on another resource (it knew of an identical open request, or did not): the claim decides.
  return winner.resourceId === claim.resourceId ? undefined : keyInFlight();
}

export const keyReused = (): Refusal => refuse('idempotency-key-reused', 'This idempotency key was used for another request. A retry repeats the request as it was; a new request takes a new key.');
export const keyInFlight = (): Refusal => refuse('idempotency-request-in-flight', 'A request with this idempotency key is under way. Try again in a moment.', { retryAfterSeconds: 1 });
export const outcomeUnknown = (): Refusal => refuse('outcome-unknown', 'The store did not say in time whether the command took effect. Send it again with the same idempotency key: it takes effect at most once, and the answer will be the true one.', { retryAfterSeconds: 1 });
export const storeUnavailable = (): Refusal => refuse('store-unavailable', 'The event store can\'t be reached; nothing was changed. Try again with the same idempotency key.', { retryAfterSeconds: 1 });
