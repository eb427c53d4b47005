import { sleep } from '#kernel';
import { optional } from './flags.ts';
import { text, wholeNumber } from './forms.ts';
import type { Answer, Request } from './http.ts';
import { Failed } from './io.ts';
import { isRecord, jsonLines, type JsonRecord, listOf, textOf } from './json.ts';
import type { View } from './output.ts';
import type { Session } from './session.ts';
import { grid, type Look } from './table.ts';

/** The flags of a list. */
export const pageFlags = {
  limit: optional('--limit <n>', wholeNumber(1, 500), 'how many at most: 1 to 500, by default 50'),
  cursor: optional('--cursor <cursor>', text(4_096), 'go on where the answer before this one ended'),
};

export const pageQuery = ({ limit, cursor }: { readonly limit?: number | undefined; readonly cursor?: string | undefined }): Readonly<Record<string, string | undefined>> => ({
  limit: limit?.toString(),
  cursor,
});

/** A column: its heading, and what stands in it for one item. */
export type Column = readonly [heading: string, cell: (item: JsonRecord, look: Look) => string];

/** How a list looks: one line per item; `--quiet` prints one member of each. */
export const listView = (columns: readonly Column[], essential: string, { headings = true } = {}): View => ({
  table: (body, look) => rows(columns, listOf(body, 'items'), look, headings),
  essentials: (body) => listOf(body, 'items').flatMap((item) => textOf(item, essential) ?? []),
});

const rows = (columns: readonly Column[], items: readonly unknown[], look: Look, headings: boolean): string =>
  items.length === 0
    ? ''
    : grid(
        look,
        headings ? columns.map(([heading]) => heading) : [],
        items.filter(isRecord).map((item) => columns.map(([, cell]) => cell(item, look))),
      );

/** Prints one page, and says when there is nothing or when there is more. */
export function printPage(session: Session, answer: Answer, view: View): void {
  session.output.answer(answer, view);
  noteEnd(session, listOf(answer.body, 'items').length, answer);
}

/** Says when there was nothing up to this page, or when there is more after it. */
export function noteEnd({ output }: Session, items: number, page: Answer): void {
  const next = textOf(page.body, 'nextCursor');
  if (items === 0 && output.format === 'table') output.note('There are none.');
  if (next !== undefined) output.note(`There are more: --cursor ${next}`);
}

/** All pages as one answer, every item as it came. `wanted` leaves items out. */
export async function allPages(session: Session, asked: Request, wanted: (item: unknown) => boolean = () => true): Promise<Answer> {
  const kept: { readonly item: unknown; readonly line: string }[] = [];
  let cursor: string | undefined;
  do {
    const { text: page, body } = await session.ask({ ...asked, query: { ...asked.query, limit: '500', cursor } });
    const lines = jsonLines(page);
    listOf(body, 'items').forEach((item, index) => {
      if (wanted(item)) kept.push({ item, line: lines[index] ?? '' });
    });
    const next = textOf(body, 'nextCursor');
    if (next !== undefined && next === cursor) throw new Failed('the server answers the same cursor again and again');
    cursor = next;
  } while (cursor !== undefined);
  return answerOf(kept);
}

const pollMs = 2_000;

/**
 * Asks again and again and hands over what is new or changed, until `enough` says so or the person interrupts. `changed`
 * gets an answer with only those items, and whether it is the first.
 */
export async function follow(session: Session, ask: () => Promise<Answer>, changed: (answer: Answer, first: boolean) => void, enough: (answer: Answer) => boolean = () => false): Promise<void> {
  const { clock, signal } = session.io;
  const seen = new Map<string, string>();
  try {
    for (;;) {
      const answer = await ask();
      const first = seen.size === 0;
      const news = unseen(answer, seen);
      if (news !== undefined) changed(news, first);
      if (enough(answer)) return;
      await sleep(clock, pollMs, signal);
    }
  } catch (error) {
    // Interrupting is how one stops watching.
    if (!signal.aborted) throw error;
  }
}

/** What of an answer was not seen before in this form, and remembers it. */
function unseen(answer: Answer, seen: Map<string, string>): Answer | undefined {
  const lines = jsonLines(answer.text);
  const isList = Array.isArray(answer.body['items']);
  const items = isList ? listOf(answer.body, 'items') : [answer.body];
  const fresh = items.map((item, index) => ({ item, line: lines[index] ?? '' })).filter(({ item, line }) => seen.get(idOf(item)) !== line);
  fresh.forEach(({ item, line }) => seen.set(idOf(item), line));
  if (fresh.length === 0) return undefined;
  return isList ? answerOf(fresh) : answer;
}

const answerOf = (items: readonly { readonly item: unknown; readonly line: string }[]): Answer => ({
  text: `{"items":[${items.map(({ line }) => line).join(',')}],"nextCursor":null}`,
  body: { items: items.map(({ item }) => item), nextCursor: null },
});

const idOf = (item: unknown): string => textOf(item, 'id') ?? textOf(item, 'approvalId') ?? '';
