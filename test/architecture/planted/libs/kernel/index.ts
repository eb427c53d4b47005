export { readNow } from './reads-the-disk.ts';
