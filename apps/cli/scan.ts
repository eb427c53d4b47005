import type { Answer, Request } from './http.ts';
import { Failed } from './io.ts';
import { jsonLines, listOf, textOf } from './json.ts';
import type { View } from './output.ts';
import { noteEnd, printPage } from './pages.ts';
import type { SiteSession } from './site.ts';

const pageItems = 500;

interface Scan {
  /** How many items at most; all of them when undefined. */
  readonly limit: number | undefined;
  readonly cursor: string | undefined;
}

interface Page {
  readonly answer: Answer;
  /** How many items came before, and with it. */
  readonly before: number;
  readonly items: number;
  readonly first: boolean;
  readonly last: boolean;
}

/**
 * Prints a list whose pages may be short although more follows, because the server looks at so much of the log for one
 * answer. Page after page is asked for and printed, so that a list of any length takes the memory of one page. JSON is
 * one document in the end; when one answer was enough, that answer.
 */
export async function printScan(session: SiteSession, asked: Request, scan: Scan, view: (first: boolean) => View): Promise<void> {
  const { output, io } = session;
  const asDocument = output.format === 'json' && !output.quiet;
  for await (const page of pages(session, asked, scan)) {
    if (page.first && page.last) return printPage(session, page.answer, view(true));
    if (asDocument) io.stdout.write(pieceOf(page));
    else output.answer(page.answer, view(page.before === 0));
    if (page.last) noteEnd(session, page.items, page.answer);
  }
}

/** The pages of a list until it ends, or until there were so many items. */
async function* pages(session: SiteSession, asked: Request, { limit = Infinity, cursor: start }: Scan): AsyncGenerator<Page> {
  let cursor = start;
  let before = 0;
  for (let first = true, last = false; !last; first = false) {
    const answer = await pageAt(session, asked, Math.min(limit - before, pageItems), cursor);
    const next = textOf(answer.body, 'nextCursor');
    if (next !== undefined && next === cursor) throw new Failed('the server answers the same cursor again and again');
    const items = before + listOf(answer.body, 'items').length;
    last = next === undefined || items >= limit;
    yield { answer, before, items, first, last };
    cursor = next;
    before = items;
  }
}

async function pageAt(session: SiteSession, asked: Request, limit: number, cursor: string | undefined): Promise<Answer> {
  try {
    return await session.askSite({ ...asked, query: { ...asked.query, limit: limit.toString(), cursor } });
  } catch (error) {
    if (cursor !== undefined) session.output.warn(`Not all was read. The rest: --cursor ${cursor}`);
    throw error;
  }
}

/** What a page adds to the one document that all of them are. */
function pieceOf({ answer: { text, body }, before, items, first, last }: Page): string {
  const lines = items === before ? '' : `${before === 0 ? '' : ','}${jsonLines(text).join(',')}`;
  return `${first ? '{"items":[' : ''}${lines}${last ? `],"nextCursor":${JSON.stringify(body['nextCursor'] ?? null)}}\n` : ''}`;
}
