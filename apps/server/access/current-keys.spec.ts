import { describe, expect, it } from '@jest/globals';
import { StoreUnavailable } from '#event-store';
import type { Principal } from '#kernel';
import type { ProjectionStatus } from '#read-models';
import { currentDirectory } from './current-keys.ts';

const ann: Principal = { type: 'USER', id: 'ann' };
const site = { tenant: 'acme', environment: 'production' };
const keys: ProjectionStatus = { name: 'api-keys', state: 'RUNNING', position: '10', behindMs: 0, poison: null };
const directoryWith = (status: readonly ProjectionStatus[]) => currentDirectory({ status: () => status, approversOf: () => Promise.resolve([ann]), ownersOf: () => Promise.resolve([ann]) });

describe('who holds keys', () => {
  it('is said while the read model of keys is at most 5 s behind', async () => {
    const directory = directoryWith([{ ...keys, behindMs: 5_000 }, { ...keys, name: 'deliveries', behindMs: 60_000 }]);
    expect(await directory.eligibleApprovers(site)).toEqual([ann]);
    expect(await directory.ownersOf({ type: 'AGENT', id: 'bot' })).toEqual([ann]);
  });

  it.each([
    ['further behind', [{ ...keys, behindMs: 5_001 }]],
    ['stopped', [{ ...keys, state: 'STOPPED' as const }]],
    ['not there', []],
  ])('is not known while that is %s: nobody is called not eligible for it, and no owner is left out of a chain', async (_how, status) => {
    const directory = directoryWith(status);
    await expect(directory.eligibleApprovers(site)).rejects.toThrow(StoreUnavailable);
    await expect(directory.ownersOf({ type: 'AGENT', id: 'bot' })).rejects.toThrow(StoreUnavailable);
  });

  it('is not known either when it was asked before the read model had caught up, and is answered afterwards', async () => {
    let behindMs = 60_000;
    const caughtUp = (): Promise<readonly Principal[]> => {
      behindMs = 0;
      return Promise.resolve([]);
    };
    const directory = currentDirectory({ status: () => [{ ...keys, behindMs }], approversOf: caughtUp, ownersOf: caughtUp });
    await expect(directory.eligibleApprovers(site)).rejects.toThrow(StoreUnavailable);
  });
});
