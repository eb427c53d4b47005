import Table from 'cli-table3';
import type { Figure } from './figure.ts';

/** The figures of one scenario. */
export interface Section {
  readonly scenario: string;
  readonly figures: readonly Figure[];
}

const whole = (value: number | null): string => (value === null ? '' : Math.round(value).toLocaleString('en-US'));
const tenths = (value: number | null | undefined): string => (value === null || value === undefined ? '' : value.toFixed(1));

const heads = ['scenario', '', 'runs', 'operations', 'per second', 'CPU µs each', 'commits/s', 'events/commit', 'p50 ms', 'p99 ms', 'peak MiB', 'beside'];
const isText = (column: number): boolean => column < 2 || column === heads.length - 1;

const rowsOf = (sections: readonly Section[]): readonly (readonly string[])[] =>
  sections.flatMap(({ scenario, figures }) =>
    figures.map(({ name, runs, operations, perSecond, cpuMicros, commitsPerSecond, eventsPerCommit, latency, peakMiB, beside }, index) => [
      index === 0 ? scenario : '', name, String(runs), whole(operations), whole(perSecond), whole(cpuMicros), whole(commitsPerSecond), tenths(eventsPerCommit),
      tenths(latency?.p50Ms), tenths(latency?.p99Ms), whole(peakMiB), beside ?? '',
    ]),
  );

/** All figures as one table. */
export function tableOf(sections: readonly Section[]): string {
  const table = new Table({ head: heads, style: { head: [], border: [], compact: true }, colAligns: heads.map((_, column) => (isText(column) ? 'left' : 'right')) });
  for (const row of rowsOf(sections)) table.push([...row]);
  return table.toString();
}

/** The same in Markdown. */
export function markdownOf(sections: readonly Section[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map((_, column) => (isText(column) ? '---' : '--:'))), ...rowsOf(sections).map(line)].join('\n');
}
