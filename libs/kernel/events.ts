import type { JsonObject } from './json.ts';
import type { Position } from './position.ts';

/** Flat and string-valued: EventStoreDB's client refuses anything else. Names are lower case (`recordedat`, `commandid`). */
export type Metadata = Readonly<Record<string, string>>;

/** An event as it is written: `data` is JSON text, kept byte for byte. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: Metadata;
}

/** An event as it is read. `revision` counts within its stream from 0; `position` orders the whole log. */
export interface RecordedEvent extends NewEvent {
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
}

/** What a decider decides: a fact of one of its domain's types. */
export interface DomainEvent<Type extends string = string, Data extends object = JsonObject> {
  readonly type: Type;
  readonly data: Data;
}

/** A domain event as it came from the log: the fact and where and when it stands there. */
export type Stored<Event extends DomainEvent<string, object>> = Event & {
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
  /** When it was decided, by our clock: `recordedat`, milliseconds since 1970 UTC. */
  readonly recordedAt: number;
  readonly metadata: Metadata;
};

/** Reads the envelope of a recorded event; `data` is parsed. Throws when it is not JSON: a poison event. */
export function stored<Event extends DomainEvent<string, object>>(event: RecordedEvent): Stored<Event> {
  const recordedAt = Date.parse(event.metadata['recordedat'] ?? '');
  if (Number.isNaN(recordedAt)) throw new TypeError(`event ${event.id} at ${event.position} has no readable recordedat`);
  const { id, stream, revision, position, metadata } = event;
  return { id, stream, revision, position, metadata, recordedAt, type: event.type, data: JSON.parse(event.data) as unknown } as Stored<Event>;
}
