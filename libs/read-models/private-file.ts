import { closeSync, openSync } from 'node:fs';
import { codeOf } from './error-code.ts';

/** Makes an empty file that only its owner reads, where there is none. One that is there is not touched: to close it would let go of every lock this process has on it. */
export function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}
