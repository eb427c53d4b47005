// Makes a checkout ready to run: installs what is missing, builds what is stale. No dependency; Node 20 and later.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === 'win32';
const at = (...parts) => join(root, ...parts);

/** The pinned Node runtime that the install brings; every script below runs on it. */
export const pinnedNode = at('node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

function must(title, command, args) {
  process.stderr.write(`${title} …\n`);
  const run = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', shell: windows });
  if (run.status === 0) return;
  process.stderr.write(`${run.stdout ?? ''}${run.stderr ?? ''}\n${title}: failed (${command} ${args.join(' ')})\n`);
  process.exit(1);
}

function ensureInstalled() {
  const stamp = at('node_modules', '.countersign-installed');
  const wanted = sha256(read(at('package-lock.json')));
  if (read(stamp) === wanted && existsSync(pinnedNode)) return;
  // An install that is only linked here is another checkout's: `npm ci` would empty it under whoever uses it.
  if (existsSync(pinnedNode) && lstatSync(at('node_modules')).isSymbolicLink()) return;
  // Install scripts stay off (.npmrc); `node` is the one package whose script is needed: it brings the runtime.
  must('Installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund']);
  must('Installing the pinned Node runtime', 'npm', ['rebuild', 'node', '--ignore-scripts=false']);
  writeFileSync(stamp, wanted);
}

function* sources(dir) {
  for (const entry of readdirSync(at(dir), { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (!/\.spec\.ts$/.test(entry.name)) yield path;
  }
}

function sourceFingerprint() {
  const files = ['apps', 'libs', 'bench', join('test', 'support')].flatMap((dir) => (existsSync(at(dir)) ? [...sources(dir)] : []));
  files.push('tsconfig.json', 'tsconfig.build.json', 'nest-cli.json', 'package-lock.json');
  const lines = files.sort().map((file) => {
    const { size, mtimeMs } = statSync(at(file));
    return `${file} ${size} ${mtimeMs}`;
  });
  return sha256(lines.join('\n'));
}

function ensureBuilt() {
  const stamp = at('dist', '.built-from');
  const wanted = sourceFingerprint();
  if (read(stamp) === wanted) return;
  must('Building', pinnedNode, [at('node_modules', '@nestjs', 'cli', 'bin', 'nest.js'), 'build']);
  writeFileSync(stamp, wanted);
}

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const lock = at('.countersign-preparing');

function tryLock() {
  try {
    mkdirSync(lock);
    writeFileSync(join(lock, 'pid'), String(process.pid));
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** A lock whose owner is gone (or never wrote its id) is nobody's. */
function dropStaleLock() {
  const owner = Number(read(join(lock, 'pid')));
  const age = existsSync(lock) ? Date.now() - statSync(lock).mtimeMs : 0;
  if (owner ? !alive(owner) : age > 10_000) rmSync(lock, { recursive: true, force: true });
}

/** One preparation at a time: `npm start` and `npx kf` typed together must not build over each other. */
function withLock(work) {
  while (!tryLock()) {
    dropStaleLock();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  try {
    work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

export function ensureReady({ build = true } = {}) {
  withLock(() => {
    ensureInstalled();
    if (build) ensureBuilt();
  });
}

/** Runs a program on the pinned Node with our streams, hands signals on, and exits as it exits. */
export function runPinned(args, { env = process.env, cwd = process.cwd() } = {}) {
  const child = spawn(pinnedNode, args, { cwd, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}
