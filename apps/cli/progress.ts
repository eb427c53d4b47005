import type { Io } from './io.ts';
import type { Output } from './output.ts';
import { visible } from './text.ts';

const cells = 24;
/** ECMA-48: to the start of the line, and erase it. */
const wipe = '\r\u001b[K';

/** How far long work is. `total` is undefined while it is not known yet. */
export interface Step {
  readonly done: number;
  readonly total: number | undefined;
  /** What is said after the numbers. */
  readonly more: string;
}

/** A bar on a terminal's stderr that stays on one line; nothing where nobody watches. */
export interface Progress {
  readonly show: (step: Step) => void;
  /** Takes the bar away, before something else is printed. */
  readonly end: () => void;
}

export function progressOn({ stderr }: Pick<Io, 'stderr'>, { quiet }: Pick<Output, 'quiet'>): Progress {
  const write = (text: string): void => void (stderr.isTTY === true && !quiet && stderr.write(`${wipe}${text}`));
  return { show: (step) => write(lineOf(step)), end: () => write('') };
}

function lineOf({ done, total, more }: Step): string {
  const count = (number: number): string => number.toLocaleString('en-US');
  if (total === undefined) return `${count(done)}${visible(more)}`;
  const part = total > 0 ? Math.min(done / total, 1) : 1;
  const full = Math.floor(part * cells);
  return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}] ${count(done)} of ${count(total)}${visible(more)}`;
}
