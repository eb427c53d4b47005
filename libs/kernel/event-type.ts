const segment = /^(?:[a-z0-9_-]+|\*|\*\*)$/;
const eventType = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/** The limit of a pattern in characters, so that matching stays cheap. */
export const maxPatternLength = 1024;

/** The limit of a filter on the data of events in characters, so that what it may cost stays small. */
export const maxFilterLength = 1_000;

/** Whether the text is an event type: dotted segments of `[a-z0-9_-]+`, at most 200 characters. */
export const isEventType = (text: string): boolean => text.length <= 200 && eventType.test(text);

/** Whether the text can name a published event, and be an idempotency key: 1–255 visible ASCII characters. */
export const isEventId = (text: string): boolean => /^[\x21-\x7e]{1,255}$/.test(text);

/**
 * The globs of a pattern (comma-separated; each is dotted segments, `*` for one segment, `**` for any number), or
 * what is wrong with it, in words. A blank is malformed like any other character.
 */
export function parsePattern(text: string): readonly string[] | { readonly malformed: string } {
  if (text.length > maxPatternLength) return { malformed: `longer than ${maxPatternLength} characters` };
  const globs = text.split(',');
  for (const glob of globs) {
    if (glob === '') return { malformed: 'has an empty item' };
    const bad = glob.split('.').find((part) => !segment.test(part));
    if (bad !== undefined) return { malformed: `has "${glob}", where "${bad}" is not a segment of [a-z0-9_-]+, * or **` };
  }
  return [...new Set(globs)];
}
