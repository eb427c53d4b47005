export { count } from './inside.ts';
