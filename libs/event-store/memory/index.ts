export { createMemoryEventStore, MemoryLog } from './memory-event-store.ts';
