/** A lease as its holder knows it. The fence rises each time the lease is taken: of two who think they hold it, the higher is right. */
export interface HeldLease {
  readonly name: string;
  readonly fence: number;
}

/** All that one holder wants of the leases of a group, in one step that happens as a whole or not at all. */
export interface LeaseStep {
  /** Leases that are divided among the same processes. */
  readonly group: string;
  readonly holder: string;
  /** What the holder takes for its own now, by its own clock. */
  readonly keep: readonly HeldLease[];
  readonly giveBack: readonly HeldLease[];
  /** What it would take where it is free, in this order, until it has `upTo` of all. */
  readonly take: readonly string[];
  readonly upTo: number;
  /** It wants nothing more: it is no member of the group afterwards. */
  readonly leaves: boolean;
  /** The highest fence it has seen. */
  readonly fenceSeen: number;
  readonly leaseMs: number;
}

export interface LeaseView {
  /** What the holder has after the step, for `leaseMs` from its moment on. */
  readonly held: readonly HeldLease[];
  /** Who took a step within `leaseMs` and did not leave; sorted. */
  readonly members: readonly string[];
}

/**
 * Who holds what. A lease that is kept is renewed while nobody else took it; one that ran out is anybody's.
 * A table that lost what it knew puts back what its holders keep, and gives nothing new away for `leaseMs`: until then somebody may
 * hold what it has forgotten.
 */
export interface LeaseTable {
  /** Throws `LeasesUnreachable` when the table did not answer: the step may have happened. */
  step(step: LeaseStep): Promise<LeaseView>;
}

/** Nothing is known of the leases now. The message names the place and the reason, never a password. */
export class LeasesUnreachable extends Error {
  override readonly name = 'LeasesUnreachable';
}

/** One execution of a command. */
export interface AttemptLease {
  readonly attemptId: string;
  readonly fingerprint: string;
}

/** Which commands are under way in any process. A courtesy: the log is what protects, so not to know is no reason to wait. */
export interface InFlightLeases {
  /**
   * Runs `work` unless another attempt of the same command is under way: then `busy`. Its lease ends with the work, or after 30 s.
   * Where nobody can be asked, `work` runs after some tens of milliseconds at the latest.
   */
  once<T>(commandId: string, attempt: AttemptLease, work: () => Promise<T>): Promise<T | 'busy'>;
}

/** Longer than a command's deadline of 10 s. */
export const inFlightLeaseMs = 30_000;
