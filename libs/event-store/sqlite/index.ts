export { DataDirInUse, NewerLog } from './errors.ts';
export { type CommitMeasure, type LogCopy, openSqliteEventStore, type SqliteEventStore, type SqliteEventStoreOptions } from './sqlite-event-store.ts';
