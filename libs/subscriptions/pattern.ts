export { isEventType, maxPatternLength, parsePattern } from '#kernel';

/** Whether one glob matches an event type. */
export function globMatches(glob: string, type: string): boolean {
  return segmentsMatch(glob.split('.'), type.split('.'));
}

function segmentsMatch(glob: readonly string[], type: readonly string[]): boolean {
  const [head, ...rest] = glob;
  if (head === undefined) return type.length === 0;
  if (head === '**') return segmentsMatch(rest, type) || (type.length > 0 && segmentsMatch(glob, type.slice(1)));
  return type.length > 0 && (head === '*' || head === type[0]) && segmentsMatch(rest, type.slice(1));
}

/** Operational events reach only patterns that name them: a glob's first segment must be literal. */
export const namesOperationalEvents = (glob: string): boolean => !glob.startsWith('*');
