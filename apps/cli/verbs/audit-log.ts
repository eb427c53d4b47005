import { formatPrincipal, type Position, startOfLog } from '#kernel';
import { optional, toggle, type Values } from '../flags.ts';
import { commandType, key, name, pastMoment, position, principal, text, wholeNumber } from '../forms.ts';
import type { Request } from '../http.ts';
import { type Io, UsageError } from '../io.ts';
import { type JsonRecord, listOf, readJson, textOf } from '../json.ts';
import { live } from '../live.ts';
import type { View } from '../output.ts';
import { type Column, listView } from '../pages.ts';
import { printScan } from '../scan.ts';
import { type SiteSession, siteVerb } from '../site.ts';
import { type Look, show, told } from '../table.ts';

/** What both lists of the record can be narrowed to, and how much of them is read. */
const recordFlags = {
  since: optional('--since <time>', pastMoment, 'from when on: RFC 3339, or how long ago (30m, 2h, 3d)'),
  until: optional('--until <time>', pastMoment, 'until when, in the same forms'),
  actor: optional('--actor <TYPE:ID>', principal, 'only what this actor did'),
  limit: optional('--limit <n>', wholeNumber(1, Number.MAX_SAFE_INTEGER), 'how many at most; all when omitted'),
  cursor: optional('--cursor <cursor>', text(4_096), 'go on where the answer before this one ended'),
};

function recordQuery({ since, until, actor }: Pick<Values<typeof recordFlags>, 'since' | 'until' | 'actor'>, { clock }: Io): Readonly<Record<string, string | undefined>> {
  return { since: since?.(clock.now()), until: until?.(clock.now()), actor: actor && formatPrincipal(actor) };
}

const who = (item: JsonRecord, look: Look): string => {
  const chain = listOf(item, 'onBehalfOf');
  return `${show(look, item['actor'])}${chain.length === 0 ? '' : ` for ${show(look, chain)}`}`;
};

// Pages, and what comes live, are tables of their own: so wide, and their columns stand below each other.
const column = (heading: string, width: number, cell: (item: JsonRecord, look: Look) => string): Column => [heading.padEnd(width), (item, look) => cell(item, look).padEnd(width)];
const member = (heading: string, width: number, name: string): Column => column(heading, width, (item, look) => show(look, item[name]));

const eventColumns: readonly Column[] = [
  member('POSITION', 8, 'position'),
  member('TIME', 26, 'recordedAt'),
  column('WHO', 20, who),
  member('EVENT', 36, 'type'),
  member('RESOURCE', 30, 'resourceId'),
  member('COMMAND', 36, 'commandId'),
];

const refusalColumns: readonly Column[] = [
  member('POSITION', 8, 'position'),
  member('TIME', 26, 'at'),
  column('WHO', 20, who),
  member('COMMAND', 32, 'commandType'),
  member('RESOURCE', 30, 'resourceId'),
  member('REFUSED', 24, 'code'),
  ['WHY', (item, look) => `${told(look, textOf(item, 'detail') ?? '-')}${suppressed(item)}`],
];

const suppressed = (item: JsonRecord): string => (Number(item['suppressed'] ?? 0) > 0 ? ` (${Number(item['suppressed'])} more of this key came before it)` : '');

const path = '/api/audit/events';
const events = (headings: boolean): View => listView(eventColumns, 'position', { headings });

export const refusals = siteVerb({
  name: 'refusals',
  summary: 'List what was refused: gated commands, and votes',
  details:
    'Newest first: an approval that was missing, for something else or of the requester, and actors that a key may not name. Of what one key is refused again and again, some are listed and the others counted. ' +
    'Reads to the end unless --limit says otherwise. Needs the scope site:<site>:audit. With --quiet: the positions.',
  examples: ['kf audit refusals --site tnt_demo --since 7d', 'kf audit refusals --site tnt_demo --actor USER:usr_sam --limit 20'],
  flags: recordFlags,
  run: (session, { limit, cursor, ...past }) => printScan(session, { method: 'GET', path: '/api/audit/refusals', query: recordQuery(past, session.io) }, { limit, cursor }, (headings) => listView(refusalColumns, 'position', { headings })),
});

export const log = siteVerb({
  name: 'log',
  summary: 'Read the record of a site: every event, in the order of the log',
  details:
    'Without --follow it reads to the end, or until --limit. With --follow it prints what there is from --since or --from on (without them: nothing), then each event as it is recorded, until interrupted; when the connection breaks it goes on ' +
    'where it was. JSON is then one object a line. Needs the scope site:<site>:audit. With --quiet: the positions, which --from takes.',
  examples: [
    'kf audit log --site tnt_demo --since 24h --actor USER:usr_sam',
    'kf audit log --site tnt_demo --command-type RotateWebhookSubscriptionSecret --output jsonl',
    'kf audit log --site tnt_demo --resource-id whs_01k8… --since 2026-11-01T00:00:00Z --follow',
  ],
  flags: {
    ...recordFlags,
    commandType: optional('--command-type <type>', commandType, 'only what this kind of command did'),
    resourceId: optional('--resource-id <id>', key, 'only what is about this subscription, delivery, approval, event, key or policy'),
    approvalId: optional('--approval-id <id>', name, 'only what is about this approval or used it'),
    correlationId: optional('--correlation-id <id>', text(255), 'only what belongs to one request'),
    follow: toggle('--follow', 'go on with what is recorded, until interrupted'),
    from: optional('--from <position>', position, 'with --follow: what was recorded after this position; 0 is the start'),
  },
  run: (session, { follow, limit, cursor, from, ...wanted }) => {
    const misplaced = follow ? givenOf({ '--until': wanted.until, '--limit': limit, '--cursor': cursor }) : givenOf({ '--from': from });
    if (misplaced.length > 0) throw new UsageError(misplaced.map((flag) => `${flag} ${follow ? 'does not go with --follow, which has no end' : 'goes with --follow only: --since says from when on'}`));
    const { since, until, actor, ...filters } = wanted;
    const query = { ...recordQuery({ since, until, actor }, session.io), ...filters };
    if (follow) return followLog(session, query, from ?? (since === undefined ? undefined : startOfLog));
    return printScan(session, { method: 'GET', path, query }, { limit, cursor }, events);
  },
});

const givenOf = (flags: Readonly<Record<string, unknown>>): readonly string[] => Object.keys(flags).filter((flag) => flags[flag] !== undefined);

/** The past after a position, and what comes, one event after the other. */
function followLog(session: SiteSession, query: Request['query'], from: Position | undefined): Promise<void> {
  let headings = true;
  return live(session, { path, query: { ...query, follow: 'true' }, from }, ({ data }) => {
    session.output.answer({ text: data, body: { items: [readJson(data)] } }, events(headings), true);
    headings = false;
  });
}
