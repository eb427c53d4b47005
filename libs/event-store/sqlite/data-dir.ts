import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Makes the data folder (0700) and the log's file (0600) where they are missing; answers the file's path. */
export function prepareDataDir(dataDir: string): string {
  const folder = resolve(dataDir);
  const firstMade = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (firstMade !== undefined) syncFolders(dirname(folder), dirname(firstMade));
  const file = join(folder, 'events.db');
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    // Not opened when it is there: closing it again would let go of the lock that a store of this process may hold on it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return file;
}

/** A new folder outlives a power cut only when the folder that names it is synced. */
function syncFolders(from: string, upTo: string): void {
  for (let folder = from; ; folder = dirname(folder)) {
    const handle = openSync(folder, 'r');
    fsyncSync(handle);
    closeSync(handle);
    if (folder === upTo || folder === dirname(folder)) return;
  }
}
