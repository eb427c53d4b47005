import type { Sent } from './command.ts';
import { type JsonRecord, listOf, textOf } from './json.ts';
import { shellLine } from './text.ts';

/** The line that was typed: the words that run us, and those after them. */
export interface Typed {
  readonly program: readonly string[];
  readonly argv: readonly string[];
}

/** The flags of a typed line that say which server and profile, without the key: `--api-key` is never repeated. */
export function connectionWords(argv: readonly string[]): readonly string[] {
  return argv.flatMap((word, index) => {
    if (/^--(server|profile)=/.test(word)) return [word];
    return /^--(server|profile)$/.test(word) ? argv.slice(index, index + 2) : [];
  });
}

/**
 * The typed line again, so that it means the same command: with its idempotency key, with times in full where they were
 * typed relative to then, and without the API key and the values of headers (a `…`, which no header takes, stands for each).
 */
export function retryLine({ program, argv }: Typed, { key, payload }: Sent): string {
  const exact = new Map<string, unknown>([['--idempotency-key', key], ...timeFlags.map(([flag, member]): [string, unknown] => [flag, payload[member]])]);
  const apart = argv.flatMap((word) => (/^--(api-key|header|idempotency-key|expires-on|due-on|since|until)=/.test(word) ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word]));
  const words = apart.flatMap((word, index) => {
    const before = apart[index - 1] ?? '';
    if (word === '--api-key' || before === '--api-key') return [];
    if (before === '--header') return [word.replace(/=.+$/s, '=…')];
    const known = exact.get(before);
    return [typeof known === 'string' ? known : word];
  });
  return shellLine([...program, ...words, ...(words.includes('--idempotency-key') ? [] : ['--idempotency-key', key])]);
}

const timeFlags = [
  ['--expires-on', 'expiresOn'],
  ['--due-on', 'dueOn'],
  ['--since', 'since'],
  ['--until', 'until'],
] as const;

/** The flags that name a command's actor: the one that was named, else the API key's as the server's template has it. */
export function whoWords(named: Sent['actor'], template: JsonRecord | undefined): readonly string[] {
  const actor = named ?? template;
  const chain = listOf(actor, 'onBehalfOf').flatMap((one) => ['--on-behalf-of', `${textOf(one, 'type') ?? ''}:${textOf(one, 'id') ?? ''}`]);
  return ['--actor-type', textOf(actor, 'type') ?? 'USER', '--actor-id', textOf(actor, 'id') ?? '<you>', ...chain];
}

/** The flags that name a command's site. */
export const whereWords = ({ site }: Pick<Sent, 'site'>): readonly string[] => ['--tenant', site.tenant, '--environment', site.environment];
