import { closeSync, openSync } from 'node:fs';

/** Makes an empty file that only its owner reads, where there is none. One that is there is not touched: to close it would let go of every lock this process has on it. */
export function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(typeof error === 'object' && error !== null && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}
