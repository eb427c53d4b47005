import { hostname } from 'node:os';
import { createRoleClaim } from '#coordination';
import type { RoleReport } from '#coordination/processes';
import type { EventStore } from '#event-store';
import type { Clock, Ids } from '#kernel';
import type { Log } from '#telemetry';

/** Which process this is, in words for people who look for it. */
export const processName = `${hostname()} (process ${process.pid})`;

/** The work of a role, which may begin again after it has ended. */
export interface Work {
  /**
   * `again` is for work that finds that another process has done some of it: it ends it, and begins it anew if the role is
   * still this process's. Answers how to end it: nothing new is begun from then on, and the promise resolves when all is over.
   */
  begin(again: () => void): () => Promise<void>;
  /** What of it is not as it should be, in words. */
  troubles(): readonly string[];
}

/** A role that this process is to have. */
export interface Role {
  start(): void;
  stop(): Promise<void>;
  troubles(): readonly string[];
  /** How it stands with it here, for whoever looks at all processes. */
  report(): Standing;
}

type Standing = Pick<RoleReport, 'state' | 'why'>;

/** Of a role whose work is this process's. */
const held = (troubles: readonly string[]): Standing => ({ state: 'HELD', why: troubles.length === 0 ? null : troubles.join('; ') });

export interface RoleParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly onFatal: (error: Error) => void;
}

/** A role on a log that this process has for itself. */
export function ownRole(work: Work): Role {
  let end = (): Promise<void> => Promise.resolve();
  return {
    start: () => {
      end = work.begin(() => undefined);
    },
    stop: () => end(),
    troubles: () => work.troubles(),
    report: () => held(work.troubles()),
  };
}

/** A role on a log that several processes share: its work is done while this process holds the claim of the role. */
export function claimedRole({ store, clock, ids, log, onFatal }: RoleParts, role: string, work: Work): Role {
  const claim = createRoleClaim({
    store,
    clock,
    ids,
    role,
    process: processName,
    begin: () => {
      log.info({ role }, 'the role is this process’s');
      return work.begin(() => claim.restart());
    },
    onAlarm: (alarm) => log.error(alarm, 'alarm'),
    onFatal: (error) => onFatal(error instanceof Error ? error : new Error(String(error))),
  });
  return {
    start: () => claim.start(),
    stop: () => claim.stop(),
    troubles: () => {
      const { why } = claim.status();
      return why === null ? work.troubles() : [`this process does not do the work of the role ${role}: ${why}`];
    },
    report: () => {
      const { state, why } = claim.status();
      if (why === null) return held(work.troubles());
      return { state: state === 'SUSPENDED' ? 'SUSPENDED' : 'WAITING', why };
    },
  };
}
