import type { CommandAnswer, DryRunAnswer } from '#command-pipeline';
import { type CommandAnswerDto, type CommandType, type DryRunDto } from '#contracts';
import { catalogue } from './catalogue.ts';

/** The answer of a command as it goes out. The one place where a secret becomes text: in the answer of the attempt that made it. */
export function answerOf(commandType: CommandType, { secret, result, ...answer }: CommandAnswer): CommandAnswerDto {
  if (catalogue[commandType].showsSecret !== true) return { ...answer, result };
  return { ...answer, result: { ...result, secret: secretText({ secret }) } };
}

/** The secret of an answer that shows it; null on a replay and where none was made. */
export const secretText = ({ secret }: Pick<CommandAnswer, 'secret'>): string | null => (secret === null ? null : secret.reveal());

export const dryRunAnswerOf = ({ unmet, ...answer }: DryRunAnswer): DryRunDto => ({
  ...answer,
  unmet: unmet.map(({ refused, detail, members }) => ({ code: refused, detail, ...members })),
});
