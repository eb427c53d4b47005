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

/** How far a filter looks before it says where it is, where the client names no window. */
const searchWindow = 32;
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
    if (start !== undefined) new Subscription(call, options, firstAfter(options, start)).open(log, misbehave);
  }

  /** A subscription begins behind the position it names. */
  function firstAfter(options: Options, start: number): number {
    const asked = positionOf(options);
    if (asked === startOfLog || asked === endOfLog) return start;
    const next = log.events[start]?.position === asked ? start + 1 : start;
    return Math.max(0, next - misbehave.deliveredAgain);
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

/** Confirmation, the events there are, a checkpoint, caught up, then what is written: as fast as the client takes it. */
class Subscription {
  readonly #call: ReadCall;
  readonly #passes: Passes;
  readonly #checkpointEvery: number;
  #next: number;
  #unsaid = 0;
  #live = false;
  #full = false;
  #over = false;

  constructor(call: ReadCall, options: Options, next: number) {
    this.#call = call;
    this.#passes = filterOf(options);
    const filter = options.getFilter();
    this.#checkpointEvery = filter === undefined ? Infinity : (filter.getMax() || searchWindow) * (filter.getCheckpointintervalmultiplier() || 1);
    this.#next = next;
  }

  open(log: EventLog, misbehave: Misbehaviour): void {
    const pump = (): void => {
      if (!misbehave.stalled && !this.#over) this.#pump(log);
    };
    const open = { pump, emit: this.#call.emit.bind(this.#call) };
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
    pump();
  }

  #pump({ events }: EventLog): void {
    for (let event = events[this.#next]; event !== undefined && !this.#full; event = events[this.#next]) {
      this.#next += 1;
      this.#unsaid += 1;
      if (this.#passes(event)) this.#write(messages.readEvent(event));
      if (this.#unsaid >= this.#checkpointEvery) this.#checkpoint(event);
    }
    if (!this.#live && !this.#full) this.#catchUp(events[this.#next - 1]);
  }

  #catchUp(last: LoggedEvent | undefined): void {
    this.#live = true;
    if (this.#checkpointEvery !== Infinity && last !== undefined) this.#checkpoint(last);
    this.#write(messages.caughtUp());
  }

  #checkpoint({ position }: LoggedEvent): void {
    this.#unsaid = 0;
    this.#write(messages.checkpoint(position));
  }

  #write(response: messages.ReadResp): void {
    if (!this.#call.write(response)) this.#full = true;
  }
}
