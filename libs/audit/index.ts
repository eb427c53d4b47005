export { type AuditEvent, auditEvent, recordCategories, recordCategory, recordPrefixes, sitePrefix, withheldMark } from './audit-event.ts';
export { eventsPerRead, positionBefore, readRecord, type RecordLog, type RecordPage, readsPerPage } from './record.ts';
export { passesFilter, type RecordFilter } from './record-filter.ts';
