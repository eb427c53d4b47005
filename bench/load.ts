/** How much is asked: so many operations, so many at a time, and no longer than this. */
export interface Load {
  readonly operations: number;
  readonly concurrency: number;
  readonly maxMs: number;
}

/** Repeats an operation, which gets its number, from `from` on. Answers how many were done. The first failure ends it. */
export async function drive({ operations, concurrency, maxMs }: Load, operation: (index: number) => Promise<void>, from = 0): Promise<number> {
  const deadlineMs = performance.now() + maxMs;
  let next = from;
  const lane = async (): Promise<void> => {
    while (next < from + operations && performance.now() < deadlineMs) await operation(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return next - from;
}
