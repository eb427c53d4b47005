import { isRecord, type JsonRecord, listOf, recordOf, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { type Column, listView } from '../pages.ts';
import { type Look, sheet, show } from '../table.ts';
import { fromNow, visible } from '../text.ts';

const when = (value: unknown, look: Look, nowMs: number): string => (typeof value === 'string' ? `${show(look, value)} (${fromNow(value, nowMs)})` : '-');

/** A list of approvals. While watching, only the first print has headings. */
export function approvalList(nowMs: number, { headings = true } = {}): View {
  const columns: readonly Column[] = [
    ['ID', (item, look) => show(look, item['id'])],
    ['STATUS', (item, look) => show(look, item['status'])],
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
  const facts: readonly (readonly [string, unknown])[] = [
    ['Approval', approval['id']],
    ['Status', approval['status']],
    ['Command', approval['commandType']],
    ['Resource', approval['resourceId']],
    ['Site', approval['siteId']],
    ['Requested by', approval['requester']],
    ['On behalf of', approval['onBehalfOf']],
    ['Reason', approval['reason']],
    ['Allows', whatItAllows(approval)],
    ['Votes', `${votes.length} of ${textOf(approval, 'minApprovals') ?? textOf(recordOf(approval, 'policy'), 'minApprovals') ?? '?'}`],
    ['Voted', votes.map((vote) => (isRecord(vote) ? (vote['voter'] ?? vote) : vote))],
    ['May vote', approval['eligible']],
    ['Used by', approval['usedBy']],
    ['Revision', approval['revision']],
  ];
  const rows = facts.filter(([, value]) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)).map(([name, value]) => [name, show(look, value)] as const);
  return sheet(look, [...rows, ['Due', when(approval['dueOn'], look, nowMs)], ['Expires', when(approval['expiresOn'], look, nowMs)]]);
}

/** With a bound payload exactly that; else the command as such. */
function whatItAllows(approval: JsonRecord): string {
  const payload = recordOf(approval, 'payload');
  const command = `one ${textOf(approval, 'commandType') ?? 'command'} on ${textOf(approval, 'resourceId') ?? 'the resource'}`;
  return visible(payload === undefined ? `${command}, with any payload` : `${command}, with exactly this payload: ${JSON.stringify(payload)}`);
}
