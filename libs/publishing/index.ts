export { eventPublished, type PublishedEvent, readPublishedEvent } from './events.ts';
export { countMatching, type EventCountRow, eventCountTable, missedProjection, type MissedRow, missedSoFar, missedTable } from './missed.ts';
export { operationalEvents } from './operational-saga.ts';
export { eventProjection, type EventRow, eventTable } from './projection.ts';
