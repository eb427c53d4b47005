export { type ApiKeyEvent } from './events.ts';
