import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { LeasesUnreachable } from '#coordination/leases';
import { reportStandsMs } from '#coordination/processes';
import { openRedis, type RedisCoordination } from '#coordination/redis';
import { parseRedisUrl } from '#coordination/redis-url';
import { isRefusal } from '#kernel';
import { eventually } from '../../../test/support/e2e/eventually.ts';
import { processBoardContract, reportOf } from '../../../test/support/process-board-contract.ts';
import { describeWithRedis, type RedisProcess, startRedis } from '../../../test/support/redis-process.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

const key = 'countersign:log:processes';

describeWithRedis('the board of processes in Redis', () => {
  let redis: RedisProcess;
  let open: RedisCoordination[];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.dispose());
  beforeEach(async () => {
    open = [];
    await redis.client.flushall();
  });
  // Also of a test that failed: what is open connects again for ever.
  afterEach(() => open.forEach((coordination) => coordination.close()));

  async function connected(): Promise<RedisCoordination> {
    const target = parseRedisUrl(`redis://127.0.0.1:${redis.port}`);
    if (isRefusal(target)) throw new Error(target.detail);
    const coordination = openRedis(target, testClock(), 'log');
    open.push(coordination);
    await eventually('a connection', () => (coordination.trouble() === null ? true : undefined));
    return coordination;
  }

  processBoardContract('Redis', async () => {
    const { processes } = await connected();
    return { board: processes, pass: (ms) => redis.pass(ms), dispose: () => Promise.resolve() };
  });

  it('is seen by all, and gone when nobody says anything any more', async () => {
    const [one, other] = [await connected(), await connected()];
    await one.processes.exchange(reportOf('a'));
    expect(await other.processes.exchange(reportOf('b'))).toHaveLength(2);
    const leftMs = await redis.client.pttl(key);
    expect(leftMs).toBeGreaterThan(reportStandsMs - 5_000);
    expect(leftMs).toBeLessThanOrEqual(reportStandsMs);
    await one.processes.leave('a');
    await other.processes.leave('b');
    expect(await redis.client.exists(key)).toBe(0);
  });

  it('forgets in time also when the clock of the server was set back', async () => {
    const { processes } = await connected();
    await processes.exchange(reportOf('a'));
    await redis.pass(-3_600_000);
    expect(await processes.exchange(reportOf('b'))).toMatchObject([{ ageMs: 0 }, { ageMs: 0 }]);
    await redis.pass(reportStandsMs);
    expect(await processes.exchange(reportOf('b'))).toMatchObject([{ id: 'b' }]);
  });

  it('leaves out what it can not read: of another version, or of nobody', async () => {
    const { processes } = await connected();
    const [secondsText = '0'] = await redis.client.time();
    const said = { next: { ...reportOf('c'), partitions: '0-63' }, more: { ...reportOf('d'), mood: 'good' }, none: 'x', position: { ...reportOf('e'), position: '-1' } };
    for (const [id, report] of Object.entries(said)) await redis.client.hset(key, `process:${id}`, `${secondsText}000 ${JSON.stringify(report)}`);
    await redis.client.hset(key, 'process:cut', `${secondsText}000 {"id":`);
    await redis.client.hset(key, 'other', 'no time in it');
    const heard = await processes.exchange(reportOf('a'));
    expect(heard.map(({ id }) => id).sort()).toEqual(['a', 'd']);
    expect(await redis.client.hexists(key, 'other')).toBe(0);
  });

  it('is unreachable while Redis is', async () => {
    const { processes } = await connected();
    await redis.kill();
    await expect(processes.exchange(reportOf('a'))).rejects.toThrow(LeasesUnreachable);
    await expect(processes.leave('a')).rejects.toThrow(LeasesUnreachable);
    await redis.start();
    await eventually('an answer', () => processes.exchange(reportOf('a')).catch(() => undefined));
  }, 30_000);
});
