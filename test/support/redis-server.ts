import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePorts } from './e2e/checkout.ts';

/** A real redis-server in a process of its own, on the loopback, that keeps nothing. */
export interface RedisProcess {
  readonly port: string;
  /** For what a test does to the server behind the back of those under test. */
  readonly client: Redis;
  /** All that is stored becomes older by so much: leases, members, what processes said, keys that run out. */
  pass(ms: number): Promise<void>;
  /** It answers nothing, and its connections stay, until `resume`. */
  pause(): void;
  resume(): void;
  /** `kill -9`: it forgets everything. */
  kill(): Promise<void>;
  /** Starts it again on its port. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  dispose(): Promise<void>;
}

/** Starts one on a free port; `--sentinel` among the settings makes it a Sentinel. */
export async function startRedis(settings: readonly string[] = [], password = ''): Promise<RedisProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-redis-'));
  const [port = ''] = await freePorts(1);
  const secured = password === '' ? [] : ['--requirepass', password];
  let child = await run(folder, port, [...secured, ...settings]);
  const client = new Redis({ port: Number(port), host: '127.0.0.1', ...(password === '' ? {} : { password }), retryStrategy: () => 20, disconnectTimeout: 200 });
  client.on('error', () => undefined);
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return {
    port,
    client,
    pass: async (ms) => {
      await client.eval(older, 0, ms);
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    kill: end,
    start: async () => {
      child = await run(folder, port, [...secured, ...settings]);
    },
    dispose: async () => {
      client.disconnect();
      await end();
      await rm(folder, { recursive: true });
    },
  };
}

async function run(folder: string, port: string, settings: readonly string[]): Promise<ChildProcess> {
  const file = join(folder, 'redis.conf');
  // A Sentinel writes down in it what it knows.
  writeFileSync(file, '');
  const keepsNothing = settings.includes('--sentinel') ? [] : ['--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', [file, '--port', port, '--bind', '127.0.0.1', '--dir', folder, ...keepsNothing, ...settings], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => {
      said += text.toString();
      if (/Ready to accept connections|Sentinel ID is/.test(said)) resolve();
    });
    child.once('exit', () => reject(new Error(`redis-server ended:\n${said}`)));
    child.once('error', reject);
  });
  return child;
}

const older = `
local by = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'hash' then
    local fields = redis.call('HGETALL', key)
    for i = 1, #fields, 2 do
      local field, value = fields[i], fields[i + 1]
      local fence, rest = '', value
      local holder = ''
      if string.match(field, '^lease:') then fence, rest, holder = string.match(value, '^(%d+ )(%d+)( .*)$') end
      if string.match(field, '^process:') then rest, holder = string.match(value, '^(%d+)( .*)$') end
      if field == 'since' or string.match(field, '^member:') or holder ~= '' then
        redis.call('HSET', key, field, fence .. string.format('%.0f', tonumber(rest) - by) .. holder)
      end
    end
  elseif redis.call('PTTL', key) > 0 then
    local left = redis.call('PTTL', key) - by
    if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
  end
end
return 0`;
