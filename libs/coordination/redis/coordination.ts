import type { Clock } from '#kernel';
import type { InFlightLeases, LeaseTable } from '../leases/port.ts';
import type { ProcessBoard } from '../processes/port.ts';
import type { RedisTarget } from '../redis-url/url.ts';
import { redisInFlightLeases } from './in-flight.ts';
import { redisLeaseTable } from './lease-table.ts';
import { openLink } from './link.ts';
import { redisProcessBoard } from './process-board.ts';

/** Redis as several processes use it: for leases and to see each other, and nothing that must not be lost. */
export interface RedisCoordination {
  readonly leases: LeaseTable;
  readonly inFlight: InFlightLeases;
  readonly processes: ProcessBoard;
  /** Null: it can be asked. Else why not, in words without a password; for alarms and status. */
  trouble(): string | null;
  /** Ends the connection. Who waits for an answer gets none. */
  close(): void;
}

/**
 * Connects, and connects again for as long as it is not closed, with pauses that grow to 2 s. Answers at once, connected or not. `log`
 * tells the processes on one log from those on others that use the same Redis.
 */
export function openRedis(target: RedisTarget, clock: Clock, log: string): RedisCoordination {
  const link = openLink(target);
  const prefix = `countersign:${log}`;
  return {
    leases: redisLeaseTable(link, prefix),
    inFlight: redisInFlightLeases(link, clock, prefix),
    processes: redisProcessBoard(link, prefix),
    trouble: () => link.trouble(),
    close: () => link.close(),
  };
}
