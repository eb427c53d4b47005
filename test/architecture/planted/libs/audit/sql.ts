// violates: sql-only-in-the-sqlite-adapters
import Database from 'better-sqlite3';

export const open = (path: string): Database.Database => new Database(path);
