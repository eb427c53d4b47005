import { isRecord, type JsonRecord, listOf, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { type Column, listView } from '../pages.ts';
import { type Look, sheet, show } from '../table.ts';
import { fromNow, visible } from '../text.ts';

const when = (value: unknown, look: Look, nowMs: number): string => (typeof value === 'string' ? `${show(look, value)} (${fromNow(value, nowMs)})` : '-');

/** A list of approvals. While watching, only the first print has headings. */
export function approvalList(nowMs: number, { headings = true } = {}): View {
  const columns: readonly Column[] = [
    ['ID', (item, look) => show(look, item['id'])],
    ['STATUS', (item, look) => statusOf(item, look)],
    ['COMMAND', (item, look) => show(look, item['commandType'])],
    ['RESOURCE', (item, look) => show(look, item['resourceId'])],
    ['REQUESTED BY', (item, look) => show(look, item['requester'])],
    ['DUE', (item, look) => when(item['dueOn'], look, nowMs)],
    ['EXPIRES', (item, look) => when(item['expiresOn'], look, nowMs)],
  ];
  return listView(columns, 'id', { headings });
}

/** One approval as an approver must see it: who asks, for whom, for what, what would change, and both times. */
export function approvalSheet(approval: JsonRecord, look: Look, nowMs: number): string {
  const votes = listOf(approval, 'votes');
  const facts: readonly (readonly [string, string])[] = [
    ['Approval', show(look, approval['id'])],
    ['Status', statusOf(approval, look)],
    ['Site', show(look, approval['siteId'])],
    ['Command', show(look, approval['commandType'])],
    ['Resource', show(look, approval['resourceId'])],
    ['Allows', whatItAllows(approval)],
    ['Requested by', show(look, approval['requester'])],
    ['On behalf of', show(look, approval['onBehalfOf'])],
    ['Reason', show(look, approval['reason'])],
    ['Due', when(approval['dueOn'], look, nowMs)],
    ['Expires', when(approval['expiresOn'], look, nowMs)],
    ['Votes', [`${votes.length} of ${textOf(approval, 'minApprovals') ?? '?'}`, ...votes.map(voteOf(look))].join(', ')],
    ['May vote', show(look, approval['eligible'])],
    ['Used by', show(look, approval['usedBy'])],
    ['Revision', show(look, approval['revision'])],
  ];
  return sheet(look, facts);
}

/** With a bound payload exactly that; else any change of that kind, whatever payload was shown with the request. */
function whatItAllows(approval: JsonRecord): string {
  const payload = JSON.stringify(approval['payload'] ?? null);
  const command = `one ${textOf(approval, 'commandType') ?? 'command'} on ${textOf(approval, 'resourceId') ?? 'the resource'}`;
  if (approval['binding'] === 'PAYLOAD') return visible(`${command}, with exactly this payload: ${payload}`);
  return visible(`${command}, with any payload${payload === 'null' ? '' : `; the requester says it will be ${payload}`}`);
}

const statusOf = (approval: JsonRecord, look: Look): string => `${show(look, approval['status'])}${approval['overdue'] === true ? ' (overdue)' : ''}`;

const voteOf = (look: Look) => (vote: unknown): string =>
  isRecord(vote) ? `${show(look, vote['voter'])}${vote['asserted'] === true ? ' (asserted)' : ''}` : '-';
