import { sha256Hex, type Site } from '#kernel';
import { laneKey } from './lane.ts';

const count = 64;

/** The shares that processes divide dispatching into, 0 to 63; each is of whole subscriptions. */
export const partitions: readonly number[] = Array.from({ length: count }, (_, number) => number);

/** Which share a subscription belongs to, 0 to 63. Never to be changed: processes of two versions on one log would disagree. */
export const partitionOf = (site: Site, subscriptionId: string): number => Number.parseInt(sha256Hex(laneKey(site, subscriptionId)).slice(0, 2), 16) % count;
