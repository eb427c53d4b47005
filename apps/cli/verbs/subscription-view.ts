import { isRecord, type JsonRecord, listOf, recordOf, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { type Column, listView } from '../pages.ts';
import { factsOf, type Look, sheet, show } from '../table.ts';

type Fact = readonly [string, string];

const column = (heading: string, member: string): Column => [heading, (item, look) => show(look, item[member])];
const health = (item: unknown, member: string): unknown => recordOf(item, 'health')?.[member];

export const subscriptionList = listView(
  [
    column('ID', 'id'),
    ['STATUS', (item, look) => statusOf(item, look)],
    column('EVENTS', 'events'),
    column('URL', 'url'),
    column('MODE', 'deliveryMode'),
    ['FAILURES', (item, look) => show(look, health(item, 'consecutiveFailures'))],
    ['OLDEST UNDELIVERED', (item, look) => show(look, health(item, 'oldestUndeliveredAt'))],
  ],
  'id',
);

/** A subscription, or what a change of one was answered with. */
export const subscriptionView: View = { table: (body, look) => sheet(look, subscriptionFacts(body, look)), essentials: (body) => [textOf(body, 'id') ?? ''] };

/** What a change was answered with: the thing it changed stands in `member`. With `--quiet` its id, and its secret on a line of its own. */
export const changeView = (member: string, facts: (thing: JsonRecord, look: Look) => readonly Fact[]): View => ({
  table: (body, look) => sheet(look, [...facts(recordOf(body, member) ?? {}, look), ...cameTo(body, look)]),
  essentials: (body) => [textOf(recordOf(body, member), 'id') ?? '', ...secretOf(body)],
});

export const secretOf = (body: JsonRecord): readonly string[] => [textOf(body, 'secret')].flatMap((secret) => secret ?? []);

const cameTo = ({ secret, outcome, position }: JsonRecord, look: Look): readonly Fact[] => factsOf(look, { ...(secret === undefined ? {} : { secret }), outcome, position });

/** All of a subscription; what does not apply is left out. */
export function subscriptionFacts(subscription: JsonRecord, look: Look): readonly Fact[] {
  const { id, siteId, events, filter, url, description, deliveryMode, timeoutMs, retrySchedule, rateLimit, labels, headers, revision, createdAt, updatedAt, purgeAt } = subscription;
  return [
    ...factsOf(look, { subscription: id, site: siteId }),
    ['Status', statusOf(subscription, look)],
    ...factsOf(look, { events, ...(typeof filter === 'string' ? { filter } : {}) }),
    ['URL', show(look, url)],
    ...factsOf(look, { description, deliveryMode, timeoutMs, ...(Array.isArray(retrySchedule) ? { retrySchedule } : {}), ...(typeof rateLimit === 'number' ? { rateLimit } : {}), labels, headers }),
    ['Signed with', signedWith(subscription, look)],
    ...factsOf(look, isRecord(subscription['health']) ? subscription['health'] : {}),
    ...factsOf(look, { revision, createdAt, updatedAt }),
    ...(purgeAt === null || purgeAt === undefined ? [] : [['Can be restored until', show(look, purgeAt)] as const]),
  ];
}

function statusOf(subscription: JsonRecord, look: Look): string {
  const reason = subscription['pausedReason'];
  return `${show(look, subscription['status'])}${reason === null || reason === undefined ? '' : ` (${show(look, reason)})`}`;
}

function signedWith(subscription: JsonRecord, look: Look): string {
  const secret = recordOf(subscription, 'secret');
  const until = secret?.['graceUntil'];
  const grace = until === null || until === undefined ? '' : `, and with the one before until ${show(look, until)}`;
  return `${show(look, secret?.['versionId'])} (${show(look, secret?.['kind'])})${grace}`;
}

/** What somebody is about to lose, in one line. */
export const inOneLine = (subscription: JsonRecord, look: Look): string => `${show(look, subscription['id'])}: ${show(look, listOf(subscription, 'events'))} to ${show(look, subscription['url'])}`;
