import type { CliEnvironment } from '#config/cli';
import type { Clock, Ids } from '#kernel';

/** A stream to write to, which may be a terminal. */
export interface Sink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Everything `kf` touches outside itself, so that a test can stand in for all of it. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Sink;
  readonly stderr: Sink & NodeJS.WritableStream;
  readonly environment: CliEnvironment;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly version: string;
  /** Aborted when the person interrupts (Ctrl-C). */
  readonly signal: AbortSignal;
  /** Runs the program that copies the log of a folder (`apps/log-copy`): the lines it says, until it has ended. An abort ends it. */
  readonly logCopy: (folder: string, signal: AbortSignal) => AsyncIterable<string>;
  /** How long one request may take. */
  readonly requestTimeoutMs: number;
  /** The zone in which tables show times; the machine's when undefined. */
  readonly timeZone?: string;
}

/** The flags, the configuration or the input are not as they must be. Nothing was sent. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly issues: readonly string[];
  constructor(issues: readonly string[]) {
    super(issues.join('\n'));
    this.issues = issues;
  }
}

/** It did not work, and `message` says why. Exit code 1. */
export class Failed extends Error {
  override readonly name = 'Failed';
}
