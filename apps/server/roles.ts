import { hostname } from 'node:os';
import { createRoleClaim, type Ending } from '#coordination';
import { type LeaseKeeper, type LeasesUnreachable, type LeaseTable, startLeaseKeeper } from '#coordination/leases';
import type { RoleReport } from '#coordination/processes';
import type { EventStore } from '#event-store';
import type { Clock, Ids } from '#kernel';
import type { Log } from '#telemetry';

/** Which process this is, in words for people who look for it. */
export const processName = `${hostname()} (process ${process.pid})`;

/** What a process that does some work knows of its right to. */
export interface Tenure {
  /** May something new begin now? Others may have begun when it says no. To be asked each time. */
  readonly held: () => boolean;
  /** For work that finds that another process has done some of it: ends it, and begins it anew if it is still this process's. */
  readonly again: () => void;
}

/** The work of a role, or a piece of it, which may begin again after it has ended. */
export interface Work {
  /** Answers how to end it: nothing new is begun from then on, and the promise resolves when all is over. What is being released may still be lost. */
  begin(tenure: Tenure): (how: Ending) => Promise<void>;
  /** What of it is not as it should be, in words. */
  troubles(): readonly string[];
}

/** The pieces of a role by their names. */
export type Pieces = ReadonlyMap<string, Work>;

/** A role that this process is to have. */
export interface Role {
  start(): void;
  stop(): Promise<void>;
  /** Why this process can't do what it is there for, in words. */
  troubles(): readonly string[];
  /** How it stands with it here, for whoever looks at all processes. */
  report(): Standing;
}

type Standing = Pick<RoleReport, 'state' | 'why'>;

/** Of a role whose work, or some of it, is this process's. */
const held = (troubles: readonly string[]): Standing => ({ state: 'HELD', why: troubles.length === 0 ? null : troubles.join('; ') });

export interface RoleParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly onFatal: (error: Error) => void;
  readonly role: string;
  readonly pieces: Pieces;
}

const failed = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
const troublesOf = (works: Iterable<Work>): readonly string[] => [...new Set([...works].flatMap((work) => work.troubles()))];

/** All of it at once. */
function beginAll(pieces: Pieces, tenure: Tenure): (how: Ending) => Promise<void> {
  const ends = [...pieces.values()].map((work) => work.begin(tenure));
  return async (how) => {
    await Promise.all(ends.map((end) => end(how)));
  };
}

/** A role on a log that this process has for itself. */
export function ownRole(pieces: Pieces): Role {
  let end = (_how: Ending): Promise<void> => Promise.resolve();
  return {
    start: () => {
      end = beginAll(pieces, { held: () => true, again: () => undefined });
    },
    stop: () => end('released'),
    troubles: () => troublesOf(pieces.values()),
    report: () => held(troublesOf(pieces.values())),
  };
}

/** A role on a log that several processes share: one of them does all of it, the one that holds the claim of the role. */
export function claimedRole(parts: RoleParts & { readonly store: EventStore; readonly ids: Ids }): Role {
  const { log, onFatal, role, pieces } = parts;
  const claim = createRoleClaim({
    ...parts,
    process: processName,
    begin: () => {
      log.info({ role }, 'the role is this process’s');
      return beginAll(pieces, { held: () => claim.held(), again: () => claim.restart() });
    },
    onAlarm: (alarm) => log.error(alarm, 'alarm'),
    onFatal: (error) => onFatal(failed(error)),
  });
  return {
    start: () => claim.start(),
    stop: () => claim.stop(),
    troubles: () => {
      const { why } = claim.status();
      return why === null ? troublesOf(pieces.values()) : [`this process does not do the work of the role ${role}: ${why}`];
    },
    report: () => {
      const { state, why } = claim.status();
      if (why === null) return held(troublesOf(pieces.values()));
      return { state: state === 'SUSPENDED' ? 'SUSPENDED' : 'WAITING', why };
    },
  };
}

/** A role whose pieces are divided among the processes of a shared log: each piece is done where its lease is held. */
export const leasedRole = (parts: LeasedRoleParts): Role => new LeasedRole(parts);

