import { setTimeout as delay } from 'node:timers/promises';

const lookEveryMs = 20;

/** Looks until there is something, and answers it. Throws, saying what was awaited, when there is nothing in time. */
export async function eventually<T>(awaited: string, look: () => Promise<T | undefined> | T | undefined, withinMs = 10_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${awaited}: not within ${withinMs} ms`);
    await delay(lookEveryMs);
  }
}
