import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The text of a file of the checkout. */
export const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');

/** The blocks of the README that are marked so (`sh tour`), in their order. */
export const blocks = (mark: string): readonly string[] => [...textOf('README.md').matchAll(new RegExp(`^\`\`\`${mark}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, text = '']) => text);

/** A checkout whose data folder is its own. */
export function checkout(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-readme-'));
  for (const name of ['package.json', '.npmrc', 'bin', 'scripts', 'node_modules']) symlinkSync(join(root, name), join(folder, name));
  return folder;
}

export interface Shell {
  readonly child: ChildProcess;
  /** What it has written, on both streams. */
  said(): string;
}

/** What a person types into bash, in a process group of its own. */
export function bash(script: string, cwd: string, variables: Readonly<Record<string, string>>): Shell {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], { cwd, env: { PATH: process.env['PATH'], HOME: cwd, ...variables }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { child, said: () => Buffer.concat(chunks).toString() };
}

/** Ends a shell with everything it has started. */
export async function end(shell: Shell | undefined): Promise<void> {
  if (shell?.child.pid === undefined) return;
  const { child } = shell;
  try {
    process.kill(-shell.child.pid, 'SIGTERM');
  } catch (error) {
    // Everything in it has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Waits for a shell to end by itself; ends it when that takes longer. Answers its exit code. */
export async function exitOf(shell: Shell, withinMs: number): Promise<number | null> {
  const giveUp = setTimeout(() => void end(shell), withinMs);
  const [exitCode] = (await once(shell.child, 'exit')) as [number | null];
  clearTimeout(giveUp);
  return exitCode;
}

export async function freePorts(count: number): Promise<readonly string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => String((server.address() as AddressInfo).port));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export const startWithinMs = 60_000;

/** Starts the server as the README's tour does, on a port of its own and told what else it needs, and waits until it says that it listens. */
export async function tourServer(folder: string, port: string, environment: Readonly<Record<string, string>>): Promise<Shell> {
  const server = bash(blocks('sh tour server').join(''), folder, { KF_PORT: port, ...environment });
  for (const deadline = performance.now() + startWithinMs; !server.said().includes(`listens on http://127.0.0.1:${port}`); await delay(50)) {
    if (server.child.exitCode !== null || performance.now() > deadline) throw new Error(`the server did not start:\n${server.said()}`);
  }
  return server;
}
