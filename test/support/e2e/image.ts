import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, cpSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkoutRoot, fileText, lastOf, type Stage, stagesOf, type Step } from '../packaging.ts';

/** A process as a container of the image would have it, but for the confinement. */
export interface Contained {
  readonly child: ChildProcess;
  /** What it has written, on both streams. */
  said(): string;
  /** How it ended: its exit code, or the signal that it did not take. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** The files of the image, as the Dockerfile says, made without a container engine. */
export interface Image {
  /** Runs a program in it, from its working folder; where we are root, as somebody who may write nothing but `dataDir`. */
  run(command: readonly string[], variables: Readonly<Record<string, string>>): Contained;
  readonly entrypoint: readonly string[];
  readonly healthcheck: readonly string[];
  /** A new folder that the image's user may write. */
  dataDir(): string;
  /** Where a path of the image is. */
  readonly path: (name: string) => string;
  remove(): Promise<void>;
}

/** Packages of a lockfile, each with what must be left out for it to be left out. */
type Lock = Readonly<Record<string, { readonly dev?: true; readonly optional?: true; readonly devOptional?: true }>>;
const omissions = { dev: ['dev'], optional: ['optional'], devOptional: ['dev', 'optional'] } as const;

/** Somebody who owns nothing. */
const nobody = 65_534;
const asNobody = process.getuid?.() === 0;

/** The same files under another name, but for what is in `except`; there are too many to copy. */
function link(from: string, to: string, except = ''): void {
  if (from === except) return;
  if (!statSync(from).isDirectory()) return linked(from, to);
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) link(join(from, name), join(to, name), except);
}

function linked(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    // The folder for temporary files is on another disk, or the file belongs to somebody else.
    if (!['EXDEV', 'EPERM'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
    copyFileSync(from, to);
  }
}

const nowhere: Stage = { from: '', name: '', steps: [] };

/** What the stages leave where the last one fetches it: the packages of an `npm ci` without these, and the build of the sources. */
const made: Readonly<Record<string, (stage: Stage, to: string) => void>> = {
  '/app/node_modules': (stage, to) => {
    const omitted = new Set(stage.steps.flatMap(({ args }) => args).flatMap((argument) => /^--omit=(\w+)$/.exec(argument)?.[1] ?? []));
    const { packages } = JSON.parse(fileText('package-lock.json')) as { readonly packages: Lock };
    for (const [path, locked] of Object.entries(packages)) {
      const isOut = Object.entries(omissions).some(([mark, kinds]) => mark in locked && kinds.every((kind) => omitted.has(kind)));
      if (path === '' || isOut) continue;
      // Packages in it are listed by themselves.
      const inner = join(checkoutRoot, path, 'node_modules');
      link(join(checkoutRoot, path), join(to, path.replace(/^node_modules\//, '')), inner);
    }
  },
  '/app/dist': (stage, to) => {
    for (const folder of stage.steps.filter(({ keyword }) => keyword === 'COPY').flatMap(({ args }) => args.slice(0, -1))) {
      if (['apps', 'libs'].includes(folder)) link(join(checkoutRoot, 'dist', folder), join(to, folder));
    }
  },
};

function copy(stages: readonly Stage[], { args, flags }: Step, at: (path: string) => string): void {
  const target = args.at(-1) ?? '';
  for (const source of args.slice(0, -1)) {
    const to = at(target.endsWith('/') ? join(target, source) : target);
    mkdirSync(dirname(to), { recursive: true });
    if (flags['from'] === undefined) cpSync(join(checkoutRoot, source), to, { recursive: true });
    else made[source]?.(stages.find(({ name }) => name === flags['from']) ?? nowhere, to);
    if (flags['chmod'] !== undefined) chmodSync(to, Number.parseInt(flags['chmod'], 8));
  }
}

/** The last stage of the Dockerfile, in a folder; answers where its paths are. */
function build(root: string, stages: readonly Stage[], last: Stage): Image['path'] {
  const workdir = join(root, lastOf(last, 'WORKDIR')?.args[0] ?? '');
  const at = (path: string): string => (path.startsWith('/') ? join(root, path) : join(workdir, path));
  const node = at('/usr/local/bin/node');
  mkdirSync(dirname(node), { recursive: true });
  link(process.execPath, node);
  for (const step of last.steps) if (step.keyword === 'COPY') copy(stages, step, at);
  // What names a place in the image means it there.
  const kf = at('/usr/local/bin/kf');
  writeFileSync(kf, readFileSync(kf, 'utf8').replaceAll(' /app/', ` ${at('/app/')}`));
  return at;
}

/** Makes it in a folder of its own. */
export function makeImage(): Image {
  const stages = stagesOf(fileText('Dockerfile'));
  const last = stages.at(-1) ?? nowhere;
  const root = mkdtempSync(join(tmpdir(), 'countersign-image-'));
  chmodSync(root, 0o755);
  const at = build(root, stages, last);
  const environment = { ...lastOf(last, 'ENV')?.sets, PATH: `${at('/usr/local/bin')}:/usr/bin:/bin` };
  return {
    entrypoint: lastOf(last, 'ENTRYPOINT')?.exec ?? [],
    healthcheck: lastOf(last, 'HEALTHCHECK')?.exec ?? [],
    path: at,
    dataDir: () => {
      const folder = mkdtempSync(join(root, 'data-'));
      if (asNobody) chownSync(folder, nobody, nobody);
      return folder;
    },
    run: ([program = '', ...args], variables) => {
      const child = spawn(at(`/usr/local/bin/${program}`), args, { cwd: at('.'), env: { ...environment, ...variables }, stdio: ['ignore', 'pipe', 'pipe'], ...(asNobody ? { uid: nobody, gid: nobody } : {}) });
      const chunks: Buffer[] = [];
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
      return { child, ended, said: () => Buffer.concat(chunks).toString() };
    },
    remove: () => rm(root, { recursive: true }),
  };
}
