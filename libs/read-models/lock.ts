import Database from 'better-sqlite3';
import { codeOf } from './error-code.ts';
import { ReadModelsInUse } from './errors.ts';
import { makePrivate } from './private-file.ts';

/**
 * Holds the read models of a data folder for this process: the operating system's lock that SQLite takes for an
 * exclusive transaction, on a file of its own that outlives every exchange of the live file. A killed process leaves
 * nothing behind. Throws `ReadModelsInUse`.
 */
export function holdReadModels(dataDir: string, path: string): { release(): void } {
  makePrivate(path);
  const database = new Database(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (codeOf(error)?.startsWith('SQLITE_BUSY') === true) throw new ReadModelsInUse(dataDir);
    throw error;
  }
  return { release: () => void database.close() };
}
