import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../../dist/apps/server/main.js', import.meta.url));

/** Starts a server that must not start: how it ended, and what it said. It is ended when it runs nevertheless, or can't be told in time. */
export const refusedStart = (environment: Readonly<Record<string, string>>, withinMs = 20_000): Promise<{ readonly code: unknown; readonly err: string; readonly all: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main], { env: { PATH: process.env['PATH'], KF_PORT: '0', ...environment }, timeout: withinMs, killSignal: 'SIGKILL' }, (error, out, err) => resolve({ code: error === null ? 0 : (error.code ?? error.signal), err, all: out + err }));
  });
