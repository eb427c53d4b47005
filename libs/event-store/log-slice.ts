import { comparePositions, laterPosition, type Position, type RecordedEvent } from '#kernel';
import { passes } from './filter.ts';
import type { EventBatch } from './port.ts';

/** Characters of data in one batch, about: who asks for events hands them on to another thread, or parses them. */
const batchChars = 2 * 1024 * 1024;

/** `EventStore.readAll` over events in memory, in log order, of a log whose head is at `head`. */
export function sliceLog(
  log: readonly RecordedEvent[],
  head: Position,
  after: Position,
  prefixes: readonly string[] | undefined,
  limit: number,
): EventBatch {
  const events: RecordedEvent[] = [];
  let chars = 0;
  let full = false;
  for (const event of eventsAfter(log, after)) {
    if (full) break;
    if (!passes(prefixes, event.stream)) continue;
    events.push(event);
    chars += event.data.length;
    full = events.length === limit || chars >= batchChars;
  }
  const end = laterPosition(after, head);
  const position = (full ? events.at(-1)?.position : undefined) ?? end;
  return { events, position, caughtUp: position === end };
}

/** Removals leave gaps between positions, so the place to start is searched for. */
function* eventsAfter(log: readonly RecordedEvent[], after: Position): Generator<RecordedEvent> {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePositions(log[middle]?.position ?? after, after) > 0) high = middle;
    else low = middle + 1;
  }
  for (let event = log[low]; event !== undefined; low += 1, event = log[low]) yield event;
}
