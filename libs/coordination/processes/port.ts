import type { Position } from '#kernel';

/** What one process says of itself. */
export interface ProcessReport {
  /** New at each start. */
  readonly id: string;
  /** Which process, in words for people who look for it. */
  readonly process: string;
  readonly version: string;
  /** RFC 3339, by its own clock. */
  readonly startedAt: string;
  readonly ready: boolean;
  /** What stands against it, in words. */
  readonly because: readonly string[];
  /** Up to here all of its read models have folded the log. */
  readonly position: Position;
  /** Milliseconds since the last of them stood at the head. */
  readonly behindMs: number;
  readonly roles: readonly RoleReport[];
  /** Those that it runs now. */
  readonly sagas: readonly SagaReport[];
  /** Of the subscriptions: those that it dispatches now. */
  readonly partitions: readonly number[];
}

export interface RoleReport {
  readonly role: string;
  /** `HELD`: its work, or its share of it, is this process's. `WAITING`: it is not, or not yet. `SUSPENDED`: it was, and stands still. */
  readonly state: 'HELD' | 'WAITING' | 'SUSPENDED';
  /** What of the role's work is not under way here, and why, in words; null when all is as it should be. */
  readonly why: string | null;
}

export interface SagaReport {
  readonly name: string;
  /** It has reacted to the log up to here. */
  readonly position: Position;
  /** Milliseconds since it last stood at the head. */
  readonly behindMs: number;
}

export interface HeardReport extends ProcessReport {
  /** How long ago the process said so. */
  readonly ageMs: number;
}

/** Where processes say what they do and see what the others do. For people to look at: nothing is decided by it. */
export interface ProcessBoard {
  /**
   * Puts up what a process says of itself, in place of what it said before, and answers what all have said in the last 15 s, in no
   * order. Long texts are cut, so that a report stays within some KiB. Throws `LeasesUnreachable` when the board did not answer.
   */
  exchange(own: ProcessReport): Promise<readonly HeardReport[]>;
  /** Takes down what a process said. Throws `LeasesUnreachable` too; then it is gone after 15 s. */
  leave(id: string): Promise<void>;
}

/** What a process said stands for so long; it says it again every few seconds. */
export const reportStandsMs = 15_000;
