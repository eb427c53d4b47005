const segment = /^(?:[a-z0-9_-]+|\*|\*\*)$/;
const eventType = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/** The limits of a pattern, so that matching stays cheap: characters, and globs between commas. */
export const maxPatternLength = 1024;

/** Whether the text is an event type: dotted segments of `[a-z0-9_-]+`, at most 200 characters. */
export const isEventType = (text: string): boolean => text.length <= 200 && eventType.test(text);

/**
 * The globs of a pattern (comma-separated; each is dotted segments, `*` for one segment, `**` for any number), or
 * what is wrong with it, in words.
 */
export function parsePattern(text: string): readonly string[] | { readonly malformed: string } {
  if (text.length > maxPatternLength) return { malformed: `longer than ${maxPatternLength} characters` };
  const globs = text.split(',').map((glob) => glob.trim());
  for (const glob of globs) {
    if (glob === '') return { malformed: 'has an empty item' };
    const bad = glob.split('.').find((part) => !segment.test(part));
    if (bad !== undefined) return { malformed: `has "${glob}", where "${bad}" is not a segment of [a-z0-9_-]+, * or **` };
  }
  return [...new Set(globs)];
}

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
