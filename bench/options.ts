import { parseArgs } from 'node:util';
import { didYouMean } from '#kernel';

export interface Options {
  /** Which scenarios, in the order of the list. */
  readonly names: readonly string[];
  /** Everything works, and little is done. */
  readonly isShort: boolean;
  readonly isMarkdown: boolean;
  /** Where the servers under test leave CPU profiles when they end; null: they make none. */
  readonly profileDir: string | null;
}

/** What the command line asks for. Throws a `TypeError` with what is wrong with it. */
export function readOptions(args: readonly string[], known: readonly string[]): Options {
  const options = { only: { type: 'string', multiple: true }, smoke: { type: 'boolean' }, markdown: { type: 'boolean' }, profile: { type: 'string' } } as const;
  const { values } = parseArgs({ args: [...args], options });
  const only = values.only ?? known;
  for (const name of only) {
    if (!known.includes(name)) throw new TypeError(`--only takes ${known.join(', ')}; "${name}" is none of them.${didYouMean(name, known)}`);
  }
  return { names: known.filter((name) => only.includes(name)), isShort: values.smoke === true, isMarkdown: values.markdown === true, profileDir: values.profile ?? null };
}
