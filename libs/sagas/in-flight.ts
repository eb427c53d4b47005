/**
 * Runs the action for every item, at most `limit` at a time, taking items only as there is room. Resolves when all have
 * ended; after the first failure it takes no more, waits for those under way, and rejects with it.
 */
export async function inFlight<T>(items: Iterable<T>, limit: number, action: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  const failures: unknown[] = [];
  const take = (): IteratorResult<T, unknown> => {
    try {
      if (failures.length === 0) return rest.next();
    } catch (error) {
      failures.push(error);
    }
    return { done: true, value: undefined };
  };
  const work = async (first: T): Promise<void> => {
    try {
      await action(first);
      for (let next = take(); next.done !== true; next = take()) await action(next.value);
    } catch (error) {
      failures.push(error);
    }
  };
  const workers: Promise<void>[] = [];
  while (workers.length < limit) {
    const next = take();
    if (next.done === true) break;
    workers.push(work(next.value));
  }
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}
