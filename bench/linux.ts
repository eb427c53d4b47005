import { readFileSync } from 'node:fs';

// What Linux tells about a process, all its threads together. Elsewhere these figures are left out.

const ticksPerSecond = 100;

const read = (path: string): string | null => (process.platform === 'linux' ? readFileSync(path, 'utf8') : null);

/** CPU time of a process so far, in user and kernel mode, in milliseconds; null where it can't be told. proc(5), `stat`. */
export function cpuMsOf(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the program's name, which may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}

/** The most memory a process ever had resident (VmHWM), in MiB; null where it can't be told. */
export function peakMemoryMiB(pid: number): number | null {
  const status = read(`/proc/${pid}/status`);
  return status === null ? null : Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
}
