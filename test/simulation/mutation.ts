import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** How a run of the simulation ended. */
export interface Run {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs the simulation of a checkout in a process of its own. */
export function runSimulation(checkout: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', join(checkout, 'test/simulation/run.ts'), ...args], { cwd: checkout, env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? -1, output }));
  });
}

export const simulateHere = (args: readonly string[]): Promise<Run> => runSimulation(root, args);

/** Runs the simulation over a copy of the source in which one protection is switched off. */
export async function simulateMutant(mutant: Mutant, args: readonly string[]): Promise<Run> {
  const copy = mkdtempSync(join(tmpdir(), 'countersign-mutant-'));
  try {
    for (const part of ['libs', 'test/simulation', 'package.json']) cpSync(join(root, part), join(copy, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const file = join(copy, mutant.file);
    writeFileSync(file, mutant.edits.reduce((source, { find, replace }) => replaceOnce(source, find, replace, mutant.name), readFileSync(file, 'utf8')));
    return await runSimulation(copy, args);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function replaceOnce(source: string, find: string, replace: string, name: string): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`mutant "${name}": its text stands ${parts.length - 1} times in the source`);
  return parts.join(replace);
}
