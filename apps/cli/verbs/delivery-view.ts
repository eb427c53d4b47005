import { isRecord, type JsonRecord, listOf, recordOf, scalar, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { type Column, listView } from '../pages.ts';
import { factsOf, type Look, paint, sheet, show } from '../table.ts';
import { label, visible } from '../text.ts';

const column = (heading: string, member: string): Column => [heading, (item, look) => show(look, item[member])];

const columns: readonly Column[] = [
  column('ID', 'id'),
  column('STATUS', 'status'),
  column('EVENT', 'eventId'),
  column('TYPE', 'eventType'),
  column('ATTEMPTS', 'attempts'),
  column('NEXT ATTEMPT', 'nextAttemptAt'),
  column('CREATED', 'createdAt'),
  column('REASON', 'reason'),
];

/** Deliveries of one subscription. */
export const deliveryList = listView(columns, 'id');
/** Deliveries of a whole site. */
export const siteDeliveryList = listView([columns[0]!, column('SUBSCRIPTION', 'subscriptionId'), ...columns.slice(1)], 'id');

export const deliveryFacts = ({ id, subscriptionId, eventId, eventType, status, reason, attempts, nextAttemptAt, createdAt, updatedAt }: JsonRecord, look: Look): readonly (readonly [string, string])[] =>
  factsOf(look, { delivery: id, subscription: subscriptionId, event: eventId, eventType, status, reason, attempts, nextAttemptAt, createdAt, updatedAt });

/** One delivery with the transcripts of its attempts, one below the other. */
export const deliveryView: View = {
  table: (body, look) => [sheet(look, deliveryFacts(body, look)), ...listOf(body, 'transcripts').filter(isRecord).map((transcript) => attemptText(transcript, look))].join('\n\n'),
  essentials: (body) => [textOf(body, 'id') ?? ''],
};

function attemptText(transcript: JsonRecord, look: Look): string {
  const { decision, subscriptionRevision, secretVersionIds } = transcript;
  const { next, why, nextAttemptAt } = isRecord(decision) ? decision : {};
  const then = `${show(look, next)}${why === undefined || why === null ? '' : `: ${show(look, why)}`}${nextAttemptAt === undefined || nextAttemptAt === null ? '' : `, next attempt ${show(look, nextAttemptAt)}`}`;
  const title = paint(look, 'bold', `Attempt ${textOf(transcript, 'attempt') ?? '?'}`);
  return `${title}\n${transcriptText(transcript, look, [['Decided', then], ...factsOf(look, { subscriptionRevision, secretVersions: secretVersionIds })])}`;
}

/** What was sent and what came back, as in `curl -v`, and when, how fast, from where, and what more there is to say. */
export function transcriptText(transcript: JsonRecord, look: Look, more: readonly (readonly [string, string])[] = []): string {
  const request = recordOf(transcript, 'request') ?? {};
  const response = recordOf(transcript, 'response');
  const { startedAt, remoteAddress } = transcript;
  const sent = message('> ', `${textOf(request, 'method') ?? ''} ${textOf(request, 'url') ?? ''}`, request, '(the body is no longer kept)');
  const received = response === undefined ? [`< ${paint(look, 'red', `no answer: ${textOf(transcript, 'error') ?? 'unknown'}`)}`] : answerText(response, look);
  return [...sent, ...received, sheet(look, [...factsOf(look, { startedAt, remoteAddress }), ['Took', took(transcript)], ...more])].join('\n');
}

function answerText(response: JsonRecord, look: Look): readonly string[] {
  const cut = response['truncated'] === true ? [paint(look, 'dim', '(the answer was longer: this is what is kept of it)')] : [];
  return [...message('< ', textOf(response, 'status') ?? '', response, ''), ...cut];
}

/** The whole time and, in the same unit, the steps there were. */
function took(transcript: JsonRecord): string {
  const steps = Object.entries(recordOf(transcript, 'timings') ?? {}).filter(([name, value]) => name !== 'totalMs' && value !== null);
  const named = steps.map(([name, value]) => `${label(name.replace(/Ms$/, '')).toLowerCase()} ${scalar(value) ?? '?'}`);
  return `${textOf(transcript, 'durationMs') ?? '?'} ms${named.length === 0 ? '' : ` (${named.join(', ')})`}`;
}

function message(sign: string, start: string, { headers, body }: JsonRecord, noBody: string): readonly string[] {
  const fields = Object.entries(isRecord(headers) ? headers : {}).map(([name, value]) => `${name}: ${scalar(value) ?? ''}`);
  const text = typeof body === 'string' ? body : noBody;
  return [start, ...fields, ...(text === '' ? [] : ['', ...text.split(/\r?\n/)])].map((line) => `${sign}${visible(line)}`.trimEnd());
}
