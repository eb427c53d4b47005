import type { Sent } from './command.ts';
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
 * typed relative to then, and without the API key.
 */
export function retryLine({ program, argv }: Typed, { key, payload }: Sent): string {
  const exact = new Map<string, unknown>([['--idempotency-key', key], ...timeFlags.map(([flag, member]): [string, unknown] => [flag, payload[member]])]);
  const apart = argv.flatMap((word) => (/^--(api-key|idempotency-key|expires-on|due-on)=/.test(word) ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word]));
  const words = apart.flatMap((word, index) => {
    const before = apart[index - 1] ?? '';
    if (word === '--api-key' || before === '--api-key') return [];
    const known = exact.get(before);
    return [typeof known === 'string' ? known : word];
  });
  return shellLine([...program, ...words, ...(words.includes('--idempotency-key') ? [] : ['--idempotency-key', key])]);
}

const timeFlags = [
  ['--expires-on', 'expiresOn'],
  ['--due-on', 'dueOn'],
] as const;

/** The flags that name a command's site and actor. */
export function whoAndWhere({ site, actor }: Pick<Sent, 'site' | 'actor'>): readonly string[] {
  const chain = (actor.onBehalfOf ?? []).flatMap(({ type, id }) => ['--on-behalf-of', `${type}:${id}`]);
  return [...whereWords({ site }), '--actor-type', actor.type, '--actor-id', actor.id, ...chain];
}

export const whereWords = ({ site }: Pick<Sent, 'site'>): readonly string[] => ['--tenant', site.tenant, '--environment', site.environment];
