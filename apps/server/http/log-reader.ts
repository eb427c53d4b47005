import { Gate, type Position } from '#kernel';
import type { LogReader } from '../parts.ts';

/** So close to its end the log is in memory, also where its events are as large as they may be. */
const nearEnd = 32n;

/**
 * The log for those who read it over HTTP. Reads that begin far from its end go one at a time: each may look through 100,000
 * events and bring 2 MiB, appends wait behind every read that was asked for before them, and a few hundred clients that begin
 * at the start would fill the memory and hold up everybody who writes (300,000 events and 200 clients: by more than a minute; so: by a third of a second).
 */
export function oneFarReadAtATime(log: LogReader): LogReader {
  const farReads = new Gate(1);
  return {
    readAll: async (after, filter, limit) => {
      const read = (): ReturnType<LogReader['readAll']> => log.readAll(after, filter, limit);
      return isNearEnd(after, await log.head()) ? await read() : await farReads.run(read);
    },
    readStream: (stream, from, limit) => log.readStream(stream, from, limit),
    subscribe: (after, filter, signal) => log.subscribe(after, filter, signal),
    head: () => log.head(),
  };
}

const isNearEnd = (after: Position, head: Position): boolean => BigInt(head) - BigInt(after) <= nearEnd;
