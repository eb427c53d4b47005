/** Whose turn it is, in this process. */
export interface Turns {
  /** Runs `work` alone among those for the same stream, in the order they came. */
  alone<T>(stream: string, work: () => Promise<T>): Promise<T>;
}

export function createTurns(): Turns {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async alone(stream, work) {
      const before = tails.get(stream);
      const run = before === undefined ? work() : before.then(work, work);
      tails.set(stream, run);
      try {
        return await run;
      } finally {
        if (tails.get(stream) === run) tails.delete(stream);
      }
    },
  };
}
