import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { createLeaseTable, type HeldLease, type LeaseKeeper, type LeaseKeeperParts, LeasesUnreachable, type LeaseTimes, startLeaseKeeper } from '#coordination/leases';
import { openRedis, type RedisCoordination } from '#coordination/redis';
import { parseRedisUrl } from '#coordination/redis-url';
import { isRefusal } from '#kernel';
import fc from 'fast-check';
import { eventually } from '../../../test/support/e2e/eventually.ts';
import { leaseMs, leasesContract, stepOf } from '../../../test/support/leases-contract.ts';
import { reportOf } from '../../../test/support/process-board-contract.ts';
import { describeWithRedis, type RedisProcess, startRedis } from '../../../test/support/redis-process.ts';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';
import { testClock } from '../../../test/support/wall-clock.ts';

const names = Array.from({ length: 8 }, (_, index) => String(index));
/** As in production, a tenth as long. */
const quick: LeaseTimes = { leaseMs: 1_500, trustMs: 1_000, renewEveryMs: 100, retryAfterMs: 50 };

const opened: RedisCoordination[] = [];
// Also of a test that failed: what is open connects again for ever.
afterEach(() => {
  for (const coordination of opened.splice(0)) coordination.close();
});

function open(url: string, log = 'log'): RedisCoordination {
  const target = parseRedisUrl(url);
  if (isRefusal(target)) throw new Error(target.detail);
  const coordination = openRedis(target, testClock(), log);
  opened.push(coordination);
  return coordination;
}

async function connected(url: string, log?: string): Promise<RedisCoordination> {
  const coordination = open(url, log);
  await eventually('a connection', () => (coordination.trouble() === null ? true : undefined));
  return coordination;
}

describeWithRedis('Redis', () => {
  let redis: RedisProcess;
  const url = (): string => `redis://127.0.0.1:${redis.port}`;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.dispose());

  leasesContract('Redis', async () => {
    await redis.client.flushall();
    const coordination = await connected(url());
    return { ...coordination, pass: (ms) => redis.pass(ms), dispose: () => Promise.resolve(coordination.close()) };
  });

  it('keeps the processes on one log apart from those on another', async () => {
    await redis.client.flushall();
    const [one, other] = [await connected(url()), await connected(url(), 'another')];
    for (const { leases } of [one, other]) await leases.step(stepOf('a', {}));
    await redis.pass(leaseMs);
    expect(await one.leases.step(stepOf('b', { take: ['1'] }))).toMatchObject({ held: [{ name: '1' }], members: ['b'] });
    expect(await other.leases.step(stepOf('c', { take: ['1'] }))).toMatchObject({ held: [{ name: '1' }], members: ['c'] });
    const attempt = { attemptId: 'a', fingerprint: 'f' };
    expect(await one.inFlight.once('1', attempt, () => other.inFlight.once('1', attempt, () => Promise.resolve('done')))).toBe('done');
    await one.processes.exchange(reportOf('b'));
    expect(await other.processes.exchange(reportOf('c'))).toMatchObject([{ id: 'c' }]);
  });

  it('decides as the leases in one process do, whatever is asked in whatever order', async () => {
    const coordination = await connected(url());
    const holder = fc.constantFrom('a', 'b', 'c');
    const some = fc.subarray(names);
    const steps = fc.array(fc.record({ holder, keeps: some, gives: some, takes: some, upTo: fc.nat(8), leaves: fc.boolean(), passMs: fc.constantFrom(0, 0, 4_000, 8_000, 12_000, 16_000) }), { maxLength: 15 });
    await fc.assert(
      fc.asyncProperty(steps, async (asked) => {
        await redis.client.flushall();
        const clock = simulatedClock();
        const memory = createLeaseTable(clock);
        const known = { redis: new Map<string, HeldLease>(), memory: new Map<string, HeldLease>() };
        for (const { holder: by, keeps, gives, takes, upTo, leaves, passMs } of asked) {
          await Promise.all([redis.pass(passMs), clock.advance(passMs)]);
          const views = await Promise.all(
            ([[coordination.leases, known.redis], [memory, known.memory]] as const).map(async ([table, mine]) => {
              const has = (list: readonly string[]): HeldLease[] => list.flatMap((name) => mine.get(`${by} ${name}`) ?? []);
              const view = await table.step(stepOf(by, { keep: has(keeps.filter((name) => !gives.includes(name))), giveBack: has(gives), take: takes.filter((name) => !keeps.includes(name)), upTo, leaves }));
              for (const lease of view.held) mine.set(`${by} ${lease.name}`, lease);
              return { held: view.held.map(({ name }) => name), members: view.members };
            }),
          );
          expect(views[0]).toEqual(views[1]);
        }
      }),
      { numRuns: 60 },
    );
    coordination.close();
  }, 60_000);

  it('gives of ten that ask at once for the same lease to one', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => connected(url())));
    await redis.client.flushall();
    await all[0]?.leases.step(stepOf('nobody', { leaves: true }));
    await redis.pass(leaseMs);
    const views = await Promise.all(all.map(({ leases }, index) => leases.step(stepOf(`p${index}`, { take: names }))));
    expect(views.flatMap(({ held }) => held.map(({ name }) => name)).sort()).toEqual(names);
    expect(views.filter(({ held }) => held.length > 0).length).toBe(1);
    for (const coordination of all) coordination.close();
  });

  it('never gives longer than a lease lasts, also when the clock of the server was set back', async () => {
    const coordination = await connected(url());
    await redis.client.flushall();
    await coordination.leases.step(stepOf('a', { keep: [{ name: '1', fence: 1 }] }));
    await redis.pass(-3_600_000);
    expect(await coordination.leases.step(stepOf('b', { take: ['1'] }))).toMatchObject({ held: [], members: ['a', 'b'] });
    await redis.pass(leaseMs);
    expect(await coordination.leases.step(stepOf('b', { take: ['1'] }))).toMatchObject({ held: [{ name: '1' }], members: ['b'] });
    coordination.close();
  });
});

