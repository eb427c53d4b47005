import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const setUp = fileURLToPath(new URL('../support/temporary-folders.mjs', import.meta.url));

/** A run that leaves a folder with a file in it behind, and ends like that. */
const runThat = (ends: string): string => `
  import { mkdtempSync, writeFileSync } from 'node:fs';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import setUp from '${setUp}';
  setUp();
  const folder = mkdtempSync(join(tmpdir(), 'left-'));
  writeFileSync(join(folder, 'file'), '');
  process.stdout.write(folder);
  ${ends}`;

it.each([
  ['when all is well', ''],
  ['when it fails', 'throw new Error("it failed")'],
  ['when it is broken off', 'setInterval(() => undefined, 1_000); process.kill(process.pid, "SIGINT")'],
])('a run of the tests takes with it what they leave in temporary folders: %s', async (_, ends) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', runThat(ends)], { stdio: ['ignore', 'pipe', 'ignore'] });
  let folder = '';
  child.stdout.on('data', (chunk: Buffer) => (folder += chunk.toString()));
  await once(child, 'close');
  expect(folder).toMatch(/countersign-tests-\w+\/left-/);
  expect(existsSync(dirname(folder))).toBe(false);
});

it('tests make their temporary folders below that one', () => {
  expect(tmpdir()).toMatch(/countersign-tests-\w+$/);
});
