export { EventData } from './event-data.ts';
export { acceptedFilter, type EventFilter, type FilterVerdict, parseFilter } from './filter.ts';
