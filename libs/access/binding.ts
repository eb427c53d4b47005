import { type Actor, formatPrincipal, type Principal, refuse, type Refusal, samePrincipal } from '#kernel';

/** Who a key speaks for: one actor, or any (`boundTo` null), then perhaps with an actor for requests that name nobody. */
export interface KeyActors {
  readonly boundTo: Principal | null;
  readonly defaultActor: Principal | null;
}

/**
 * The actor of a request: the claimed one when the key may speak for it, the key's own when none is claimed. A bound key's
 * actor is written as the key has it, whatever the letter case of the claim. Refuses with `actor-not-allowed`.
 */
export function bindActor(key: KeyActors, claimed: Actor | undefined): Actor | Refusal<'actor-not-allowed'> {
  if (claimed === undefined) {
    return key.boundTo ?? key.defaultActor ?? refuse('actor-not-allowed', 'This key speaks for any actor and has no default one: name the actor.');
  }
  if (key.boundTo === null) return claimed;
  if (!samePrincipal(key.boundTo, claimed)) {
    return refuse('actor-not-allowed', `This key is bound to ${formatPrincipal(key.boundTo)}; it may not act as ${formatPrincipal(claimed)}.`);
  }
  return claimed.onBehalfOf === undefined ? key.boundTo : { ...key.boundTo, onBehalfOf: claimed.onBehalfOf };
}
