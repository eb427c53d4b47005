import { comparePositions, type Position, sleep } from '#kernel';
import { errorText } from './error-code.ts';
import { NoAnswer, ProblemAnswer, type Request } from './http.ts';
import { readJson, textOf } from './json.ts';
import type { SiteSession } from './site.ts';
import { eventStream, type SseMessage } from './sse.ts';

const firstWaitMs = 1_000;
const longestWaitMs = 30_000;

interface Live extends Pick<Request, 'path' | 'query'> {
  /** After which position it begins; the head of the log when undefined. */
  readonly from: Position | undefined;
  /** When there is enough; beside the person, who interrupts. */
  readonly signal?: AbortSignal;
}

type Take = (message: SseMessage) => void | Promise<void>;

/** How far a stream was read. */
interface Place {
  after: Position | undefined;
  connected: boolean;
  waitMs: number;
}

/**
 * Hands over the events of a site as the server streams them, each once and without a gap: when the connection ends or
 * breaks, it is made anew after the last position that was seen. The next one is handed over when the one before was taken.
 * Resolves when the person interrupts, or the signal aborts. Throws when the first connection can't be made, and when a
 * later one is refused for good.
 */
export async function live(session: SiteSession, given: Live, take: Take): Promise<void> {
  const { clock } = session.io;
  const signal = given.signal === undefined ? session.io.signal : AbortSignal.any([session.io.signal, given.signal]);
  const asked = { ...given, signal };
  const place: Place = { after: asked.from, connected: false, waitMs: firstWaitMs };
  try {
    for (;;) {
      const lost = await readOn(session, asked, place, take);
      session.output.note(`The connection was lost: ${lost}. Going on after position ${place.after ?? '0'}.`);
      await sleep(clock, place.waitMs, signal);
      place.waitMs = Math.min(2 * place.waitMs, longestWaitMs);
    }
  } catch (error) {
    // Interrupting is how one stops watching.
    if (!signal.aborted) throw error;
  }
}

/** Reads one connection to its end, and answers why it ended. */
async function readOn(session: SiteSession, { path, query, signal }: Live & { readonly signal: AbortSignal }, place: Place, take: Take): Promise<string> {
  try {
    for await (const message of eventStream(session.openSite, { path, query: { ...query, from: place.after }, signal })) {
      if (isNew(place, message)) await take(message);
    }
    return 'the server ended it';
  } catch (error) {
    if (signal.aborted || !place.connected || !passes(error)) throw error;
    return errorText(error);
  }
}

/** Whether it is an event that was not seen before. Also where the stream begins is remembered: nothing may come before it is lost. */
function isNew(place: Place, { event, id, data }: SseMessage): boolean {
  if (event === 'connected') {
    place.connected = true;
    place.after ??= textOf(readJson(data), 'position');
  }
  if (event !== 'event' || (place.after !== undefined && comparePositions(id, place.after) <= 0)) return false;
  place.after = id;
  place.waitMs = firstWaitMs;
  return true;
}

/** Whether what went wrong may be over in a moment: no answer, or one that says it is not the request's fault. */
const passes = (error: unknown): boolean => error instanceof NoAnswer || (error instanceof ProblemAnswer && error.status >= 500);
