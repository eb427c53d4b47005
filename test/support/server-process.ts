import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, closeSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A whole Countersign server, as it was built, in a process of its own on a free port of the loopback. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** The text of the root key. */
  readonly rootKey: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

export interface ServerOptions {
  readonly dataDir: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Options of Node, such as `--cpu-prof`. */
  readonly nodeArguments?: readonly string[];
  /** What to wait for; `listening` where it is not to be ready. */
  readonly until?: 'ready' | 'listening';
}

const startTimeoutMs = 30_000;
const fromSource = import.meta.url.endsWith('.ts');
const main = fromSource ? '../../dist/apps/server/main.js' : '../../apps/server/main.js';
/** How every server is started. */
const usualArguments = JSON.parse(readFileSync(new URL(fromSource ? '../../apps/server/node-arguments.json' : '../../../apps/server/node-arguments.json', import.meta.url), 'utf8')) as readonly string[];

/** Starts a server on the folder and waits until it is ready, unless told otherwise. What it says goes to `server.log` in the folder. */
export async function startServer({ dataDir, environment = {}, nodeArguments = [], until = 'ready' }: ServerOptions): Promise<ServerProcess> {
  const file = fileURLToPath(new URL(main, import.meta.url));
  if (!existsSync(file)) throw new Error(`${file} is not there: build first (npm run build)`);
  const logFile = join(dataDir, 'server.log');
  const output = openSync(logFile, 'a', 0o600);
  const said = statSync(logFile).size;
  const child = spawn(process.execPath, [...usualArguments, ...nodeArguments, file], {
    stdio: ['ignore', output, output],
    env: { PATH: process.env['PATH'], KF_DATA_DIR: dataDir, KF_PORT: '0', KF_ALLOW_TARGETS: 'loopback', ...environment },
  });
  closeSync(output);
  const ended = once(child, 'exit').then(() => undefined);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  const log = (): string => readFileSync(logFile).subarray(said).toString();
  try {
    const url = await untilReady(child, log, until === 'ready' ? isReady : isListening);
    return { url, pid: child.pid ?? 0, rootKey: rootKeyOf(dataDir, environment), kill: () => end('SIGKILL'), stop: () => end('SIGTERM'), ended };
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
}

/** That of the folder, where there is one. */
function rootKeyOf(dataDir: string, environment: Readonly<Record<string, string>>): string {
  const file = join(dataDir, 'root.key');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : (environment['KF_ROOT_KEY'] ?? '');
}

/** Its address, once it says that it is ready there. */
async function untilReady(child: ChildProcess, log: () => string, isReady: (url: string) => Promise<boolean>): Promise<string> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the server ended:\n${log()}`);
    const url = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(log())?.[0];
    if (url !== undefined && (await isReady(url))) return url;
    await delay(20);
  }
  throw new Error(`the server is not ready after ${startTimeoutMs} ms:\n${log()}`);
}

const answersAt = (path: string) => async (url: string): Promise<boolean> =>
  fetch(`${url}${path}`).then(
    (answer) => answer.ok,
    () => false,
  );
const isReady = answersAt('/health/ready');
const isListening = answersAt('/health/live');
