import { randomUUID } from 'node:crypto';

/** What a writer expects of a stream: the revision of its last event, or one of the words of the protocol. */
export type Expected = bigint | 'any' | 'no_stream' | 'stream_exists';

export interface ProposedEvent {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
}

export interface LoggedEvent extends ProposedEvent {
  readonly stream: string;
  readonly revision: bigint;
  readonly position: bigint;
  readonly createdMs: number;
}

/** What came of a write. `revision` and `current` are -1 where there is no stream; a repeat is told no position, as by older servers. */
export type Outcome =
  | { readonly kind: 'written'; readonly revision: bigint; readonly position: bigint }
  | { readonly kind: 'repeated'; readonly revision: bigint }
  | { readonly kind: 'wrong-expected-version'; readonly expected: Expected; readonly current: bigint }
  | { readonly kind: 'stream-deleted' }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'too-late' };

/** What one write may hold: data, metadata and twice the length of the types (servers up to 25.0). */
export const maxAppendSize = 1024 * 1024;
/** The revision of the event that a tombstone is. */
const tombstoneRevision = 9_223_372_036_854_775_807n;
/** Every so many writes the server notes something of its own. */
const writesPerStatistics = 10;

interface StreamState {
  readonly events: LoggedEvent[];
  /** What was soft-deleted is before this revision. */
  start: number;
  softDeleted: boolean;
  tombstoned: boolean;
}

const systemEvent = (type: string, json: string): ProposedEvent => ({ id: randomUUID(), type, contentType: 'application/json', data: Buffer.from(json), metadata: new Uint8Array() });
const sizeOf = ({ data, metadata, type }: ProposedEvent): number => data.length + metadata.length + 2 * type.length;

/**
 * The server's log in memory, with its rules for writes. Nothing ever leaves it but what `loseLast` takes: events of
 * deleted streams stay in `$all`, as on a server that was not scavenged.
 */
export class EventLog {
  readonly events: LoggedEvent[] = [];
  readonly #streams = new Map<string, StreamState>();
  readonly #followers = new Set<() => void>();
  readonly #nowMs: () => number;
  #nextPosition: bigint;
  #writes = 0;

  constructor({ startPosition, nowMs }: { readonly startPosition: bigint; readonly nowMs: () => number }) {
    this.#nowMs = nowMs;
    this.#nextPosition = startPosition + 256n;
    this.#note('$users', systemEvent('$UserCreated', '{"login":"admin"}'));
  }

  /** Of the last event in the log, whoever wrote it. */
  get head(): bigint {
    return this.events.at(-1)?.position ?? 0n;
  }

  /** Where the next event will begin. */
  get end(): bigint {
    return this.#nextPosition;
  }

  nowMs(): number {
    return this.#nowMs();
  }

  /** A node that begins to lead says so in the log. */
  elected(): void {
    this.#note('$epoch-information', systemEvent('$epoch-information', `{"leaderInstanceId":"${randomUUID()}"}`));
  }

  append(name: string, expected: Expected, proposed: readonly ProposedEvent[]): Outcome {
    const stream = this.#stream(name);
    const refused = refusalOf(stream, expected, proposed);
    if (refused !== undefined) return refused;
    if (stream.softDeleted) this.#revive(name, stream);
    for (const event of proposed) this.#push(name, stream, event, BigInt(stream.events.length));
    this.#count();
    return { kind: 'written', revision: BigInt(stream.events.length) - 1n, position: stream.events.at(-1)?.position ?? this.head };
  }

  /** Hides what is there; the stream can be written again, from the revision where it was. */
  softDelete(name: string, expected: Expected): Outcome {
    const stream = this.#stream(name);
    const refused = refusalOf(stream, expected, []);
    if (refused !== undefined) return refused;
    this.#note(`$$${name}`, systemEvent('$metadata', `{"$tb":${tombstoneRevision}}`));
    stream.start = stream.events.length;
    stream.softDeleted = true;
    return { kind: 'written', revision: BigInt(stream.events.length) - 1n, position: this.head };
  }

  tombstone(name: string, expected: Expected): Outcome {
    const stream = this.#stream(name);
    const refused = refusalOf(stream, expected, []);
    if (refused !== undefined) return refused;
    const mark = { id: randomUUID(), type: '$streamDeleted', contentType: 'application/octet-stream', data: new Uint8Array(), metadata: new Uint8Array() };
    stream.tombstoned = true;
    this.#push(name, undefined, mark, tombstoneRevision);
    this.#announce();
    return { kind: 'written', revision: tombstoneRevision, position: this.head };
  }

