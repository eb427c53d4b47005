// A process of its own that keeps its share of leases in Redis: `node leases-process.ts <url> <holder>`. Leases last a tenth as long as
// in production. Says on stdout what it gains and loses, one line each; SIGTERM makes it hand over.
import { startLeaseKeeper } from '#coordination/leases';
import { openRedis } from '#coordination/redis';
import { parseRedisUrl } from '#coordination/redis-url';
import { isRefusal } from '#kernel';
import { testClock } from './wall-clock.ts';

const [url = '', holder = ''] = process.argv.slice(2);
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const target = parseRedisUrl(url);
if (isRefusal(target)) throw new Error(target.detail);
const clock = testClock();
const redis = openRedis(target, clock, 'log');
const keeper = startLeaseKeeper({
  table: redis.leases,
  clock,
  group: 'partition',
  names: Array.from({ length: 64 }, (_, index) => String(index)),
  holder,
  onGained: ({ name }) => void say(`gained ${name}`),
  onLost: (name) => void say(`lost ${name}`),
  drained: (name) => {
    say(`drained ${name}`);
    return Promise.resolve();
  },
  onTrouble: () => undefined,
  times: { leaseMs: 1_500, trustMs: 1_000, renewEveryMs: 200, retryAfterMs: 50 },
});

process.once('SIGTERM', () => {
  void keeper.stop().then(() => redis.close());
});
