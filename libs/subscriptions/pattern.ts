export { isEventType, maxPatternLength, parsePattern } from '#kernel';

/** Whether one glob matches an event type. Its cost is bounded by segments of the glob times segments of the type, whatever the glob. */
export function globMatches(glob: string, type: string): boolean {
  return segmentsMatch(glob.split('.'), type.split('.'));
}

/**
 * Only the latest `**` is ever taken up again: whatever an earlier one could swallow more, the latest can swallow too. So
 * a row of them does not multiply.
 */
function segmentsMatch(glob: readonly string[], type: readonly string[]): boolean {
  let at = 0;
  let afterStars = -1;
  let swallowed = 0;
  for (let index = 0; index < type.length; ) {
    if (glob[at] === '**') {
      at += 1;
      afterStars = at;
      swallowed = index;
    } else if (glob[at] === '*' || glob[at] === type[index]) {
      at += 1;
      index += 1;
    } else if (afterStars >= 0) {
      swallowed += 1;
      index = swallowed;
      at = afterStars;
    } else return false;
  }
  return glob.slice(at).every((segment) => segment === '**');
}

/** Operational events reach only patterns that name them: a glob's first segment must be literal. */
export const namesOperationalEvents = (glob: string): boolean => !glob.startsWith('*');

/** Whether a well-formed pattern matches a published event: one of its globs does, and names operational events where it is one. */
export const patternMatches = (eventPattern: string, { type, operational }: { readonly type: string; readonly operational: boolean }): boolean =>
  eventPattern.split(',').some((glob) => (!operational || namesOperationalEvents(glob)) && globMatches(glob, type));
