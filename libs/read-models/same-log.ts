import type { EventStore } from '#event-store';
import { comparePositions, laterPosition, type Position, startOfLog } from '#kernel';
import type { LastEvent } from './model-file.ts';
import { followed } from './projections.ts';

/**
 * Why a file that was folded up to a position was not folded from this log as it is, in words; null when it was. While its last event stands
 * in the log where it stood, and nothing that it would have folded stands between that and where it is, everything it was made of is there.
 * A log that lost its last events, or was restored from an older backup, may have others at their positions. Throws `StoreUnavailable`.
 */
export async function whyOfAnotherLog(store: EventStore, lastEvent: LastEvent | null, position: Position): Promise<string | null> {
  if (comparePositions(position, await store.head()) > 0) return 'the file is ahead of the log, so it belongs to another one or the log has lost events';
  const from = lastEvent?.position ?? startOfLog;
  const [found, next] = await eventsBetween(store, before(from), laterPosition(position, from));
  if (lastEvent === null) return found === undefined ? null : 'the file does not say which events it was folded from';
  const event = `event ${lastEvent.eventId} at position ${from}`;
  if (found !== lastEvent.eventId) return `the file was folded from ${event}, which the log does not have there: the log has lost events, or it is another one`;
  return next === undefined ? null : `the file was not folded from what the log has after ${event}: the log has lost events, or it is another one`;
}

const before = (position: Position): Position => (position === startOfLog ? startOfLog : String(BigInt(position) - 1n));

/** Ids of what the read models are made of behind a position and up to another: the first two. */
async function eventsBetween(store: EventStore, after: Position, through: Position): Promise<readonly string[]> {
  const found: string[] = [];
  for (let at = after; comparePositions(at, through) < 0 && found.length < 2; ) {
    const batch = await store.readAll(at, followed, 2);
    found.push(...batch.events.filter(({ position }) => comparePositions(position, through) <= 0).map(({ id }) => id));
    at = batch.position;
    if (batch.caughtUp) break;
  }
  return found;
}
