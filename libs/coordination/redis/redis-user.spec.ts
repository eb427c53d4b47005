import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { LeasesUnreachable } from '#coordination/leases';
import { openRedis } from '#coordination/redis';
import { parseRedisUrl } from '#coordination/redis-url';
import { isRefusal } from '#kernel';
import { textOf } from '../../../test/support/e2e/checkout.ts';
import { eventually } from '../../../test/support/e2e/eventually.ts';
import { reportOf } from '../../../test/support/process-board-contract.ts';
import { describeWithRedis, type RedisProcess, startRedis } from '../../../test/support/redis-process.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

/** What docs/operations.md says that a user of Redis must be allowed. */
const [, rights = ''] = /^ACL SETUSER countersign (.*)$/m.exec(textOf('docs/operations.md')) ?? [];

const step = { group: 'g', holder: 'a', keep: [], giveBack: [], upTo: 1, fenceSeen: 0, leaseMs: 50 } as const;

describeWithRedis('a user of Redis who may do what operations.md says', () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.dispose());

  /** Does once all that is done in Redis, as a user with these rights. Answers what was refused. */
  async function refusedTo(user: string, rightsOfUser: string): Promise<unknown> {
    await redis.client.flushall();
    await redis.client.call('ACL', 'SETUSER', user, ...rightsOfUser.split(' '));
    await redis.client.call('ACL', 'LOG', 'RESET');
    const target = parseRedisUrl(`redis://${user}:password@127.0.0.1:${redis.port}/1`);
    if (isRefusal(target)) throw new Error(target.detail);
    const coordination = openRedis(target, testClock(), 'log');
    const { leases, inFlight, processes } = coordination;
    try {
      await eventually('a connection', () => (coordination.trouble() === null ? true : undefined));
      await leases.step({ ...step, take: [], leaves: false });
      const held = await eventually('a lease', async () => (await leases.step({ ...step, take: ['x'], leaves: false })).held[0]);
      await leases.step({ ...step, giveBack: [held], take: [], leaves: true });
      expect(await inFlight.once('c', { attemptId: 'a', fingerprint: 'f' }, () => Promise.resolve('done'))).toBe('done');
      await processes.exchange(reportOf('a'));
      await processes.leave('a');
    } catch (error) {
      if (!(error instanceof LeasesUnreachable)) throw error;
    } finally {
      coordination.close();
    }
    return await redis.client.call('ACL', 'LOG');
  }

  it('may do all that is asked', async () => {
    expect(rights).toContain('-@all');
    expect(await refusedTo('countersign', rights)).toEqual([]);
  });

  it.each(rights.split(' ').flatMap((right) => /^\+(\w+)$/.exec(right)?.[1] ?? []))('needs %s for it', async (command) => {
    expect(await refusedTo(`without-${command}`, `${rights} -${command}`)).not.toEqual([]);
  });
});
