import Table from 'cli-table3';
import type { Figure } from './figure.ts';

const whole = (value: number | null): string => (value === null ? '' : Math.round(value).toLocaleString('en-US'));
const percent = ({ perSecond, ceiling }: Figure): string => (ceiling === null ? '' : `${Math.round((100 * perSecond) / ceiling.perSecond)} %`);

const heads = ['', 'operations', 'per second', 'CPU µs each', 'commits/s', 'events/commit', 'of ceiling', 'peak MiB'];

/** All figures as one table. */
export function tableOf(figures: readonly Figure[]): string {
  const table = new Table({ head: heads, style: { head: [], border: [], compact: true }, colAligns: ['left', ...heads.slice(1).map(() => 'right' as const)] });
  for (const figure of figures) {
    const eventsPerCommit = figure.eventsPerCommit === null ? '' : figure.eventsPerCommit.toFixed(1);
    table.push([figure.name, whole(figure.operations), whole(figure.perSecond), whole(figure.cpuMicros), whole(figure.commitsPerSecond), eventsPerCommit, percent(figure), whole(figure.peakMiB)]);
  }
  return table.toString();
}
