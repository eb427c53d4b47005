import { cpuMsOf } from './linux.ts';

/** How often the log was made durable, and how many events went in. */
export interface Commits {
  readonly commits: number;
  readonly events: number;
}

/** One line of the table. Null: it can't be told, or has no meaning there. */
export interface Figure {
  readonly name: string;
  readonly operations: number;
  readonly perSecond: number;
  /** CPU time of the measured process per operation. */
  readonly cpuMicros: number | null;
  readonly commitsPerSecond: number | null;
  readonly eventsPerCommit: number | null;
  /** What it is beside. */
  readonly ceiling: Figure | null;
  readonly peakMiB: number | null;
}

/** What is measured: a process, and how to ask it for its commits. */
export interface Measured {
  readonly pid: number;
  readonly commits?: () => Promise<Commits>;
}

/** Does the work, which answers how many operations it was, and says what it cost that process. */
export async function measure(name: string, { pid, commits }: Measured, work: () => Promise<number>, ceiling: Figure | null = null): Promise<Figure> {
  const commitsBefore = await commits?.();
  const cpuBefore = cpuMsOf(pid);
  const startMs = performance.now();
  const operations = await work();
  const seconds = (performance.now() - startMs) / 1_000;
  const cpuAfter = cpuMsOf(pid);
  const cpuMicros = cpuBefore === null || cpuAfter === null ? null : ((cpuAfter - cpuBefore) * 1_000) / operations;
  const committed = between(commitsBefore, await commits?.(), seconds);
  return { name, operations, perSecond: operations / seconds, cpuMicros, ...committed, ceiling, peakMiB: null };
}

function between(before: Commits | undefined, after: Commits | undefined, seconds: number): Pick<Figure, 'commitsPerSecond' | 'eventsPerCommit'> {
  if (before === undefined || after === undefined) return { commitsPerSecond: null, eventsPerCommit: null };
  const commits = after.commits - before.commits;
  return { commitsPerSecond: commits / seconds, eventsPerCommit: commits === 0 ? null : (after.events - before.events) / commits };
}

export const fastest = (figures: readonly [Figure, ...Figure[]]): Figure => figures.reduce((best, figure) => (figure.perSecond > best.perSecond ? figure : best));
