import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { readCliEnvironment } from '#config/cli';
import { runLogCopy } from './log-copy-program.ts';
import { run } from './run.ts';

const interrupted = new AbortController();
// Ctrl-C reaches us twice: from the terminal, and from the program that started us.
process.on('SIGINT', () => interrupted.abort(new Error('interrupted')));
// Whoever read our output has gone (`kf … | head`): nothing is left to say, and it is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: readCliEnvironment(),
  fetch,
  clock: {
    now: Date.now,
    monotonicMs: () => performance.now(),
    after: (delayMs, wake) => {
      const timer = setTimeout(wake, delayMs);
      return () => clearTimeout(timer);
    },
  },
  ids: { uuid: randomUUID, randomBytes },
  version: versionOf(findPackageJSON('.', import.meta.url)),
  signal: interrupted.signal,
  logCopy: runLogCopy,
  requestTimeoutMs: 60_000,
});

function versionOf(packageFile: string | undefined): string {
  if (packageFile === undefined) return 'unknown';
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { readonly version: string };
  return version;
}
