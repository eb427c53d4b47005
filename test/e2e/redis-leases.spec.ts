import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '../support/e2e/eventually.ts';
import { describeWithRedis, type RedisProcess, startRedis } from '../support/redis-process.ts';

const program = fileURLToPath(new URL('../../dist/test/support/leases-process.js', import.meta.url));
const partitions = 64;

describeWithRedis('processes of the build that divide leases in Redis', () => {
  let redis: RedisProcess;
  const started: ChildProcess[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    for (const child of started) child.kill('SIGKILL');
    await redis.dispose();
  });

  /** A process, and what it holds as far as it has said. */
  function start(holder: string): { readonly child: ChildProcess; readonly held: Set<string>; readonly lost: string[] } {
    const child = spawn(process.execPath, ['--enable-source-maps', program, `redis://127.0.0.1:${redis.port}`, holder], { stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(child);
    const held = new Set<string>();
    const lost: string[] = [];
    let rest = '';
    child.stdout.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const [word, name = ''] of lines.map((line) => line.split(' '))) {
        if (word === 'gained') held.add(name);
        else held.delete(name);
        if (word === 'lost') lost.push(name);
      }
    });
    return { child, held, lost };
  }

  it('hand over at SIGTERM, and take over from one that was killed', async () => {
    const [a, b] = [start('a'), start('b')];
    await eventually('both to have their share', () => (a.held.size === partitions / 2 && b.held.size === partitions / 2 ? true : undefined), 30_000);
    a.child.kill('SIGKILL');
    await eventually('the other to take over', () => (b.held.size === partitions ? true : undefined), 20_000);
    const c = start('c');
    await eventually('a new one to get its share', () => (c.held.size === partitions / 2 && b.held.size === partitions / 2 ? true : undefined), 20_000);
    b.child.kill('SIGTERM');
    expect(await once(b.child, 'exit')).toEqual([0, null]);
    await eventually('the last to have all', () => (c.held.size === partitions ? true : undefined), 20_000);
    expect([b.held.size, b.lost, c.lost]).toEqual([0, [], []]);
    c.child.kill('SIGTERM');
    expect(await once(c.child, 'exit')).toEqual([0, null]);
  }, 90_000);
});
