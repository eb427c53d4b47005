import type { InFlightLeases } from '#coordination/leases';
import type { EventStore } from '#event-store';
import type { Clock, Ids, Position, Principal, Refusal, Site } from '#kernel';
import type { SecretVault } from '#secret-vault';

/** Where approvals are looked up by what they are for; each is then loaded from its stream, so a late index refuses too much, never too little. */
export interface ApprovalIndex {
  /** Ids of approvals for this command type on this resource that may be usable. */
  candidates(site: Site, commandType: string, resourceId: string): Promise<readonly string[]>;
  /** Ids of the requester's open approvals for this command type on this resource. */
  openRequests(site: Site, commandType: string, resourceId: string, requester: Principal): Promise<readonly string[]>;
}

/** Who holds keys. */
export interface Directory {
  /** Every USER with a live key bound to them that has the site's `:approve`. */
  eligibleApprovers(site: Site): Promise<readonly Principal[]>;
  /** The owners of live keys bound to this principal. */
  ownersOf(principal: Principal): Promise<readonly Principal[]>;
}

/** Everything outside that commands touch, as ports. */
export interface World {
  readonly store: EventStore;
  readonly vault: SecretVault;
  readonly clock: Clock;
  readonly ids: Ids;
  /** The commands that are under way, here and in other processes as far as they can be asked. */
  readonly inFlight: InFlightLeases;
  readonly approvals: ApprovalIndex;
  /** Resolves when this process's read models have seen the position, or after `timeoutMs`. */
  readonly caughtUp: (position: Position, timeoutMs: number) => Promise<void>;
  readonly directory: Directory;
  /** Early answer on a target URL: a refusal `target-url-refused`, or undefined. */
  readonly refuseTarget: (url: string) => Promise<Refusal | undefined>;
  /** Whether a request of this delivery is under way in this process. */
  readonly isInFlight: (deliveryId: string) => boolean;
  /** Whether the history still has the delivery; what was dropped from it is gone for every purpose. */
  readonly isKept: (site: Site, deliveryId: string) => Promise<boolean>;
  /** Resolves when this process's dispatcher starts no attempt for the paused or deleted subscription any more. */
  readonly dispatcherHasSeen: (site: Site, subscriptionId: string, status: string) => Promise<void>;
}
