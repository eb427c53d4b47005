export { type AuditEvent, auditEvent, recordCategories, recordCategory, recordPrefixes, sitePrefix, withheldMark } from './audit-event.ts';
