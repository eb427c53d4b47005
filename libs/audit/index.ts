export { type AsOf, changesOf, type Cut, eventsWithin, logAsOf, parseAsOf } from './as-of.ts';
export { type AuditEvent, auditEvent, recordPrefixes } from './audit-event.ts';
export { eventsPerRead, positionBefore, readRecord, readsPerPage } from './record.ts';
export { passesFilter, type RecordFilter } from './record-filter.ts';
export { type EntryKind, maxStoryEntries, type StoryEntry, type StoryKind, tellStory } from './story.ts';
export { type SecretSpan, secretSpans, type Signature, signaturesOf, type SignedAttempt, versionsOfRotation } from './story-signatures.ts';
export { explain } from './explain.ts';
export { explanationCodes, type ExplainFacts, type Explanation, type ExplanationCode } from './explain-facts.ts';
export { createRefusalRecorder, refusalBurst, refusalsPerSecond, type RefusedRequest } from './refusal-recorder.ts';
