/** One command of a recorded terminal session, and what the terminal showed. */
export interface Typed {
  readonly command: string;
  readonly shown: readonly string[];
}

/** The commands (`$ `, continued by `> `) of terminal text, each with the lines that follow it. */
export function readTranscript(text: string): readonly Typed[] {
  const typed: { command: string; shown: string[] }[] = [];
  for (const line of text.trimEnd().split('\n')) {
    const last = typed.at(-1);
    if (line.startsWith('$ ')) typed.push({ command: line.slice(2), shown: [] });
    else if (last === undefined) throw new SyntaxError(`a transcript begins with a command, not with ${line}`);
    else if (line.startsWith('> ') && last.command.endsWith('\\')) last.command += `\n${line.slice(2)}`;
    else last.shown.push(line);
  }
  return typed;
}

/** Terminal text as it is written down. */
export const writeTranscript = (typed: readonly Typed[]): string => typed.map(({ command, shown }) => [`$ ${command.replaceAll('\n', '\n> ')}\n`, ...shown.map((line) => `${line}\n`)].join('')).join('');

const mark = '\u0001';

/** A script that types the commands one after the other and shows where each ends. One that fails ends it, unless it says itself what then. */
export const scriptOf = (commands: readonly string[]): string => ['exec 2>&1', ...commands.flatMap((command) => [command, `echo '${mark}'`])].join('\n');

/** What each command showed, from all that the script said. */
export function shownBy(commands: readonly string[], said: string): readonly Typed[] {
  const parts = said.split(`${mark}\n`);
  return parts.slice(0, commands.length).map((part, index) => ({ command: commands[index] ?? '', shown: part === '' ? [] : part.trimEnd().split('\n').map((line) => line.trimEnd()) }));
}

const changing: readonly (readonly [RegExp, string])[] = [
  [/\b([a-z]{3})_[0-9a-z]{26}\b/g, '$1_…'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID'],
  [/\b[0-9a-f]{64}\b/g, 'SHA256'],
  [/whsec_[A-Za-z0-9+/=]+/g, 'whsec_…'],
  [/\bv1,[A-Za-z0-9+/=]{44}/g, 'v1,…'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d\d:\d\d)/g, 'TIME'],
  [/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ GMT/g, 'TIME'],
  // A connection that was kept alive is not made again.
  [/\(connect [\d.]+, /g, '('],
  [/\b\d+(\.\d+)?\b/g, 'N'],
  [/ {2,}/g, ' '],
];

/** What stays the same from run to run: ids, times, numbers, secrets and the widths of columns left out. */
export const shapeOf = (line: string): string => changing.reduce((text, [what, stand]) => text.replaceAll(what, stand), line).trim();
