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
  /** What the metadata says of it, where that is at hand without reading the metadata. */
  readonly recordedat?: string | undefined;
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

/** When an event was decided, as its metadata says it: RFC 3339. */
export const recordedatOf = (event: RecordedEvent): string | undefined => event.recordedat ?? event.metadata['recordedat'];

/** The same in milliseconds since 1970 UTC; NaN when it can't be read. Many events of a batch say the same. */
export function recordedAtMsOf(event: RecordedEvent): number {
  const text = recordedatOf(event) ?? '';
  if (text !== lastRead.text) lastRead = { text, ms: Date.parse(text) };
  return lastRead.ms;
}

let lastRead = { text: '', ms: NaN };

/** Reads the envelope of a recorded event; `data` is parsed. Throws when it is not JSON: a poison event. */
export const stored = <Event extends DomainEvent<string, object>>(event: RecordedEvent): Stored<Event> => new Fact(event) as unknown as Stored<Event>;

/** As `stored`, but `data` is parsed when somebody asks for it, and throws then: for folds of many events that need it of few. */
export const storedUnread = <Event extends DomainEvent<string, object>>(event: RecordedEvent): Stored<Event> => new UnreadFact(event) as unknown as Stored<Event>;

/** Its metadata is read when somebody asks for it. */
class Envelope {
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
  readonly recordedAt: number;
  readonly type: string;
  readonly #event: RecordedEvent;

  constructor(event: RecordedEvent) {
    const recordedAt = recordedAtMsOf(event);
    if (Number.isNaN(recordedAt)) throw new TypeError(`event ${event.id} at ${event.position} has no readable recordedat`);
    this.id = event.id;
    this.stream = event.stream;
    this.revision = event.revision;
    this.position = event.position;
    this.recordedAt = recordedAt;
    this.type = event.type;
    this.#event = event;
  }

  get metadata(): Metadata {
    return this.#event.metadata;
  }
}

class Fact extends Envelope {
  readonly data: unknown;

  constructor(event: RecordedEvent) {
    super(event);
    this.data = JSON.parse(event.data);
  }
}

class UnreadFact extends Envelope {
  readonly #text: string;
  #data: unknown;

  constructor(event: RecordedEvent) {
    super(event);
    this.#text = event.data;
  }

  get data(): unknown {
    this.#data ??= JSON.parse(this.#text) as unknown;
    return this.#data;
  }
}
