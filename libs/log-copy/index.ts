export { type CopyParts, type CopyProgress, copyLog, type CopyReport, NothingToCopy } from './copy.ts';
export { type CategoryCount } from './comparison.ts';
export { ForeignTarget } from './writing.ts';
