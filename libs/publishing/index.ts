export { eventPublished, type PublishedEvent, readPublishedEvent } from './events.ts';
