import { formatSite } from '#kernel';
import { CommandFailed, type Sent } from './command.ts';
import { errorText } from './error-code.ts';
import { NoAnswer, ProblemAnswer } from './http.ts';
import { UsageError } from './io.ts';
import { listOf, recordOf, scalar, textOf } from './json.ts';
import { connectionWords, retryLine, type Typed, whereWords, whoWords } from './retry.ts';
import { type Look, paint } from './table.ts';
import { shellLine, shellWord, visible } from './text.ts';

/** A failure in words, on stderr: what is wrong, where, and what to type next. */
export function explain(error: unknown, typed: Typed, look: Look): readonly string[] {
  const title = (text: string): string => `${paint(look, 'red', 'error:')} ${visible(text)}`;
  if (error instanceof UsageError) return [...error.issues.map(title), 'Nothing was sent. See --help of the command.'];
  const cause = error instanceof CommandFailed ? error.cause : error;
  const sent = error instanceof CommandFailed ? error.sent : undefined;
  if (cause instanceof ProblemAnswer) return [title(titleOf(cause)), ...detailsOf(cause), ...adviceOn(cause, sent, typed)];
  const said = title(errorText(cause));
  return cause instanceof NoAnswer && sent !== undefined ? [said, ...afterSilence(cause, sent, typed)] : [said];
}

const titleOf = (answer: ProblemAnswer): string => `${textOf(answer.problem, 'title') ?? 'Refused'} (${[answer.slug, answer.status].filter((part) => part !== '').join(', ')})`;

function detailsOf({ problem, status, noKeyIn }: ProblemAnswer): readonly string[] {
  const fields = listOf(problem, 'errors').map((item) => `${textOf(item, 'path') ?? '?'}: ${textOf(item, 'message') ?? ''}`);
  const unmet = listOf(problem, 'unmet').map((item) => `- ${scalar(item) ?? textOf(item, 'detail') ?? textOf(item, 'message') ?? JSON.stringify(item)}`);
  const correlation = textOf(problem, 'correlationId');
  const detail = textOf(problem, 'detail') ?? '';
  // Several approvals may lack the same; what the detail says already needs no second line.
  const said = new Set([...fields, ...unmet].filter((line) => line !== `- ${detail}`));
  const lines = [detail, ...said, correlation === undefined ? '' : `correlation id: ${correlation}`];
  const sought = noKeyIn === undefined ? '' : `No API key is configured, and there is no key in ${visible(noKeyIn)}. `;
  const hint = status === 401 ? [`${sought}Give an API key with --api-key, KF_API_KEY or kf profile set <name> --api-key <key>.`] : [];
  return [...lines.filter((line) => line !== '').map((line) => `  ${visible(line)}`), ...hint];
}

interface Case extends Typed {
  readonly answer: ProblemAnswer;
  readonly sent: Sent;
}

/** What helps, by the name of the case. */
const advice: Readonly<Record<string, (of: Case) => readonly string[]>> = {
  'approval-required': (of) => (recordOf(of.answer.problem, 'approvalRequest') === undefined ? [] : fromRequestToEffect(of)),
  'approval-pending': (of) => [...howToGrant(of), ...again('When it is granted, the same command takes effect:', of)],
  'approval-expired': (of) => [...howToRequest(of), ...again('When it is granted:', of)],
  'approval-denied': (of) => howToRequest(of),
  'approval-withdrawn': (of) => howToRequest(of),
  'approval-revoked': (of) => howToRequest(of),
  'approval-invalidated': (of) => [...howToRequest(of), ...again('When it is granted:', of)],
  'approver-not-eligible': (of) => (of.sent.commandType === 'RequestApproval' ? howToMakeApprovers(of) : []),
  'approver-conflict': () => ['Somebody else must decide: nobody who asked, or for whom it was asked, may. They need an API key of their own.'],
  'idempotency-request-in-flight': (of) => again(`The same command is still running. Repeat it ${after(of)}: the same key takes effect at most once.`, of),
  'idempotency-key-reused': () => ['That idempotency key belongs to another request: use a new one, or leave it out.'],
  'concurrent-modification': (of) => again('Others changed it at the same moment. Nothing happened; repeat it:', of),
  'precondition-failed': () => ['It changed since that revision: read it again, then decide with the new revision.'],
  'outcome-unknown': (of) => again(`It may or may not have taken effect. Repeating it with the same key is safe, and tells; ${after(of)}:`, of),
};

