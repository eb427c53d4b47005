/** A place in the global log: opaque and ordered, a decimal string because 64-bit numbers do not fit a JSON number. */
export type Position = string;

/** The place before the first event. */
export const startOfLog: Position = '0';

/** Whether the text is a position in its one written form (no sign, no leading zero, 64 bits). */
export const isPosition = (text: string): boolean => /^(0|[1-9]\d{0,19})$/.test(text);

/** Negative, zero or positive as `a` is before, at or after `b`. */
export function comparePositions(a: Position, b: Position): number {
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export const laterPosition = (a: Position, b: Position): Position => (comparePositions(a, b) >= 0 ? a : b);

/** The first place that can stand after it. */
export const nextPosition = (position: Position): Position => String(BigInt(position) + 1n);
