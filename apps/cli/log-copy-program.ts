import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Io } from './io.ts';

const program = fileURLToPath(new URL('../log-copy/main.js', import.meta.url));

/** `kf` is a client of the HTTP API: what opens the stores of both logs is a program of its own. */
export const runLogCopy: Io['logCopy'] = async function* (folder, signal) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const stop = (): void => void child.kill();
  signal.addEventListener('abort', stop, { once: true });
  try {
    yield* createInterface({ input: child.stdout });
    await ended;
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill();
  }
};