  /** The stream's events, of which readers see those from revision `start` on; why there are none, where it has none. */
  stream(name: string): { readonly events: readonly LoggedEvent[]; readonly start: number } | 'not-found' | 'deleted' {
    const stream = this.#streams.get(name);
    if (stream?.tombstoned === true) return 'deleted';
    if (stream === undefined || stream.softDeleted || stream.events.length === 0) return 'not-found';
    return stream;
  }

  /** The index in `events` of the first that is at or after a position. */
  indexAt(position: bigint): number {
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.events[middle]?.position ?? position) >= position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Calls back after every growth, until the returned function is called. */
  follow(grown: () => void): () => void {
    this.#followers.add(grown);
    return () => void this.#followers.delete(grown);
  }

  /** The last events are gone; their positions and revisions are used again. (What was soft-deleted stays so.) */
  loseLast(count: number): void {
    const first = this.events[this.events.length - count];
    if (first === undefined) throw new RangeError(`the log holds ${this.events.length} events: ${count} can't be lost`);
    for (const event of this.events.splice(-count).reverse()) this.#forget(event);
    this.#nextPosition = first.position;
  }

  #forget(event: LoggedEvent): void {
    const stream = this.#stream(event.stream);
    if (event.revision === tombstoneRevision) stream.tombstoned = false;
    else stream.events.pop();
  }

  #stream(name: string): StreamState {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const stream = { events: [], start: 0, softDeleted: false, tombstoned: false };
    this.#streams.set(name, stream);
    return stream;
  }

  #revive(name: string, stream: StreamState): void {
    stream.softDeleted = false;
    this.#note(`$$${name}`, systemEvent('$metadata', `{"$tb":${stream.start}}`));
  }

  #push(name: string, stream: StreamState | undefined, event: ProposedEvent, revision: bigint): void {
    const logged = { ...event, stream: name, revision, position: this.#nextPosition, createdMs: this.#nowMs() };
    stream?.events.push(logged);
    this.events.push(logged);
    this.#nextPosition += BigInt(128 + 2 * name.length + sizeOf(event));
  }

  #note(name: string, event: ProposedEvent): void {
    const stream = this.#stream(name);
    this.#push(name, stream, event, BigInt(stream.events.length));
    this.#announce();
  }

  #count(): void {
    this.#writes += 1;
    if (this.#writes % writesPerStatistics === 0) this.#note('$stats-127.0.0.1:2113', systemEvent('$statsCollected', `{"es-writes":${this.#writes}}`));
    else this.#announce();
  }

  #announce(): void {
    for (const grown of [...this.#followers]) grown();
  }
}

/** Undefined where the write is to be done. */
function refusalOf(stream: StreamState, expected: Expected, proposed: readonly ProposedEvent[]): Outcome | undefined {
  if (proposed.reduce((sum, event) => sum + sizeOf(event), 0) > maxAppendSize) return { kind: 'too-large' };
  if (stream.tombstoned || (stream.softDeleted && expected === 'stream_exists')) return { kind: 'stream-deleted' };
  const place = placeOf(stream, expected, proposed);
  if (place === 'end') return undefined;
  const stands = proposed.length > 0 && proposed.every(({ id }, index) => stream.events[place + index]?.id === id);
  if (stands) return { kind: 'repeated', revision: BigInt(place + proposed.length) - 1n };
  return { kind: 'wrong-expected-version', expected, current: BigInt(stream.events.length) - 1n };
}

/** Where in the stream the events belong: at its end, where they are written, or where they must stand already. */
function placeOf(stream: StreamState, expected: Expected, proposed: readonly ProposedEvent[]): number | 'end' {
  const { events, softDeleted } = stream;
  switch (expected) {
    case 'no_stream':
      return events.length === 0 || softDeleted ? 'end' : 0;
    case 'stream_exists':
      return events.length === 0 ? Infinity : placeOf(stream, 'any', proposed);
    case 'any': {
      const known = events.findLastIndex(({ id }) => id === proposed[0]?.id);
      return known < 0 ? 'end' : known;
    }
    default:
      return expected === BigInt(events.length) - 1n ? 'end' : Number(expected) + 1;
  }
}
