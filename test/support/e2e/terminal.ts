import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Body } from './api.ts';

const cli = fileURLToPath(new URL('../../../dist/apps/cli/main.js', import.meta.url));
const timeoutMs = 30_000;

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What stdout says, when it is one JSON object. */
  readonly json: Body;
}

/** A shell in a folder of its own that has `kf`, and nothing of this machine's configuration. */
export class Terminal {
  readonly home = mkdtempSync(join(tmpdir(), 'kf-home-'));
  readonly #variables: Readonly<Record<string, string>>;

  constructor(variables: Readonly<Record<string, string>>) {
    this.#variables = variables;
    const bin = join(this.home, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'kf'), `#!/bin/sh\nexec '${process.execPath}' --disable-warning=ExperimentalWarning '${cli}' "$@"\n`);
    chmodSync(join(bin, 'kf'), 0o700);
  }

  /** Runs one line as it is typed, with more variables set for it alone. */
  run(line: string, variables: Readonly<Record<string, string>> = {}): Promise<Run> {
    const env = { PATH: `${join(this.home, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: this.home, XDG_CONFIG_HOME: join(this.home, 'config'), ...this.#variables, ...variables };
    return new Promise((resolve, reject) => {
      execFile('/bin/sh', ['-c', line], { cwd: this.home, env, timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, out, err) => {
        const code = error === null ? 0 : error.code;
        if (typeof code !== 'number') reject(new Error(`${line}: it did not end\n${err}`, { cause: error }));
        else resolve({ code, out, err, json: /^\{.*\}\n?$/.test(out) ? (JSON.parse(out) as Body) : {} });
      });
    });
  }

  /** Runs a line that must succeed. */
  async ok(line: string, variables: Readonly<Record<string, string>> = {}): Promise<Run> {
    const run = await this.run(line, variables);
    if (run.code !== 0) throw new Error(`${line}: exit code ${run.code}\n${run.err}`);
    return run;
  }

  end(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
