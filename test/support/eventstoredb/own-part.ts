import { randomBytes } from 'node:crypto';
import features, { type ServerFeaturesClient } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import grpc, { type StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
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
 * records that an EventStoreDB writes for itself. What it wrote stays.
 */
export async function startOwnPart(connectionString: Secret): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const { address, credentials } = readTarget(connectionString);
  const connection = connectionTo({ address, credentials }, () => undefined);
  const argumentsOf = (): ReturnType<Connection['callArguments']> => connection.callArguments({ requiresLeader: true, ...(credentials && { credentials }) }, { deadline: Infinity });
  const names = new OwnNames(`run${randomBytes(6).toString('hex')}`);
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
      const prefixes = options?.getFilter()?.getStreamIdentifier();
      prefixes?.setPrefixList(prefixes.getPrefixList().map((prefix) => names.named(prefix)));
      connection.GRPCStreamCreator(streamsClient, 'read', (client) => client.read(call.request, ...argumentsOf()))().then(
        (upstream) => relay(upstream, call, (message) => names.outOf(message)),
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

  /** The streams of others have the names of the server's own: who reads passes over them. */
  outOf(message: ReadResp): void {
    const named: Named | undefined = message.getEvent()?.getEvent() ?? message.getStreamNotFound();
    const name = nameOf(named?.getStreamIdentifier());
    named?.setStreamIdentifier(identifierOf(name.includes(this.#mark) ? name.replace(this.#mark, '-') : `$${name}`));
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

/** Hands on at the reader's pace, until one of both ends. */
function relay(upstream: ClientReadableStream<ReadResp>, call: ServerWritableStream<ReadReq, ReadResp>, change: (message: ReadResp) => void): void {
  call.on('cancelled', () => upstream.cancel());
  call.on('drain', () => upstream.resume());
  upstream.on('error', (error) => call.emit('error', error));
  upstream.on('end', () => call.end());
  upstream.on('data', (message: ReadResp) => {
    change(message);
    if (!call.write(message)) upstream.pause();
  });
  if (call.cancelled) upstream.cancel();
}
