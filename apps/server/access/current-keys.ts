import type { Directory } from '#command-pipeline';
import { StoreUnavailable } from '#event-store';
import type { ReadModels } from '#read-models';
import type { Projections } from '../parts.ts';

/** A read model that is further behind than this may not know of a key or of its revocation. */
const maxKeysBehindMs = 5_000;

const keysProjection = 'api-keys';

/** Whether this process knows which keys there are: until its read model has caught up, it refuses what depends on them. */
export function areKeysCurrent(projections: Pick<Projections, 'status'>): boolean {
  const status = projections.status().find(({ name }) => name === keysProjection);
  return status !== undefined && status.state !== 'STOPPED' && status.behindMs <= maxKeysBehindMs;
}

/**
 * Who holds keys. Rejects with `StoreUnavailable` while that is not known: nobody is kept out of a requester's chain, or called not
 * eligible, only because this process has not read so far.
 */
export function currentDirectory(readModels: Pick<ReadModels, 'status' | 'approversOf' | 'ownersOf'>): Directory {
  const whenCurrent = async <T>(ask: () => Promise<T>): Promise<T> => {
    // Before it is asked: what has been read meanwhile is not in the answer.
    if (!areKeysCurrent(readModels)) throw new StoreUnavailable('the read model of API keys is not current');
    return await ask();
  };
  return { eligibleApprovers: (site) => whenCurrent(() => readModels.approversOf(site)), ownersOf: (principal) => whenCurrent(() => readModels.ownersOf(principal)) };
}
