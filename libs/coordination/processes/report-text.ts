import { isPosition, parseInstant } from '#kernel';
import type { HeardReport, ProcessReport } from './port.ts';

const longestText = 500;
const mostReasons = 20;

/** A report as it is handed to others: what is long in it is cut. */
export const writeReport = ({ because, roles, ...report }: ProcessReport): string =>
  JSON.stringify({
    ...report,
    because: (because.length > mostReasons ? [...because.slice(0, mostReasons - 1), `and ${because.length - mostReasons + 1} more`] : because).map(cut),
    roles: roles.map((role) => ({ ...role, why: role.why === null ? null : cut(role.why) })),
  } satisfies ProcessReport);

const cut = (text: string): string => (text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text);

/** A report that was handed over so long ago; undefined for what can't be read: it is for people to look at, and no reason to fail. */
export function readReport(text: string, ageMs: number): HeardReport | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isReport(value) ? { ...value, ageMs } : undefined;
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isPlace: Check = (value) => typeof value === 'string' && isPosition(value);
const isTime: Check = (value) => typeof value === 'string' && parseInstant(value) !== undefined;
const isLag: Check = (value) => typeof value === 'number' && value >= 0;
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check);
const objectOf = (members: Readonly<Record<string, Check>>): Check => (value) =>
  typeof value === 'object' && value !== null && Object.entries(members).every(([name, check]) => check((value as Readonly<Record<string, unknown>>)[name]));

const isRole = objectOf({ role: isText, state: (value) => value === 'HELD' || value === 'WAITING' || value === 'SUSPENDED', why: (value) => value === null || isText(value) });
const isSaga = objectOf({ name: isText, position: isPlace, behindMs: isLag });
const members = {
  id: isText,
  process: isText,
  version: isText,
  startedAt: isTime,
  ready: (value) => typeof value === 'boolean',
  because: listOf(isText),
  position: isPlace,
  behindMs: isLag,
  roles: listOf(isRole),
  sagas: listOf(isSaga),
  partitions: listOf(isCount),
} as const satisfies Readonly<Record<keyof ProcessReport, Check>>;
const isReport = objectOf(members) as (value: unknown) => value is ProcessReport;
