import { styleText } from 'node:util';
import Table from 'cli-table3';
import { isRecord, scalar } from './json.ts';
import { label, localTime, localTimesIn, visible } from './text.ts';

/** How things look: colours or none, and in which zone times are. */
export interface Look {
  readonly color: boolean;
  readonly timeZone: string | undefined;
}

type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

export const paint = (look: Pick<Look, 'color'>, colour: Colour, text: string): string => (look.color ? styleText(colour, text, { validateStream: false }) : text);

const colours: Readonly<Record<string, Colour>> = {
  ACTIVE: 'green', APPROVED: 'green', CONSUMED: 'green', RUNNING: 'green', READY: 'green', DELIVERED: 'green', FINISHED: 'green', NOT_READY: 'red',
  PENDING: 'yellow', SCHEDULED: 'yellow', PAUSED: 'yellow', CANCELLED: 'yellow', REBUILDING: 'yellow',
  DENIED: 'red', REVOKED: 'red', INVALIDATED: 'red', EXPIRED: 'red', STOPPED: 'red', DELETED: 'red', WITHDRAWN: 'red', DEAD_LETTERED: 'red',
};

/** Any value of an answer as text for a person: principals as TYPE:id, times local, lists with commas, nothing as a dash. */
export function show(look: Look, value: unknown): string {
  const text = scalar(value);
  if (text !== undefined) return word(look, text);
  if (value === null || value === undefined) return '-';
  if (Array.isArray(value)) return value.map((item) => show(look, item)).join(', ') || '-';
  return visible(isPrincipal(value) ? `${value.type}:${value.id}` : JSON.stringify(value));
}

/** A sentence of an answer. */
export const told = (look: Look, sentence: string): string => visible(localTimesIn(sentence, look.timeZone));

const isPrincipal = (value: unknown): value is { readonly type: string; readonly id: string } =>
  isRecord(value) && Object.keys(value).length === 2 && typeof value['type'] === 'string' && typeof value['id'] === 'string';

function word(look: Look, text: string): string {
  const colour = colours[text];
  return colour === undefined ? visible(localTime(text, look.timeZone)) : paint(look, colour, text);
}

const bare = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
};

function lines(rows: readonly (readonly string[])[]): string {
  const table = new Table({ chars: bare, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } });
  table.push(...rows.map((row) => [...row]));
  return table.toString().split('\n').map((line) => line.trimEnd()).join('\n');
}

/** One line per item below a line of headings. */
export const grid = (look: Look, headings: readonly string[], rows: readonly (readonly string[])[]): string =>
  lines([...(headings.length === 0 ? [] : [headings.map((heading) => paint(look, 'dim', heading))]), ...rows]);

/** One line per fact: what it is, and its value. */
export const sheet = (look: Look, facts: readonly (readonly [string, string])[]): string => lines(facts.map(([name, value]) => [paint(look, 'dim', name), value]));

/** The members of an object as facts; those of objects in it with both names. */
export function factsOf(look: Look, value: object, prefix = ''): readonly (readonly [string, string])[] {
  return Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
    const title = prefix === '' ? label(name) : `${prefix} ${label(name).toLowerCase()}`;
    const nested = isRecord(member) && !isPrincipal(member);
    return nested ? factsOf(look, member, title) : [[title, show(look, member)] as const];
  });
}
