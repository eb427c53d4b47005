import type { EventStore } from '#event-store';
import { comparePositions, isLedgerEvent, isPosition, parseInstant, type Position, type RecordedEvent } from '#kernel';

/** A moment of the past: a revision of one resource, a position of the log, or a time in milliseconds since 1970 UTC. */
export type AsOf = { readonly revision: number } | Cut;

/** How far the log is read: up to a position, or up to a time. */
export type Cut = { readonly position: Position } | { readonly timeMs: number };

/** `revision:<n>`, `position:<p>` or `time:<RFC 3339 with an offset>`; undefined when malformed. */
export function parseAsOf(text: string): AsOf | undefined {
  const [, form, value = ''] = /^(revision|position|time):(.+)$/.exec(text) ?? [];
  if (form === 'time') return timeOf(value);
  if (form === 'position') return isPosition(value) ? { position: value } : undefined;
  return form === 'revision' && /^(0|[1-9]\d{0,14})$/.test(value) ? { revision: Number(value) } : undefined;
}

function timeOf(text: string): AsOf | undefined {
  const timeMs = parseInstant(text);
  return timeMs === undefined ? undefined : { timeMs };
}

/**
 * The part of a stream that had happened: events up to the position, or up to the last one that was recorded at or before
 * the time (so none is left out because a clock went back before it).
 */
export function eventsWithin(events: readonly RecordedEvent[], cut: Cut | undefined): readonly RecordedEvent[] {
  if (cut === undefined) return events;
  if ('position' in cut) return events.filter(({ position }) => comparePositions(position, cut.position) <= 0);
  return events.slice(0, events.findLastIndex(({ metadata }) => Date.parse(metadata['recordedat'] ?? '') <= cut.timeMs) + 1);
}

/** The streams of a log as they were: what folds them comes to the state of then. */
export const logAsOf = (log: Pick<EventStore, 'readStream'>, cut: Cut | undefined): Pick<EventStore, 'readStream'> => ({
  async readStream(stream, from = 0, limit = Infinity) {
    const within = eventsWithin(await log.readStream(stream), cut);
    return within.filter(({ revision }) => revision >= from).slice(0, limit);
  },
});

/** The events of a stream that changed its resource's state: as many as the resource has revisions. */
export const changesOf = (events: readonly RecordedEvent[]): readonly RecordedEvent[] => events.filter((event) => !isLedgerEvent(event));
