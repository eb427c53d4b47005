export { DataDirInUse, NewerLog } from './errors.ts';
export { type CommitMeasure, openSqliteEventStore, type SqliteEventStoreOptions } from './sqlite-event-store.ts';
