/** Who works on what, in this process. */
export interface InFlight {
  /** Runs `work` alone among those for the same stream, in the order they came. */
  alone<T>(stream: string, work: () => Promise<T>): Promise<T>;
  /** Runs `work` unless the same command is under way here: then `busy`. A courtesy; the log is what protects. */
  once<T>(commandId: string, work: () => Promise<T>): Promise<T | 'busy'>;
}

export function createInFlight(): InFlight {
  const tails = new Map<string, Promise<unknown>>();
  const commands = new Set<string>();
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
    async once(commandId, work) {
      if (commands.has(commandId)) return 'busy';
      commands.add(commandId);
      try {
        return await work();
      } finally {
        commands.delete(commandId);
      }
    },
  };
}