interface LeasedRoleParts extends RoleParts {
  readonly leases: LeaseTable;
  readonly holder: string;
  /** Why this process could not do the work now, so that it leaves it to others; null: it could. */
  readonly unfit: () => string | null;
}

type End = (how: Ending) => Promise<void>;

/** Work that another process has meddled with is begun anew after so long: that one has to find out too. */
const againAfterMs = 5_000;
/** A connection takes a moment, at the start and after a failover. */
const alarmAfterMs = 2_000;
const alarmEveryMs = 30_000;

class LeasedRole implements Role {
  readonly #parts: LeasedRoleParts;
  readonly #running = new Map<string, End>();
  readonly #ending = new Map<string, { readonly end: End; readonly over: Promise<void> }>();
  #keeper: LeaseKeeper | undefined;
  #alarmedMs = -Infinity;

  constructor(parts: LeasedRoleParts) {
    this.#parts = parts;
  }

  start(): void {
    const { leases, clock, role, pieces, holder, unfit } = this.#parts;
    this.#keeper ??= startLeaseKeeper({
      table: leases,
      clock,
      group: role,
      names: [...pieces.keys()],
      holder,
      onGained: ({ name }) => this.#begin(name),
      onLost: (name) => void this.#end(name, 'lost'),
      drained: (name) => this.#end(name, 'released'),
      onTrouble: (error, forMs) => this.#troubled(error, forMs),
      isFit: () => unfit() === null,
    });
  }

  async stop(): Promise<void> {
    await this.#keeper?.stop();
  }

  /** That others do it, or that Redis is away, is none: commands and reads go on here. */
  troubles(): readonly string[] {
    return troublesOf([...this.#running.keys()].flatMap((name) => this.#parts.pieces.get(name) ?? []));
  }

  report(): Standing {
    if (this.#running.size > 0) return held(this.troubles());
    const trouble = this.#keeper?.trouble() ?? null;
    if (trouble !== null) return { state: 'SUSPENDED', why: trouble };
    return { state: 'WAITING', why: this.#parts.unfit() ?? 'other processes hold all of it, or it is being divided anew' };
  }

  #begin(name: string): void {
    const before = this.#ending.get(name);
    if (before !== undefined) return void before.over.then(() => this.#begin(name));
    const work = this.#parts.pieces.get(name);
    if (work === undefined || this.#running.has(name) || !this.#isHeld(name)) return;
    this.#running.set(name, work.begin({ held: () => this.#isHeld(name), again: () => this.#again(name) }));
  }

  #isHeld(name: string): boolean {
    return this.#keeper?.held(name) === true;
  }

  /** Resolves when it is over; it may have ended before. */
  #end(name: string, how: Ending): Promise<void> {
    const end = this.#running.get(name);
    if (end === undefined) return this.#endOtherwise(name, how);
    this.#running.delete(name);
    const over = this.#over(end, how).finally(() => this.#ending.delete(name));
    this.#ending.set(name, { end, over });
    return over;
  }

  /** What is being handed over may be lost before it is over. */
  async #endOtherwise(name: string, how: Ending): Promise<void> {
    const ending = this.#ending.get(name);
    if (how === 'lost' && ending !== undefined) await this.#over(ending.end, how);
    await ending?.over;
  }

  #over(end: End, how: Ending): Promise<void> {
    return end(how).catch((error: unknown) => this.#parts.onFatal(failed(error)));
  }

  #again(name: string): void {
    void this.#end(name, 'released');
    this.#parts.clock.after(againAfterMs, () => this.#begin(name));
  }

  #troubled({ message }: LeasesUnreachable, forMs: number): void {
    const { clock, log, role } = this.#parts;
    const atMs = clock.monotonicMs();
    if (forMs < alarmAfterMs || atMs - this.#alarmedMs < alarmEveryMs) return;
    this.#alarmedMs = atMs;
    log.error({ alarm: 'leases-unreachable', role, detail: message }, 'alarm');
  }
}
