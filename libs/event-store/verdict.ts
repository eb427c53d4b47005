/**
 * What an append at an expected revision comes to (-1: no stream), the rule of EventStoreDB: at the current revision it
 * is written, whatever its ids; behind it, it is a repeat if exactly these ids stand there in this order; else a conflict.
 */
export function judgeAppend(
  expected: number,
  current: number,
  ids: readonly string[],
  idAt: (revision: number) => string | undefined,
): 'write' | 'repeat' | 'conflict' {
  if (expected === current) return 'write';
  if (expected > current) return 'conflict';
  return ids.every((id, index) => idAt(expected + 1 + index) === id) ? 'repeat' : 'conflict';
}
