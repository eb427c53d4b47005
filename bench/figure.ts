import { cpuMsOf, peakMemoryMiB } from './linux.ts';

/** How often the log was made durable, and how many events went in. */
export interface Commits {
  readonly commits: number;
  readonly events: number;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One line of the table: medians over its runs. Null: it can't be told, or has no meaning there. */
export interface Figure {
  readonly name: string;
  readonly runs: number;
  /** Of one run. */
  readonly operations: number | null;
  readonly perSecond: number | null;
  /** CPU time of the measured process per operation. */
  readonly cpuMicros: number | null;
  readonly commitsPerSecond: number | null;
  readonly eventsPerCommit: number | null;
  readonly latency: Latency | null;
  /** The most memory that the process had by then. */
  readonly peakMiB: number | null;
  /** What it is beside another figure, in words. */
  readonly beside: string | null;
}

/** What is measured: a process, and, of a server, how to ask it for its commits; its memory is told too. */
export interface Measured {
  readonly pid: number;
  readonly commits?: () => Promise<Commits>;
}

/** How many operations were done; how long each took, and all of them by another's clock, where that was looked at. */
export type Done = number | { readonly operations: number; readonly latency?: Latency; readonly seconds?: number };

/** Something that is measured several times. */
export interface Work {
  readonly name: string;
  readonly of: Measured;
  /** Does it, for the time of that number, beginning with 0. */
  do(time: number): Promise<Done>;
}

/** How often: some times that are not counted, so that the code is compiled and the caches are full, and then those that are. */
export interface Times {
  readonly warm: number;
  readonly counted: number;
}

type Sample = Pick<Figure, 'commitsPerSecond' | 'eventsPerCommit' | 'latency' | 'cpuMicros'> & { readonly operations: number; readonly perSecond: number };

/** Measures one thing after the other, and all of them again, as often as wanted. */
export async function inTurns(times: Times, works: readonly Work[]): Promise<readonly Figure[]> {
  return (await sampled(times, works)).map(({ work, samples }) => figureOf(work, samples));
}

/** Measures what takes too long, or can't be done, more than once. */
export async function once(work: Work): Promise<Figure> {
  return figureOf(work, [await sampleOf(work, 0)]);
}

/** How much older the slowest percent is than that of another figure, in words. */
export const besideP99 = (figure: Figure, other: Figure, than: string): Figure => ({ ...figure, beside: `p99 ${((figure.latency?.p99Ms ?? NaN) / (other.latency?.p99Ms ?? NaN)).toFixed(1)} × ${than}` });

/** As `inTurns`, where the first is the ceiling of the others: each gets its share of what the ceiling was in the same turn. */
export async function besideCeiling(times: Times, ceiling: Work, works: readonly Work[]): Promise<readonly Figure[]> {
  const all = await sampled(times, [ceiling, ...works]);
  const most = all[0]?.samples ?? [];
  return all.map(({ work, samples }) => {
    const share = median(samples.map(({ perSecond }, time) => perSecond / (most[time]?.perSecond ?? perSecond)));
    return { ...figureOf(work, samples), beside: work === ceiling ? null : asShare(share) };
  });
}

/** The figure with its share of a ceiling that was measured as often as its own length allowed. */
export const shareOf = (figure: Figure, ceiling: Figure | undefined): Figure => ({ ...figure, beside: asShare((figure.perSecond ?? NaN) / (ceiling?.perSecond ?? NaN)) });

const asShare = (part: number): string => `${Math.round(100 * part)} % of ceiling`;

/** A line that says one thing in words. */
export const remark = (name: string, beside: string): Figure => ({
  name, beside, runs: 1, operations: null, perSecond: null, cpuMicros: null, commitsPerSecond: null, eventsPerCommit: null, latency: null, peakMiB: null,
});

/** By how much the CPU time of an event differs over a curve; nothing where it can't be told. */
export function spreadOf(figures: readonly Figure[]): readonly Figure[] {
  const cpu = figures.flatMap(({ cpuMicros }) => cpuMicros ?? []);
  return cpu.length === 0 || Math.min(...cpu) === 0 ? [] : [remark('CPU time of an event, largest ÷ smallest', (Math.max(...cpu) / Math.min(...cpu)).toFixed(2))];
}

interface Sampled {
  readonly work: Work;
  readonly samples: readonly Sample[];
}

async function sampled({ warm, counted }: Times, works: readonly Work[]): Promise<readonly Sampled[]> {
  const all = works.map((work) => ({ work, samples: [] as Sample[] }));
  for (let time = 0; time < warm + counted; time += 1) {
    for (const { work, samples } of all) {
      const sample = await sampleOf(work, time);
      if (time >= warm) samples.push(sample);
    }
  }
  return all;
}

async function sampleOf({ of: { pid, commits }, ...work }: Work, time: number): Promise<Sample> {
  const commitsBefore = await commits?.();
  const cpuBefore = cpuMsOf(pid);
  const startMs = performance.now();
  const done = await work.do(time);
  const elapsed = (performance.now() - startMs) / 1_000;
  const cpuAfter = cpuMsOf(pid);
  const { operations, latency = null, seconds = elapsed } = typeof done === 'number' ? { operations: done } : done;
  const cpuMicros = cpuBefore === null || cpuAfter === null ? null : ((cpuAfter - cpuBefore) * 1_000) / operations;
  return { operations, perSecond: operations / seconds, cpuMicros, latency, ...between(commitsBefore, await commits?.(), seconds) };
}

function between(before: Commits | undefined, after: Commits | undefined, seconds: number): Pick<Figure, 'commitsPerSecond' | 'eventsPerCommit'> {
  if (before === undefined || after === undefined) return { commitsPerSecond: null, eventsPerCommit: null };
  const commits = after.commits - before.commits;
  return { commitsPerSecond: commits / seconds, eventsPerCommit: commits === 0 ? null : (after.events - before.events) / commits };
}

function figureOf({ name, of: { pid, commits } }: Work, samples: readonly Sample[]): Figure {
  const of = (value: (sample: Sample) => number | null): number | null => {
    const values = samples.flatMap((sample) => value(sample) ?? []);
    return values.length === 0 ? null : median(values);
  };
  const [p50Ms, p99Ms] = [of(({ latency }) => latency?.p50Ms ?? null), of(({ latency }) => latency?.p99Ms ?? null)];
  return {
    name,
    runs: samples.length,
    operations: of(({ operations }) => operations),
    perSecond: of(({ perSecond }) => perSecond),
    cpuMicros: of(({ cpuMicros }) => cpuMicros),
    commitsPerSecond: of(({ commitsPerSecond }) => commitsPerSecond),
    eventsPerCommit: of(({ eventsPerCommit }) => eventsPerCommit),
    latency: p50Ms === null || p99Ms === null ? null : { p50Ms, p99Ms },
    peakMiB: commits === undefined ? null : peakMemoryMiB(pid),
    beside: null,
  };
}

/** Of an odd number the middle one, of an even number the lower of the two. */
function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) / 2)] ?? NaN;
}
