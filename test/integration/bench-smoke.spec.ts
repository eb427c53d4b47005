import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { scenarios } from '../../bench/scenarios.ts';
import { textOf } from '../support/e2e/checkout.ts';

const maxMs = 600_000;
const bench = (...args: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url)), ...args], { timeout: maxMs });

const names = scenarios.map(({ name }) => name);
/** Lines that have a ceiling, and what that is. */
const measured = [
  'Pause and Resume, ungated', 'request an approval', 'grant it', 'Rotate, gated (finds the approval itself)', 'publish one event', 'publish batches of 100, per event',
  'publish in batches, deliver to 10, AT_LEAST_ONCE', 'publish in batches, deliver to 10, BEST_EFFORT', 'publish in batches, deliver to 10, ORDERED', 'drain a backlog of 1,000, AT_LEAST_ONCE', 'rebuild all read models',
];
const ceilings = ['bare Nest + Fastify: validate a command', 'bare Nest + Fastify: validate one event', 'bare Nest + Fastify: validate batches of 100', 'bare undici, both signatures', 'insert the same rows'];
const timed = ['straight to the receiver, at 10 %', 'publish to receive, at 10 %', 'publish to receive, at 80 %', 'good receivers, and nobody else', 'good receivers, with 200 healthy', 'good receivers, with 200 bad', 'small tenant, alone', 'small tenant, beside one that publishes 5,000'];

interface Line {
  readonly name: string;
  readonly cells: Readonly<Record<string, string>>;
}

function linesOf(markdown: string): readonly Line[] {
  const [heads = [], , ...rows] = markdown.split('\n').filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  return rows.map((row) => ({ name: row[1] ?? '', cells: Object.fromEntries(row.map((cell, index) => [heads[index] ?? '', cell])) }));
}

describe('the benchmarks', () => {
  it('print every figure of every scenario, beside its ceiling where it has one, and what they were measured on', async () => {
    const { stdout } = await bench('--smoke', '--markdown');
    const lines = linesOf(stdout);
    const line = (name: string): Line['cells'] => lines.find((one) => one.name.startsWith(name))?.cells ?? {};
    expect(stdout).toMatch(/\d+ cores.*\n.*synchronous=FULL.*\n.*fdatasync/);
    expect(lines.flatMap(({ cells }) => cells['scenario'] || [])).toEqual(names);
    for (const name of measured) expect([name, line(name)]).toEqual([name, expect.objectContaining({ 'per second': expect.stringMatching(/^[\d,]+$/) as unknown, beside: expect.stringMatching(/^\d+ % of ceiling$/) as unknown })]);
    for (const name of ceilings) expect([name, line(name)['per second']]).toEqual([name, expect.stringMatching(/^[\d,]+$/)]);
    for (const name of timed) expect([name, line(name)]).toEqual([name, expect.objectContaining({ 'p50 ms': expect.stringMatching(/^\d+\.\d$/) as unknown, 'p99 ms': expect.stringMatching(/^\d+\.\d$/) as unknown })]);
    expect(line('500 deliveries wait')['beside']).toMatch(/^first attempt \d+\.\d s after the start/);
    for (const name of ['good receivers, with 200 healthy', 'good receivers, with 200 bad']) expect([name, line(name)['beside']]).toEqual([name, expect.stringMatching(/^p99 \d+\.\d × without$/)]);
  }, maxMs);

  it('print a table for people, of what was asked for', async () => {
    const { stdout } = await bench('--smoke', '--only', 'rebuild');
    expect(stdout).toMatch(/│ rebuild +│ insert the same rows in \d+ transactions/);
    expect(stdout).toMatch(/│ rebuild all read models +│.*│ \d+ % of ceiling +│/);
    expect(stdout).toContain('This was a short run');
    expect(stdout).not.toContain('publish');
  }, maxMs);

  it('refuse a name that there is none of, and say which there are', async () => {
    const stderr = `--only takes ${names.join(', ')}; "rebuilt" is none of them. Did you mean "rebuild"?\nUsage: `;
    await expect(bench('--only', 'rebuilt')).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(stderr) as unknown });
  });

  it('are all explained in docs/benchmarks.md', () => {
    const explained = [...textOf('docs/benchmarks.md').matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name);
    expect(explained).toEqual(names);
  });
});
