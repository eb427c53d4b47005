import gossip from '@eventstore/db-client/generated/gossip_pb.js';
import { GossipService } from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import features from '@eventstore/db-client/generated/serverfeatures_pb.js';
import { ServerFeaturesService } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { Server, ServerCredentials, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { EventLog } from './log.ts';
import { Misbehaviour } from './misbehaviour.ts';
import { readsOf } from './reads.ts';
import { writesTo } from './writes.ts';

export interface EventStoreDbOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** Every position is beyond it. */
  readonly startPosition?: bigint;
  /** The leader's clock: what `created` says, and what deadlines are compared with. It may go back. */
  readonly nowMs?: () => number;
  /** The server's key and certificate, PEM; by default it speaks without TLS. */
  readonly tls?: { readonly key: string; readonly certificate: string };
  /** The port of the node that leads, as gossip says; by default its own. */
  readonly leaderPort?: number;
  /** The only user: streams are for nobody else. By default they are for everybody. */
  readonly user?: { readonly name: string; readonly password: string };
}

/**
 * A server that speaks EventStoreDB's protocol on loopback, with its rules for writes, in memory: for tests. Without
 * rights, projections, persistent subscriptions, scavenging and `$max…` of streams.
 */
export interface EventStoreDb {
  /** The connection string; the port stays the same across restarts. */
  readonly url: string;
  readonly port: number;
  readonly log: EventLog;
  readonly misbehave: Misbehaviour;
  /** Cuts every connection and listens no more; what was written stays. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const version = '24.10.0-countersign-test-server';
/** As on the server: more than any event that fits into the log. */
const maxMessageBytes = 17 * 1024 * 1024;

/** Starts it; it listens when the promise resolves. */
export async function startEventStoreDb({ port = 0, startPosition = 0n, nowMs = Date.now, leaderPort, tls, user }: EventStoreDbOptions = {}): Promise<EventStoreDb> {
  const log = new EventLog({ startPosition, nowMs });
  const misbehave = new Misbehaviour(log);
  let bound = port;
  let server: Server | undefined;
  const up = async (): Promise<void> => {
    if (server !== undefined) return;
    server = serverOf(log, misbehave, () => leaderPort ?? bound, user);
    bound = await listen(server, bound, tls);
    log.elected();
  };
  const down = (): Promise<void> => {
    server?.forceShutdown();
    server = undefined;
    misbehave.disconnected();
    return Promise.resolve();
  };
  await up();
  return {
    url: `esdb://${host}:${bound}?tls=${tls !== undefined}`,
    port: bound,
    log,
    misbehave,
    up,
    down,
    restart: async () => {
      await down();
      await up();
    },
    stop: down,
  };
}

/** Answers the port: 0 takes any free one. */
export const listen = (server: Server, port: number, tls?: EventStoreDbOptions['tls']): Promise<number> =>
  new Promise((resolve, reject) => {
    const credentials = tls === undefined ? ServerCredentials.createInsecure() : ServerCredentials.createSsl(null, [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.certificate) }]);
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });

export const newGrpcServer = (interceptors: ServerInterceptor[] = []): Server => new Server({ interceptors, 'grpc.max_receive_message_length': maxMessageBytes, 'grpc.max_send_message_length': maxMessageBytes });

/** Who is not the user is refused what is said of streams; gossip and features are for everybody. */
const authenticating =
  ({ name, password }: NonNullable<EventStoreDbOptions['user']>): ServerInterceptor =>
  ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, goOn) => {
            const [given] = metadata.get('authorization');
            if (!path.includes('Streams') || given === `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`) goOn(metadata);
            else call.sendStatus({ code: status.UNAUTHENTICATED, details: 'Unauthenticated' });
          },
        }),
    });

function serverOf(log: EventLog, misbehave: Misbehaviour, port: () => number, user: EventStoreDbOptions['user']): Server {
  const server = newGrpcServer(user === undefined ? [] : [authenticating(user)]);
  server.addService(StreamsService, { ...readsOf(log, misbehave), ...writesTo(log, misbehave) });
  server.addService(ServerFeaturesService, {
    getSupportedMethods: (_call: unknown, answer: (error: null, methods: object) => void) => answer(null, supportedMethods()),
  });
  server.addService(GossipService, {
    read: (_call: unknown, answer: (error: null, members: object) => void) => answer(null, members(port(), log)),
  });
  return server;
}

/** Every method that is there, and no other: clients decide by it what they call. */
function supportedMethods(): InstanceType<typeof features.SupportedMethods> {
  const paths = [StreamsService, GossipService].flatMap((service) => Object.values(service as Record<string, { readonly path: string }>)).map(({ path }) => path);
  const methods = paths.map((path) => {
    const [, service = '', method = ''] = path.toLowerCase().split('/');
    return new features.SupportedMethod().setServiceName(service).setMethodName(method);
  });
  return new features.SupportedMethods().setEventStoreServerVersion(version).setMethodsList(methods);
}

/** A cluster of one, which leads. */
function members(port: number, log: EventLog): InstanceType<typeof gossip.ClusterInfo> {
  const self = new gossip.MemberInfo()
    .setInstanceId(new shared.UUID().setString('00000000-0000-4000-8000-000000000001'))
    .setTimeStamp(String(BigInt(log.nowMs()) * 10_000n))
    .setState(gossip.MemberInfo.VNodeState.LEADER)
    .setIsAlive(true)
    .setHttpEndPoint(new gossip.EndPoint().setAddress(host).setPort(port));
  return new gossip.ClusterInfo().setMembersList([self]);
}
