import { randomBytes } from 'node:crypto';
import features, { type ServerFeaturesClient } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import grpc, { type StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import type { GRPCClientConstructor } from '@eventstore/db-client/dist/types/index.js';
import type { ClientReadableStream, sendUnaryData, ServerReadableStream, ServerUnaryCall, ServerWritableStream, ServiceError } from '@grpc/grpc-js';
import type { Secret } from '#kernel';
import { type Connection, connectionTo, readTarget } from '../../../libs/event-store/eventstoredb/connection.ts';
import { type AppendReq, type AppendResp, identifierOf, nameOf, type ReadReq, type ReadResp, type TombstoneReq, type TombstoneResp } from './messages.ts';
import { listen, newGrpcServer } from './server.ts';

const streamsClient = grpc.StreamsClient as unknown as GRPCClientConstructor<StreamsClient>;
const featuresClient = features.ServerFeaturesClient as unknown as GRPCClientConstructor<ServerFeaturesClient>;

type StreamIdentifier = ReturnType<typeof identifierOf>;
type Named = { getStreamIdentifier(): StreamIdentifier | undefined; setStreamIdentifier(identifier: StreamIdentifier): unknown };

/**
 * A server on loopback that hands everything on to another EventStoreDB, where streams get names of their own. So a server
 * that is started on it finds an empty log, whatever others have written there, and what they write is to it like the
 * records that an EventStoreDB writes for itself; what was there before is before the start of the log. What it wrote stays.
 */
export async function startOwnPart(connectionString: Secret): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const { address, credentials } = readTarget(connectionString);
  const connection = connectionTo({ address, credentials }, () => undefined);
  const argumentsOf = (): ReturnType<Connection['callArguments']> => connection.callArguments({ requiresLeader: true, ...(credentials && { credentials }) }, { deadline: Infinity });
  const names = new OwnNames(`run${randomBytes(6).toString('hex')}`);
  const open = (request: ReadReq): Promise<ClientReadableStream<ReadResp>> => connection.GRPCStreamCreator(streamsClient, 'read', (client) => client.read(request, ...argumentsOf()))();
  const start = await endOf(open);
  const server = newGrpcServer();

  server.addService(grpc.StreamsService, {
    append: (call: ServerReadableStream<AppendReq, AppendResp>, answer: sendUnaryData<AppendResp>) =>
      hand(answer, async () => {
        const parts: AppendReq[] = [];
        for await (const part of call as AsyncIterable<AppendReq>) parts.push(part);
        for (const part of parts) names.into(part.getOptions());
        return await connection.execute(streamsClient, 'append', (client) =>
          unary((settle) => {
            const sending = client.append(...argumentsOf(), settle);
            for (const part of parts) sending.write(part);
            sending.end();
          }),
        );
      }),
    tombstone: ({ request }: ServerUnaryCall<TombstoneReq, TombstoneResp>, answer: sendUnaryData<TombstoneResp>) =>
      hand(answer, () => {
        names.into(request.getOptions());
        return connection.execute(streamsClient, 'tombstone', (client) => unary((settle) => void client.tombstone(request, ...argumentsOf(), settle)));
      }),
    read: (call: ServerWritableStream<ReadReq, ReadResp>) => {
      const options = call.request.getOptions();
      names.into(options?.getStream());
      names.intoFilter(options?.getFilter());
      const all = options?.getAll();
      const marks = options?.getFilter()?.hasEventType();
      if (all?.hasStart() === true) all.setPosition(positionOf(start));
      open(call.request).then(
        (upstream) => relay(upstream, call, (message) => {
          const isOwn = names.outOf(message);
          if (all?.hasEnd() === true && isBefore(message, start)) return 'ends';
          // Who asks for marks of removed streams takes every one for its own.
          return isOwn || marks !== true ? 'goes' : 'stays';
        }),
        (error: ServiceError) => call.emit('error', error),
      );
    },
  });
  server.addService(features.ServerFeaturesService, {
    getSupportedMethods: (_call: unknown, answer: sendUnaryData<unknown>) =>
      hand(answer, () => connection.execute(featuresClient, 'features', (client) => unary((settle) => void client.getSupportedMethods(new shared.Empty(), ...argumentsOf(), settle)))),
  });
  const port = await listen(server, 0);
  return {
    url: `esdb://127.0.0.1:${port}?tls=false`,
    stop: async () => {
      server.forceShutdown();
      await connection.dispose();
      (await connection.getChannel()).close();
    },
  };
}

