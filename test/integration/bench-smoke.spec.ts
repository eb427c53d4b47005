import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';

const bench = (...args: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url)), ...args], { timeout: 120_000 });

const measured = ['Pause and Resume, ungated', 'request an approval', 'grant it', 'Rotate, gated', 'publish one event', 'publish 100, deliver to 10', 'rebuild all read models'];
const ceilings = ['bare Nest + Fastify: validate a command', 'bare Nest + Fastify: validate an event', 'bare undici, both signatures', 'insert the same rows'];

describe('the benchmarks', () => {
  it('print every figure beside its ceiling, and what they were measured on', async () => {
    const { stdout } = await bench('--smoke');
    const lines = stdout.split('\n');
    expect(stdout).toMatch(/\d+ cores.*\n.*synchronous=FULL.*\n.*fdatasync/);
    for (const name of measured) expect(lines).toContainEqual(expect.stringMatching(new RegExp(`│ ${name}.*│ +[\\d,]+ │ +[\\d,]+ │.*│ +\\d+ % │`)));
    for (const name of ceilings) expect(stdout).toContain(name);
  }, 120_000);

  it('refuse a name that there is none of, and say which there are', async () => {
    const stderr = '--only takes commands, deliveries, rebuild; "rebuilt" is none of them. Did you mean "rebuild"?\nUsage: ';
    await expect(bench('--only', 'rebuilt')).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(stderr) as unknown });
  });
});