/** Without a template there is no approval to ask for: then what the server says is all there is. */
const fromRequestToEffect = (of: Case): readonly string[] => [
  ...howToRequest(of),
  ...grantLines('Somebody else grants it, with an API key of their own:', undefined, of),
  ...again('When it is granted, the same command takes effect:', of),
];

const after = ({ answer }: Case): string => (answer.retryAfter === undefined ? 'in a moment' : /^\d+$/.test(answer.retryAfter) ? `in ${answer.retryAfter} s` : `after ${answer.retryAfter}`);

function adviceOn(answer: ProblemAnswer, sent: Sent | undefined, typed: Typed): readonly string[] {
  if (sent === undefined) return [];
  const of = { answer, sent, ...typed };
  const known = advice[answer.slug];
  if (known !== undefined) return known(of);
  return answer.status >= 500 ? again(`Repeating it with the same key is safe; ${after(of)}:`, of) : [];
}

function afterSilence(cause: NoAnswer, sent: Sent, typed: Typed): readonly string[] {
  const said = cause.mayHaveArrived
    ? `It may or may not have taken effect. Retry with --idempotency-key ${sent.key}: the same key takes effect at most once.`
    : `Nothing was sent. Retry with --idempotency-key ${sent.key}:`;
  return again(said, { sent, ...typed });
}

function again(said: string, { sent, ...typed }: Omit<Case, 'answer'>): readonly string[] {
  const stdin = typed.argv.filter((word) => word.endsWith('-stdin')).map((word) => `(with the same standard input for ${word})`);
  const headers = typed.argv.some((word) => /^--header(=|$)/.test(word)) ? ['(with the same values for --header)'] : [];
  return [said, `  ${[retryLine(typed, sent), ...stdin, ...headers].join('  ')}`];
}

/** The line that asks for the approval this command needs, made of the server's template; complete but for the reason. */
function howToRequest({ answer, sent, program, argv }: Case): readonly string[] {
  const template = recordOf(answer.problem, 'approvalRequest');
  const asked = recordOf(template, 'payload');
  // The template holds the payload only where the approval is for that very payload; signing secrets are not in it.
  const bound = recordOf(asked, 'payload');
  const line = shellLine([
    ...[...program, 'approval', 'request', ...connectionWords(argv), ...whereWords(sent), ...whoWords(sent.actor, recordOf(template, 'actor'))],
    ...['--command-type', textOf(asked, 'commandType') ?? sent.commandType],
    ...['--resource-id', textOf(asked, 'resourceId') ?? resourceOf(sent)],
    ...['--expires-on', textOf(asked, 'expiresOn') ?? '+4h', '--reason', 'why it is needed'],
    ...(bound === undefined ? [] : ['--payload-file', 'payload.json']),
  ]);
  const file = bound === undefined ? [] : ['  where payload.json holds exactly what is to be approved:', `  ${visible(JSON.stringify(bound))}`];
  return ['Ask for the approval:', `  ${visible(line)}`, ...file];
}

/** The line that makes somebody an approver, where nobody could grant what was asked for. */
function howToMakeApprovers({ sent, program, argv }: Case): readonly string[] {
  const scope = `site:${formatSite(sent.site)}:approve`;
  const line = shellLine([...program, 'key', 'create', ...connectionWords(argv), ...whereWords(sent), '--name', 'approver', '--scope', scope, '--actor']);
  return ['Somebody else needs an API key of their own that may approve here; an administrator makes it, before the request:', `  ${visible(line)} USER:<approver>`];
}

const resourceOf = ({ resourceId, payload }: Sent): string =>
  resourceId ?? scalar(payload['webhookSubscriptionId']) ?? scalar(payload['webhookDeliveryId']) ?? scalar(payload['commandType']) ?? '<resource id>';

/** The line with which somebody else grants the approval this command waits for. */
function howToGrant(of: Case): readonly string[] {
  const { answer, sent } = of;
  const [candidate] = listOf(answer.problem, 'candidates');
  const approvalId = sent.approvalId ?? textOf(answer.problem, 'approvalId') ?? textOf(candidate, 'approvalId');
  return grantLines('It waits for an approver: somebody who is not the requester, with an API key of their own:', approvalId, of);
}

function grantLines(said: string, approvalId: string | undefined, { sent, program, argv }: Case): readonly string[] {
  const line = shellLine([...program, 'approval', 'grant', ...connectionWords(argv), ...whereWords(sent)]);
  return [said, `  ${visible(`${line} --approval-id ${approvalId === undefined ? '<approval id>' : shellWord(approvalId)} --actor-type USER --actor-id <approver>`)}`];
}
