/** Waits for it, and no longer than so. */
export async function within<Value>(done: Promise<Value>, maxMs: number, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${maxMs} ms`)), maxMs);
  });
  return await Promise.race([done, late]).finally(() => clearTimeout(timer));
}

/** Looks again and again until it is so, and no longer than so. */
export async function until(isSo: () => Promise<boolean>, maxMs: number, everyMs: number, what: string): Promise<void> {
  const deadlineMs = performance.now() + maxMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not after ${maxMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
