import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const cli = fileURLToPath(new URL('../../../dist/apps/cli/main.js', import.meta.url));

/** A `kf` that goes on until it is ended, in a process of its own. */
export class GoingOn {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  out = '';
  err = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'close');
    child.stdout?.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
  }

  static start(words: readonly string[], variables: Readonly<Record<string, string>>, stdin = ''): GoingOn {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...words], { env: { PATH: process.env['PATH'], HOME: '/nowhere', ...variables }, stdio: 'pipe' });
    child.stdin.end(stdin);
    return new GoingOn(child);
  }

  /** What it has said so far, as JSON lines. A line that a kill has cut off is none. */
  lines<Line>(): readonly Line[] {
    return this.out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);
  }

  /** All lines once there are so many. */
  said<Line>(count: number, withinMs?: number): Promise<readonly Line[]> {
    return eventually(`${count} lines`, () => (this.out.split('\n').length > count ? this.lines<Line>() : undefined), withinMs);
  }

  /** Sends the signal, and waits until it has ended. Answers its exit code; null when the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.code();
  }

  /** Waits until it ends by itself. */
  async code(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }
}