/** Our streams there, and here: `event-acme.production.1` is `event-<run>.acme.production.1` there. */
class OwnNames {
  readonly #mark: string;

  constructor(run: string) {
    this.#mark = `-${run}.`;
  }

  /** Also of the beginning of a name. */
  named(name: string): string {
    return name.replace('-', this.#mark);
  }

  into(names: Named | undefined): void {
    if (names !== undefined) names.setStreamIdentifier(identifierOf(this.named(nameOf(names.getStreamIdentifier()))));
  }

  intoFilter(filter: InstanceType<typeof streams.ReadReq.Options.FilterOptions> | undefined): void {
    const prefixes = filter?.getStreamIdentifier();
    prefixes?.setPrefixList(prefixes.getPrefixList().map((prefix) => this.named(prefix)));
  }

  /** The streams of others have the names of the server's own: who reads passes over them. Answers whether it is ours. */
  outOf(message: ReadResp): boolean {
    const named: Named | undefined = message.getEvent()?.getEvent() ?? message.getStreamNotFound();
    const name = nameOf(named?.getStreamIdentifier());
    const isOwn = name.includes(this.#mark);
    named?.setStreamIdentifier(identifierOf(isOwn ? name.replace(this.#mark, '-') : `$${name}`));
    return isOwn || named === undefined;
  }
}

const unary = <Answer>(send: (settle: (error: ServiceError | null, answer: Answer) => void) => void): Promise<Answer> =>
  new Promise((resolve, reject) => send((error, answer) => (error === null ? resolve(answer) : reject(error))));

/** The answer of the other server, or its error, as it came. */
function hand<Answer>(answer: sendUnaryData<Answer>, ask: () => Promise<Answer>): void {
  ask().then(
    (given) => answer(null, given),
    (error: ServiceError) => answer(error),
  );
}

/** Also the record that begins there. */
function isBefore(message: ReadResp, position: string): boolean {
  const record = message.getEvent()?.getEvent();
  return record !== undefined && BigInt(record.getCommitPosition()) <= BigInt(position);
}

const positionOf = (position: string): InstanceType<typeof streams.ReadReq.Options.Position> => new streams.ReadReq.Options.Position().setCommitPosition(position).setPreparePosition(position);

/** Of the last record of the log: before it nothing of ours can stand. */
async function endOf(open: (request: ReadReq) => Promise<AsyncIterable<unknown>>): Promise<string> {
  const all = new streams.ReadReq.Options.AllOptions().setEnd(new shared.Empty());
  const options = new streams.ReadReq.Options().setAll(all).setReadDirection(1).setNoFilter(new shared.Empty()).setCount('1').setUuidOption(new streams.ReadReq.Options.UUIDOption().setString(new shared.Empty()));
  for await (const message of await open(new streams.ReadReq().setOptions(options))) return (message as ReadResp).getEvent()?.getEvent()?.getCommitPosition() ?? '0';
  throw new Error('the log of the EventStoreDB is empty: a server writes to it when it starts');
}

/** Hands on at the reader's pace what is to go, until something ends it, or one of both. */
function relay(upstream: ClientReadableStream<ReadResp>, call: ServerWritableStream<ReadReq, ReadResp>, take: (message: ReadResp) => 'goes' | 'stays' | 'ends'): void {
  call.on('cancelled', () => upstream.cancel());
  call.on('drain', () => upstream.resume());
  let isOver = false;
  const end = (): void => {
    if (!isOver) call.end();
    isOver = true;
  };
  upstream.on('error', (error) => isOver || call.emit('error', error));
  upstream.on('end', end);
  upstream.on('data', (message: ReadResp) => {
    if (isOver) return;
    const fate = take(message);
    if (fate === 'goes' && !call.write(message)) upstream.pause();
    if (fate !== 'ends') return;
    end();
    upstream.cancel();
  });
  if (call.cancelled) upstream.cancel();
}
