import shared from '@eventstore/db-client/generated/shared_pb.js';
import grpc, { type StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import streams, { type AppendResp, type ReadReq, type ReadResp, type TombstoneResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { GRPCClientConstructor } from '@eventstore/db-client/dist/types/index.js';
import type { ServiceError } from '@grpc/grpc-js';
import { type Clock, type NewEvent, type Position, startOfLog } from '#kernel';
import { type ExpectedRevision, StoreUnavailable } from '../port.ts';
import { type Connection, connectionTo, type Target } from './connection.ts';
import { appendHeader, identifier, proposed, removalType } from './envelope.ts';
import { kindOf } from './failure.ts';

const streamsService = grpc.StreamsClient as unknown as GRPCClientConstructor<StreamsClient>;

/** Where in the log a read begins: behind a position, or at its end going backwards. */
export type ReadFrom = { readonly from: Position } | { readonly backwardsFromEnd: true };

/** A write that was begun: `sent` says whether any of it can have reached the server. */
export interface Sending<Answer> {
  readonly answer: Promise<Answer>;
  readonly sent: () => boolean;
  readonly cancel: () => void;
}

interface Cancellable {
  cancel(): void;
}

type Settle<Answer> = (error: ServiceError | null, answer: Answer) => void;

/** The requests of the adapter, over the one connection of the process. Errors come as the client and gRPC throw them. */
export class Wire {
  readonly #connection: Connection;
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #silenceMs: number;

  constructor(target: Target, clock: Clock, silenceMs: number, onTrouble: (error: Error) => void) {
    this.#target = target;
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#connection = connectionTo(target, onTrouble);
  }

  /** A call of its own for each: nothing is shared with other appends that could fail them all. */
  append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[], metadata: readonly string[]): Sending<AppendResp> {
    return this.#send((client, settle) => {
      const call = client.append(...this.#arguments(), settle);
      call.write(appendHeader(stream, expected));
      events.forEach((event, index) => call.write(proposed(event, metadata[index] ?? '')));
      call.end();
      return call;
    });
  }

  tombstone(stream: string): Sending<TombstoneResp> {
    const options = new streams.TombstoneReq.Options().setStreamIdentifier(identifier(stream)).setAny(new shared.Empty());
    return this.#send((client, settle) => client.tombstone(new streams.TombstoneReq().setOptions(options), ...this.#arguments(), settle));
  }

  #send<Answer>(begin: (client: StreamsClient, settle: Settle<Answer>) => Cancellable): Sending<Answer> {
    let call: Cancellable | undefined;
    let givenUp = false;
    const answer = this.#connection.execute(streamsService, 'write', (client) => {
      if (givenUp) return Promise.reject(new StoreUnavailable('it was given up before it was sent'));
      return new Promise<Answer>((resolve, reject) => {
        call = begin(client, (error, response) => (error === null ? resolve(response) : reject(error)));
      });
    });
    const cancel = (): void => {
      givenUp = true;
      call?.cancel();
    };
    return { answer, sent: () => call !== undefined, cancel };
  }

  readStream(stream: string, from: number, count: number): AsyncGenerator<ReadResp> {
    const place = new streams.ReadReq.Options.StreamOptions().setStreamIdentifier(identifier(stream)).setRevision(String(from));
    return this.#read(new streams.ReadReq.Options().setStream(place).setNoFilter(new shared.Empty()).setCount(String(count)));
  }

  /** From a position inclusive, all of the log: a read has no filter in servers that this speaks to. */
  readAll(place: ReadFrom, count: number): AsyncGenerator<ReadResp> {
    const all = new streams.ReadReq.Options.AllOptions();
    const options = new streams.ReadReq.Options().setNoFilter(new shared.Empty()).setCount(String(count));
    if ('from' in place) startAt(all, place.from);
    else all.setEnd(new shared.Empty());
    return this.#read(options.setAll(all).setReadDirection('from' in place ? 0 : 1));
  }

  /** Follows the log behind a position (exclusive) until it is left or the signal aborts. With prefixes the server filters. */
  follow(after: Position, prefixes: readonly string[] | undefined, signal: AbortSignal, silenceMs = Infinity): AsyncGenerator<ReadResp> {
    const all = startAt(new streams.ReadReq.Options.AllOptions(), after);
    const options = new streams.ReadReq.Options().setAll(all).setSubscription(new streams.ReadReq.Options.SubscriptionOptions());
    if (prefixes === undefined) options.setNoFilter(new shared.Empty());
    else options.setFilter(filterOf(prefixes));
    return this.#messages(requestOf(options), signal, silenceMs);
  }

  /** The marks of all streams that were ever removed: the server looks through the whole log for them. */
  removals(): AsyncGenerator<ReadResp> {
    const types = new streams.ReadReq.Options.FilterOptions.Expression().setPrefixList([removalType]);
    const filter = new streams.ReadReq.Options.FilterOptions().setEventType(types).setCount(new shared.Empty()).setCheckpointintervalmultiplier(1);
    const options = new streams.ReadReq.Options().setAll(startAt(new streams.ReadReq.Options.AllOptions(), startOfLog)).setFilter(filter);
    return this.#messages(requestOf(options.setCount(String(Number.MAX_SAFE_INTEGER))), new AbortController().signal, Infinity);
  }

  async serverVersion(): Promise<string> {
    return (await this.#connection.capabilities).serverVersion;
  }

  /** Ends every call under way and the connection. */
  async close(): Promise<void> {
    await this.#connection.dispose();
    const channel = await this.#connection.getChannel();
    channel.close();
  }

  #arguments(): ReturnType<Connection['callArguments']> {
    const { credentials } = this.#target;
    return this.#connection.callArguments({ requiresLeader: true, ...(credentials && { credentials }) }, { deadline: Infinity });
  }

  #read(options: InstanceType<typeof streams.ReadReq.Options>): AsyncGenerator<ReadResp> {
    return this.#messages(requestOf(options), new AbortController().signal, this.#silenceMs);
  }

  /** Whoever leaves early cancels the call: leaving alone would keep it open for ever. */
  async *#messages(request: ReadReq, signal: AbortSignal, silenceMs: number): AsyncGenerator<ReadResp> {
    const opening = this.#connection.GRPCStreamCreator(streamsService, 'read', (client) => client.read(request, ...this.#arguments()))();
    const call = await within(this.#clock, this.#silenceMs, opening, () => void opening.then((late) => late.cancel(), () => undefined));
    const silence = new Silence(this.#clock, silenceMs, () => call.cancel());
    const stop = (): void => call.cancel();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return;
      for await (const message of call) {
        silence.pause();
        yield message as ReadResp;
        silence.wait();
      }
    } catch (error) {
      if (silence.broken) throw new StoreUnavailable(`EventStoreDB did not answer within ${silenceMs} ms`);
      if (!(signal.aborted && kindOf(error) === 'cancelled')) throw error;
    } finally {
      silence.pause();
      signal.removeEventListener('abort', stop);
      call.cancel();
    }
  }
}

