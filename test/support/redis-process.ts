import { spawnSync } from 'node:child_process';
import { describe, it } from '@jest/globals';

export { type RedisProcess, startRedis } from './redis-server.ts';

const installed = spawnSync('redis-server', ['--version']).status === 0;

/** Tests against a real Redis, or one line that says why they are left out on this machine. */
export function describeWithRedis(name: string, tests: () => void): void {
  if (installed) describe(name, tests);
  else describe.skip('no redis-server on this machine: apt-get install redis-server', () => it(name, () => undefined));
}
