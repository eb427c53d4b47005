import { type Position, prefixOf, type Projection, type Table } from '#kernel';
import { readPublishedEvent } from './events.ts';

/** A published event without its data. One event is found by its stream; the table is in log order. */
export interface EventRow {
  readonly tenant: string;
  readonly environment: string;
  readonly position: Position;
  readonly eventId: string;
  readonly type: string;
  readonly stream: string;
  readonly operational: number;
  readonly occurredAt: string | null;
  readonly recordedAtMs: number;
}

export const eventTable: Table<EventRow> = {
  name: 'events',
  columns: {
    tenant: 'text',
    environment: 'text',
    position: 'position',
    eventId: 'text',
    type: 'text',
    stream: 'text',
    operational: 'integer',
    occurredAt: 'text',
    recordedAtMs: 'integer',
  },
  key: ['tenant', 'environment', 'position'],
};

/** What was published. */
export const eventProjection: Projection = {
  name: 'events',
  version: 1,
  prefixes: [prefixOf('event')],
  tables: [eventTable],
  apply(event, rows) {
    const { tenant, environment, position, eventId, type, stream, operational, occurredAt, recordedAtMs } = readPublishedEvent(event);
    rows.put(eventTable, { tenant, environment, position, eventId, type, stream, operational: Number(operational), occurredAt, recordedAtMs });
  },
};
