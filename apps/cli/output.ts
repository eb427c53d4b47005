import type { Answer } from './http.ts';
import type { Io } from './io.ts';
import { jsonLines, type JsonRecord } from './json.ts';
import type { Look } from './table.ts';

export type Format = 'table' | 'json' | 'jsonl';

/** How the answer of one verb looks to a person, and what of it matters to a script that asked for nothing else. */
export interface View {
  readonly table: (body: JsonRecord, look: Look) => string;
  /** The lines of `--quiet`: ids, a secret. */
  readonly essentials: (body: JsonRecord) => readonly string[];
}

/** Where results and notes go: results to stdout in the chosen form, everything said about them to stderr. */
export interface Output {
  readonly format: Format;
  readonly quiet: boolean;
  /** How things look on stdout, and on stderr. */
  readonly look: Look;
  readonly asideLook: Look;
  /** Prints an answer. While watching, JSON is one line an item: there is no end at which one document could close. */
  readonly answer: (answer: Answer, view: View, watching?: boolean) => void;
  /** A line for a person; not with `--quiet`. */
  readonly note: (text: string) => void;
  /** A line that must be seen. */
  readonly warn: (text: string) => void;
}

export function outputOf(io: Io, settings: { readonly format: Format | undefined; readonly quiet: boolean; readonly color: boolean }): Output {
  const { quiet } = settings;
  const format = settings.format ?? (io.stdout.isTTY === true ? 'table' : 'json');
  const color = settings.color && !io.environment.noColor;
  const look = { color: color && io.stdout.isTTY === true, timeZone: io.timeZone };
  const asideLook = { color: color && io.stderr.isTTY === true, timeZone: io.timeZone };
  const print = (lines: readonly string[]): void => lines.forEach((line) => io.stdout.write(`${line}\n`));
  const warn = (text: string): void => void io.stderr.write(`${text}\n`);
  return {
    format,
    quiet,
    look,
    asideLook,
    answer: ({ text, body }, view, watching = false) => {
      if (quiet) return print(view.essentials(body));
      if (format === 'jsonl' || (watching && format === 'json')) return print(jsonLines(text));
      print([format === 'json' ? text : view.table(body, look)].filter((shown) => shown !== ''));
    },
    note: (text) => (quiet ? undefined : warn(text)),
    warn,
  };
}