describeWithRedis('a Redis that fails', () => {
  let redis: RedisProcess;
  let processes: { readonly coordination: RedisCoordination; readonly keeper: LeaseKeeper; readonly told: string[] }[];
  const password = 'hunter2&friends';
  beforeEach(async () => {
    redis = await startRedis([], password);
    processes = [];
  });
  afterEach(async () => {
    redis.resume();
    await Promise.all(processes.map(({ keeper }) => keeper.stop()));
    for (const { coordination } of processes) coordination.close();
    await redis.dispose();
  });
  const url = (): string => `redis://:${encodeURIComponent(password)}@127.0.0.1:${redis.port}`;

  async function start(holder: string, parts: Partial<LeaseKeeperParts> = {}): Promise<void> {
    const coordination = await connected(url());
    const told: string[] = [];
    const keeper = startLeaseKeeper({
      table: coordination.leases, clock: testClock(), group: 'partition', names, holder, times: quick,
      onGained: ({ name }) => void told.push(`gained ${name}`), onLost: (name) => void told.push(`lost ${name}`),
      drained: () => Promise.resolve(), onTrouble: ({ message }) => void told.push(message), ...parts,
    });
    processes.push({ coordination, keeper, told });
  }
  const counts = (): number[] => processes.map(({ keeper }) => names.filter((name) => keeper.held(name)).length);
  const untilDivided = async (): Promise<unknown> => await eventually(`all leases divided, not ${counts().join()}`, () => (counts().every((count) => count === names.length / processes.length) ? true : undefined), 20_000);
  const twice = (): string[] => names.filter((name) => processes.filter(({ keeper }) => keeper.held(name)).length > 1);
  const lost = (): string[] => processes.flatMap(({ told }) => told.filter((line) => line.startsWith('lost')));

  it('loses no holder a lease when it is emptied, nor when it is killed and started again', async () => {
    await start('a');
    await start('b');
    await untilDivided();
    await redis.client.flushall();
    await start('c');
    expect(twice()).toEqual([]);
    await redis.kill();
    await redis.start();
    await eventually('connections', () => (processes.every(({ coordination }) => coordination.trouble() === null) ? true : undefined));
    expect([twice(), lost()]).toEqual([[], []]);
    expect(counts().reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    await eventually('all held again', () => (counts().reduce((sum, count) => sum + count, 0) === names.length && counts().every((count) => count >= 2) ? true : undefined), 20_000);
    expect([twice(), lost()]).toEqual([[], []]);
  }, 60_000);

  it('is no longer relied on when it hangs, and again when it answers', async () => {
    await start('a');
    await start('b');
    await untilDivided();
    redis.pause();
    await eventually('all lost', () => (counts().every((count) => count === 0) ? true : undefined));
    await eventually('told of it', () => (lost().length === names.length ? true : undefined));
    redis.resume();
    await untilDivided();
    expect(twice()).toEqual([]);
  }, 60_000);

  it('costs commands some tens of milliseconds at most, and their courtesy', async () => {
    const coordination = await connected(url());
    const timed = async (commandId: string): Promise<{ answer: string; ms: number }> => {
      const startedMs = performance.now();
      const answer = await coordination.inFlight.once(commandId, { attemptId: commandId, fingerprint: 'f' }, () => Promise.resolve('done'));
      return { answer, ms: performance.now() - startedMs };
    };
    redis.pause();
    const first = await timed('1');
    const next = await Promise.all(Array.from({ length: 200 }, (_, index) => timed(`n${index}`)));
    expect(first.answer).toBe('done');
    expect(first.ms).toBeLessThan(400);
    // While an answer is overdue nobody waits for another.
    expect(next.map(({ answer }) => answer)).toEqual(next.map(() => 'done'));
    expect(Math.max(...next.map(({ ms }) => ms))).toBeLessThan(35);
    redis.resume();
    // Nor is anything sent that would only pile up.
    const sets = Number(/cmdstat_set:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0);
    expect(sets).toBeLessThanOrEqual(1);
    await eventually('the lease that was taken late to be released', async () => ((await redis.client.exists('countersign:log:in-flight:1')) === 0 ? true : undefined));
    await redis.kill();
    expect(await timed('2')).toMatchObject({ answer: 'done' });
    await eventually('it to be noticed', () => coordination.trouble() ?? undefined);
    expect((await timed('3')).ms).toBeLessThan(35);
    coordination.close();
  }, 30_000);

  it('answers who asks before it is connected, with the reason where it can’t be', async () => {
    const coordination = open(url());
    expect(await coordination.leases.step(stepOf('a', { leaves: true }))).toMatchObject({ held: [] });
    await expect(open('redis://127.0.0.1:1').leases.step(stepOf('a'))).rejects.toThrow('Redis at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1');
  });

  it('connects again by itself, and says in between why it can not be asked', async () => {
    const coordination = await connected(url());
    await redis.kill();
    expect(await eventually('the reason', () => (coordination.trouble()?.includes('ECONNREFUSED') === true ? (coordination.trouble() ?? undefined) : undefined))).toBe(`Redis at 127.0.0.1:${redis.port}: connect ECONNREFUSED 127.0.0.1:${redis.port}`);
    await expect(coordination.leases.step(stepOf('a'))).rejects.toThrow(LeasesUnreachable);
    await redis.start();
    await eventually('a connection', () => (coordination.trouble() === null ? true : undefined));
    expect(await coordination.leases.step(stepOf('a'))).toMatchObject({ members: ['a'] });
    coordination.close();
  }, 30_000);

  it('shows no password that a server repeats', async () => {
    const server = createServer((socket) => socket.on('data', () => socket.write(`-ERR ${password} is wrong\r\n`)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const coordination = open(url().replace(`:${redis.port}`, `:${(server.address() as AddressInfo).port}`));
    expect(await eventually('the refusal', () => (coordination.trouble()?.includes('wrong') === true ? (coordination.trouble() ?? undefined) : undefined))).toContain('ERR [redacted] is wrong');
    coordination.close();
    server.close();
  });

  it('shows no password in what it says, nor in what is behind its errors', async () => {
    const wrong = 'hunter3&foes';
    const coordination = open(`redis://me:${encodeURIComponent(wrong)}@127.0.0.1:${redis.port}`);
    const said = await eventually('a refusal', () => (coordination.trouble()?.includes('WRONGPASS') === true ? (coordination.trouble() ?? undefined) : undefined));
    const error: unknown = await coordination.leases.step(stepOf('a')).catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(LeasesUnreachable);
    expect((error as Error).cause).toBeUndefined();
    for (const text of [said, (error as Error).message, JSON.stringify(coordination)]) expect(text).not.toMatch(/hunter/);
    coordination.close();
    const other = await connected(url());
    await redis.client.call('ACL', 'SETUSER', 'default', '-eval');
    await expect(other.leases.step(stepOf('a'))).rejects.toThrow(/^Redis at 127\.0\.0\.1:\d+: NOPERM [\w ']+$/);
    await redis.client.call('ACL', 'SETUSER', 'default', '+eval');
    other.close();
  }, 30_000);
});

describeWithRedis('Redis behind Sentinels', () => {
  it('is found by the name of its master, and found again after a failover; what the new one may not know is given to nobody', async () => {
    const first = await startRedis();
    const second = await startRedis(['--replicaof', `127.0.0.1 ${first.port}`]);
    const sentinel = await startRedis(['--sentinel']);
    try {
      await sentinel.client.call('SENTINEL', 'MONITOR', 'mymaster', '127.0.0.1', first.port, '1');
      await eventually('the replica to be known', async () => (((await sentinel.client.call('SENTINEL', 'REPLICAS', 'mymaster')) as unknown[]).length > 0 ? true : undefined), 20_000);
      const coordination = await connected(`redis+sentinel://127.0.0.1:${sentinel.port}/mymaster`);
      await coordination.leases.step(stepOf('a', { keep: [{ name: '1', fence: 1 }] }));
      await eventually('the replica to have it', async () => ((await second.client.exists('countersign:log:leases:partition')) === 1 ? true : undefined));
      await first.pass(leaseMs);
      await eventually('a failover', async () => await sentinel.client.call('SENTINEL', 'FAILOVER', 'mymaster').then(() => true, () => undefined), 20_000);
      const master = async (): Promise<string | undefined> => /role:(\w+)/.exec(await second.client.info('replication'))?.[1];
      await eventually('the replica to be master', async () => ((await master()) === 'master' ? true : undefined), 20_000);
      const view = await eventually('an answer of the new master', async () => {
        const answer = await coordination.leases.step(stepOf('b', { take: ['2'] })).catch(() => undefined);
        return answer !== undefined && (await second.client.hexists('countersign:log:leases:partition', 'member:b')) === 1 ? answer : undefined;
      }, 20_000);
      expect(view.held).toEqual([]);
      coordination.close();
    } finally {
      await Promise.all([sentinel.dispose(), second.dispose(), first.dispose()]);
    }
  }, 90_000);
});
