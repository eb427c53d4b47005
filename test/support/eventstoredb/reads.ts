import { randomUUID } from 'node:crypto';
import type { IStreamsServer } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import { Metadata, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { EventLog, LoggedEvent } from './log.ts';
import * as messages from './messages.ts';
import type { Misbehaviour } from './misbehaviour.ts';
import { failedCall, refusedCall } from './refusals.ts';

type ReadCall = ServerWritableStream<messages.ReadReq, messages.ReadResp>;
type Options = InstanceType<typeof streams.ReadReq.Options>;
type Passes = (event: LoggedEvent) => boolean;

/** Events in a page of what the server reads for itself, and how many it looks at for one where the client names no window. */
const batchSize = 32;
const startOfLog = 0n;
const endOfLog = 2n ** 64n;
const backwards = (options: Options): boolean => options.getReadDirection() === streams.ReadReq.Options.ReadDirection.BACKWARDS;

/** The part of the service `Streams` that reads: a stream, `$all`, a subscription to `$all`. */
export function readsOf(log: EventLog, misbehave: Misbehaviour): Pick<IStreamsServer, 'read'> {
  return {
    read(call: ReadCall) {
      const options = call.request.getOptions() ?? new streams.ReadReq.Options();
      const refusal = misbehave.refusalOf('read', call.metadata.get('requires-leader').includes('true'));
      if (refusal !== undefined) call.emit('error', refusedCall(refusal));
      else misbehave.answer(() => begin(call, options));
    },
  };

  function begin(call: ReadCall, options: Options): void {
    if (options.hasSubscription()) subscribe(call, options);
    else if (options.hasStream()) readStream(call, options);
    else readAll(call, options);
  }

  function readStream(call: ReadCall, options: Options): void {
    const asked = options.getStream();
    const name = messages.nameOf(asked?.getStreamIdentifier());
    const stream = log.stream(name);
    if (stream === 'deleted') {
      call.emit('error', failedCall({ kind: 'stream-deleted' }, name));
    } else if (stream === 'not-found') {
      call.write(messages.streamNotFound(name));
      call.end();
    } else {
      const { events, start } = stream;
      const from = revisionOf(options, events.length);
      give(call, backwards(options) ? backwardsFrom(events, Math.min(from, events.length - 1), start) : forwardsFrom(events, Math.max(from, start)), options);
    }
  }

  function readAll(call: ReadCall, options: Options): void {
    const start = startOf(call, options);
    if (start === undefined) return;
    give(call, backwards(options) ? backwardsFrom(log.events, start - 1, 0) : forwardsFrom(log.events, start), options);
  }

  /** Where in the log to begin: the event at a position is the first of a read; a position between two events is none. */
  function startOf(call: ReadCall, options: Options): number | undefined {
    const asked = positionOf(options);
    const index = log.indexAt(asked);
    if (asked === startOfLog || index === log.events.length || log.events[index]?.position === asked) return index;
    call.emit('error', { code: status.UNKNOWN, details: `No record begins at position ${asked}`, metadata: new Metadata() });
    return undefined;
  }

  function subscribe(call: ReadCall, options: Options): void {
    if (!options.hasAll()) {
      call.emit('error', { code: status.UNIMPLEMENTED, details: 'This test server has subscriptions to $all only', metadata: new Metadata() });
      return;
    }
    const start = startOf(call, options);
    if (start === undefined) return;
    const { next, after } = behind(options, start);
    new Subscription(call, options, next, after).open(log, misbehave);
  }

  /** A subscription begins behind the position it names. */
  function behind(options: Options, start: number): { readonly next: number; readonly after: Place } {
    const commit = positionOf(options);
    const after = { commit, prepare: BigInt(options.getAll()?.getPosition()?.getPreparePosition() ?? commit) };
    if (commit === startOfLog || commit === endOfLog) return { next: start, after };
    const first = log.events[start];
    const next = first === undefined || isBehind(placeOf(first), after) ? start : start + 1;
    return { next: Math.max(0, next - misbehave.deliveredAgain), after };
  }
}

function positionOf(options: Options): bigint {
  const all = options.getAll();
  const position = all?.getPosition();
  if (position !== undefined) return BigInt(position.getCommitPosition());
  return all?.hasEnd() === true ? endOfLog : startOfLog;
}

function revisionOf(options: Options, end: number): number {
  const stream = options.getStream();
  if (stream?.hasRevision() === true) return Number(stream.getRevision());
  return stream?.hasEnd() === true ? end : 0;
}

/** Up to where the events end when the read begins: one that is slower than the writers ends, too. */
function forwardsFrom(events: readonly LoggedEvent[], from: number): Generator<LoggedEvent> {
  return walk(events, from, events.length - from, 1);
}

const backwardsFrom = (events: readonly LoggedEvent[], from: number, start: number): Generator<LoggedEvent> => walk(events, from, from - start + 1, -1);

function* walk(events: readonly LoggedEvent[], from: number, count: number, step: 1 | -1): Generator<LoggedEvent> {
  for (let walked = 0; walked < count; walked += 1) {
    const event = events[from + walked * step];
    if (event !== undefined) yield event;
  }
}

function give(call: ReadCall, events: Iterable<LoggedEvent>, options: Options): void {
  const responses = responsesOf(events, filterOf(options), options.hasCount() ? Number(options.getCount()) : Infinity);
  const pump = (): void => {
    while (!call.cancelled && !call.writableEnded) {
      const next = responses.next();
      if (next.done === true) call.end();
      else if (!call.write(next.value)) return;
    }
  };
  call.on('drain', pump);
  pump();
}

function* responsesOf(events: Iterable<LoggedEvent>, passes: Passes, count: number): Generator<messages.ReadResp> {
  let left = count;
  for (const event of events) {
    if (left < 1) return;
    if (!passes(event)) continue;
    left -= 1;
    yield messages.readEvent(event);
  }
}

function filterOf(options: Options): Passes {
  const filter = options.getFilter();
  const byStream = filter?.getStreamIdentifier();
  const expression = byStream ?? filter?.getEventType();
  if (expression === undefined) return () => true;
  const regex = expression.getRegex() === '' ? undefined : new RegExp(expression.getRegex());
  const prefixes = expression.getPrefixList();
  return (event) => {
    const value = byStream === undefined ? event.type : event.stream;
    return regex?.test(value) ?? prefixes.some((prefix) => value.startsWith(prefix));
  };
}

/** Of two positions with the same commit, the one with the smaller prepare comes first; of an event both are its own. */
interface Place {
  readonly commit: bigint;
  readonly prepare: bigint;
}

const placeOf = ({ position }: LoggedEvent): Place => ({ commit: position, prepare: position });
const isBehind = (place: Place, other: Place): boolean => (place.commit === other.commit ? place.prepare > other.prepare : place.commit > other.commit);

/** Confirmation, the events there are, a checkpoint, caught up, then what is written: as fast as the client takes it. */
class Subscription {
  readonly #call: ReadCall;
  readonly #passes: Passes;
  readonly #window: number;
  readonly #checkpointEvery: number;
  #next: number;
  /** Where the page began that is being read, and what was looked at and sent of it: catching up goes by pages. */
  #page: { readonly begin: Place; looked: number; sent: number };
  #seen: Place;
  #saved: Place = { commit: startOfLog, prepare: startOfLog };
  #unsaid = 0;
  #live = false;
  #full = false;
  #over = false;

  constructor(call: ReadCall, options: Options, next: number, after: Place) {
    this.#call = call;
    this.#passes = filterOf(options);
    const filter = options.getFilter();
    this.#window = filter?.getMax() || batchSize;
    this.#checkpointEvery = filter === undefined ? Infinity : this.#window * (filter.getCheckpointintervalmultiplier() || 1);
    this.#next = next;
    this.#seen = after;
    this.#page = { begin: after, looked: 0, sent: 0 };
  }

  open(log: EventLog, misbehave: Misbehaviour): void {
    const pump = (): void => {
      if (!misbehave.stalled && !this.#over) this.#pump(log);
    };
    const open = { pump, deadline: this.#call.getDeadline(), emit: this.#call.emit.bind(this.#call) };
    const ignore = log.follow(pump);
    const over = (): void => {
      this.#over = true;
      ignore();
      misbehave.subscriptions.delete(open);
    };
    this.#call.on('drain', () => {
      this.#full = false;
      pump();
    });
    this.#call.on('cancelled', over).on('error', over);
    misbehave.subscriptions.add(open);
    this.#write(messages.confirmation(randomUUID()));
    if (this.#next === log.events.length) this.#goLive();
    pump();
  }

  #pump(log: EventLog): void {
    const { events } = log;
    for (let event = events[this.#next]; event !== undefined && !this.#full; event = events[this.#next]) {
      this.#next += 1;
      this.#look(event, events[this.#next]?.position ?? log.end);
    }
    if (this.#live || this.#full) return;
    this.#checkpoint(this.#reached());
    this.#goLive();
  }

  #look(event: LoggedEvent, nextCommit: bigint): void {
    this.#unsaid += 1;
    const passes = this.#passes(event);
    if (passes) {
      this.#seen = placeOf(event);
      this.#write(messages.readEvent(event));
    }
    if (this.#live) this.#checkpointAfter(placeOf(event));
    else this.#turnPage(passes, nextCommit);
  }

  /** The next page begins behind the record that was the last of this one: at a commit whose prepare is 0. */
  #turnPage(passes: boolean, commit: bigint): void {
    this.#page.looked += 1;
    if (passes) this.#page.sent += 1;
    if (this.#page.looked < this.#window && this.#page.sent < batchSize) return;
    this.#checkpointAfter(this.#reached());
    this.#page = { begin: { commit, prepare: 0n }, looked: 0, sent: 0 };
  }

  /** What a checkpoint says while catching up: the last event sent, or where the page began. */
  #reached(): Place {
    return isBehind(this.#page.begin, this.#seen) ? this.#page.begin : this.#seen;
  }

  #goLive(): void {
    this.#live = true;
    this.#unsaid = 0;
    this.#write(messages.caughtUp());
  }

  #checkpointAfter(place: Place): void {
    if (this.#unsaid < this.#checkpointEvery) return;
    this.#unsaid = 0;
    this.#checkpoint(place);
  }

  #checkpoint(place: Place): void {
    if (this.#checkpointEvery === Infinity || !isBehind(place, this.#saved)) return;
    this.#saved = place;
    this.#write(messages.checkpoint(place.commit, place.prepare));
  }

  #write(response: messages.ReadResp): void {
    if (!this.#call.write(response)) this.#full = true;
  }
}