/** Calls `onBroken` when what is waited for does not come for `silenceMs`. */
class Silence {
  broken = false;
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #onBroken: () => void;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, silenceMs: number, onBroken: () => void) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#onBroken = onBroken;
    this.wait();
  }

  wait(): void {
    if (this.#silenceMs === Infinity) return;
    this.#cancel = this.#clock.after(this.#silenceMs, () => {
      this.broken = true;
      this.#onBroken();
    });
  }

  pause(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** Settles as the work does; rejects with `StoreUnavailable` when that takes longer. */
export async function within<T>(clock: Clock, timeoutMs: number, work: Promise<T>, onLate: () => void): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => {
      reject(new StoreUnavailable(`EventStoreDB did not answer within ${timeoutMs} ms`));
      onLate();
    });
    work.then(resolve, reject).finally(cancel);
  });
}

function startAt(all: InstanceType<typeof streams.ReadReq.Options.AllOptions>, position: Position): typeof all {
  if (position === startOfLog) return all.setStart(new shared.Empty());
  return all.setPosition(new streams.ReadReq.Options.Position().setCommitPosition(position).setPreparePosition(position));
}

function filterOf(prefixes: readonly string[]): InstanceType<typeof streams.ReadReq.Options.FilterOptions> {
  const names = new streams.ReadReq.Options.FilterOptions.Expression().setPrefixList([...prefixes]);
  return new streams.ReadReq.Options.FilterOptions().setStreamIdentifier(names).setMax(searchWindow).setCheckpointintervalmultiplier(1);
}

/** After so many records that did not pass, the server says how far it is. */
const searchWindow = 1000;

const requestOf = (options: InstanceType<typeof streams.ReadReq.Options>): ReadReq =>
  new streams.ReadReq().setOptions(options.setResolveLinks(false).setUuidOption(new streams.ReadReq.Options.UUIDOption().setString(new shared.Empty())));
