/**
 * The name that was probably meant: the candidate with the fewest edits, when they are few for its length (a third of it,
 * at least two); undefined when none is near. Letter case and separators do not count as edits.
 */
export function nearest(given: string, candidates: Iterable<string>): string | undefined {
  const folded = fold(given);
  let best: string | undefined;
  let fewest = Math.max(2, Math.floor(folded.length / 3));
  for (const candidate of candidates) {
    const edits = distance(folded, fold(candidate));
    if (edits < fewest || (edits === fewest && best === undefined)) [best, fewest] = [candidate, edits];
  }
  return best;
}

/** ` Did you mean "x"?` with a blank before it, or nothing when no candidate is near. */
export function didYouMean(given: string, candidates: Iterable<string>): string {
  const meant = nearest(given, candidates);
  return meant === undefined ? '' : ` Did you mean "${meant}"?`;
}

// What a caller sends may be long: only its beginning is compared, so that a suggestion costs little.
const fold = (text: string): string => text.slice(0, 64).toLowerCase().replaceAll(/[-_.]/g, '');

/** Levenshtein's distance, row by row. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
