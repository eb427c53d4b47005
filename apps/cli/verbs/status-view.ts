import { isRecord, type JsonRecord, listOf, recordOf, scalar, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { type Column, listView } from '../pages.ts';
import { factsOf, grid, type Look, paint, sheet, show, told } from '../table.ts';

/** How the server is: in one line, then its facts, the processes where there are several, and the read models of the one that answers. */
export const statusView = (projections: View): View => ({
  table: (body, look) => {
    const shared = processesOf(body).length > 1 || suspended(body).length > 0;
    const { projections: items } = body;
    return [headline(body, look), sheet(look, facts(body, look, shared)), shared ? processTable(body, look) : '', shared ? sagaTable(body, look) : '', projections.table({ items }, look)].filter((part) => part !== '').join('\n\n');
  },
  essentials: (body) => [textOf(body, 'status') ?? ''],
});

const processesOf = (body: JsonRecord): readonly JsonRecord[] => listOf(body, 'processes').filter(isRecord);
const sagasOf = (process: JsonRecord): readonly JsonRecord[] => listOf(process, 'sagas').filter(isRecord);
const wordsOf = (of: unknown, member: string): readonly string[] => listOf(of, member).flatMap((item) => scalar(item) ?? []);

/** What somebody must know who reads one line only. */
function headline(body: JsonRecord, look: Look): string {
  const parts = [...wordsOf(body, 'because').map((reason) => told(look, reason)), ...processCount(body), ...suspended(body), ...undone(body), readModelLag(body), ...open(body)];
  return `${paint(look, 'bold', show(look, body['status']))}: ${parts.join('; ')}`;
}

function processCount(body: JsonRecord): readonly string[] {
  const processes = processesOf(body);
  const unready = processes.filter((process) => process['status'] !== 'READY').length;
  return processes.length > 1 ? [`${processes.length} processes${unready === 0 ? '' : `, ${unready} of them not ready`}`] : [];
}

/** Roles whose work stands still wherever it was, though every process may be ready. */
function suspended(body: JsonRecord): readonly string[] {
  const roles = processesOf(body).flatMap((process) => listOf(process, 'roles').filter(isRecord));
  const names = [...new Set(roles.flatMap((role) => (role['state'] === 'SUSPENDED' ? (textOf(role, 'role') ?? []) : [])))];
  return names.length === 0 ? [] : [`${names.join(' and ')} suspended`];
}

function undone(body: JsonRecord): readonly string[] {
  const unowned = recordOf(body, 'unowned');
  const sagas = wordsOf(unowned, 'sagas').join(', ');
  const partitions = rangesOf(wordsOf(unowned, 'partitions').map(Number));
  return [...(sagas === '' ? [] : [`nobody runs ${sagas}`]), ...(partitions === '-' ? [] : [`nobody sends to partition${/^\d+$/.test(partitions) ? '' : 's'} ${partitions}`])];
}

function readModelLag(body: JsonRecord): string {
  const of = processesOf(body).length > 0 ? processesOf(body) : listOf(body, 'projections');
  return `read models ${lag(Math.max(0, ...of.map((item) => Number(textOf(item, 'behindMs') ?? 0))))} behind`;
}

const open = (body: JsonRecord): readonly string[] => {
  const count = textOf(body, 'openDeliveries');
  return count === undefined ? [] : [count === '1' ? '1 delivery open' : `${count} deliveries open`];
};

/** What stands in the table of the processes does not stand here too. */
function facts({ version, startedAt, roles, position, scheduledUpTo, openDeliveries, coordination }: JsonRecord, look: Look, shared: boolean): readonly (readonly [string, string])[] {
  const by = sharedBy[textOf(coordination, 'by') ?? ''];
  const unheard = textOf(coordination, 'unheard');
  return [
    ...factsOf(look, { ...(shared ? {} : { version, startedAt, roles }), position, scheduledUpTo, openDeliveries }),
    ...(by === undefined ? [] : [['Shared by', by] as const]),
    ...(unheard === undefined ? [] : [['Other processes', `not known: ${told(look, unheard)}`] as const]),
  ];
}

const sharedBy: Readonly<Record<string, string>> = { log: 'claims of roles in the log', redis: 'leases in Redis' };

const columns: readonly Column[] = [
  ['PROCESS', (item, look) => show(look, item['process'])],
  ['STATUS', (item, look) => show(look, item['status'])],
  ['ROLES', (item, look) => listOf(item, 'roles').filter(isRecord).map((role) => roleText(role, look)).join(', ') || '-'],
  ['PARTITIONS', (item) => rangesOf(wordsOf(item, 'partitions').map(Number))],
  ['SAGAS', (item) => `${sagasOf(item).length}`],
  ['POSITION', (item, look) => show(look, item['position'])],
  ['BEHIND', (item) => lag(Number(textOf(item, 'behindMs') ?? 0))],
  ['HEARD', (item) => heard(Number(textOf(item, 'ageMs') ?? 0))],
  ['VERSION', (item, look) => show(look, item['version'])],
];
const processList = listView(columns, 'id');

/** The processes, and under them what keeps each from being ready or from the work of its roles. */
function processTable(body: JsonRecord, look: Look): string {
  const processes = processesOf(body);
  const notes = processes.flatMap((process) => reasonsOf(process).map((reason) => `${show(look, process['process'])}: ${told(look, reason)}`));
  return [processList.table({ items: processes }, look), ...(notes.length === 0 ? [] : ['', ...notes])].join('\n');
}

/** What a reason for not being ready says already is not said again as that of a role. */
function reasonsOf(process: JsonRecord): readonly string[] {
  const because = wordsOf(process, 'because');
  const whys = listOf(process, 'roles').flatMap((role) => textOf(role, 'why') ?? []);
  return [...because, ...new Set(whys.filter((why) => !because.some((reason) => reason.includes(why))))];
}

const roleText = (role: JsonRecord, look: Look): string => {
  const state = textOf(role, 'state') ?? '';
  return state === 'HELD' ? show(look, role['role']) : `${show(look, role['role'])} (${paint(look, 'yellow', state.toLowerCase())})`;
};

/** Every saga, and which process runs it. */
function sagaTable(body: JsonRecord, look: Look): string {
  const run = processesOf(body).flatMap((process) => sagasOf(process).map((saga) => [show(look, saga['name']), show(look, process['process']), show(look, saga['position']), lag(Number(textOf(saga, 'behindMs') ?? 0))]));
  const left = wordsOf(recordOf(body, 'unowned'), 'sagas').map((name) => [show(look, name), paint(look, 'red', 'nobody'), '-', '-']);
  return run.length + left.length === 0 ? '' : grid(look, ['SAGA', 'PROCESS', 'POSITION', 'BEHIND'], [...run, ...left].sort(([one = ''], [other = '']) => (one < other ? -1 : 1)));
}

/** Milliseconds as a person reads them. */
const lag = (ms: number): string => (ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1_000)} s`);

/** The one that answers speaks for itself. */
const heard = (ageMs: number): string => (ageMs === 0 ? 'answers' : `${Math.round(ageMs / 1_000)} s ago`);

/** Numbers in order as ranges: `0-20, 40`. */
function rangesOf(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((one, other) => one - other);
  const starts = sorted.filter((number, index) => number !== (sorted[index - 1] ?? -2) + 1);
  const ends = sorted.filter((number, index) => number !== (sorted[index + 1] ?? -2) - 1);
  return starts.map((start, index) => (start === ends[index] ? `${start}` : `${start}-${ends[index] ?? start}`)).join(', ') || '-';
}
