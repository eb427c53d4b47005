import { Redis, type RedisOptions } from 'ioredis';
import { LeasesUnreachable } from '../leases/port.ts';
import type { RedisTarget } from '../redis-url/url.ts';

/** One connection that comes back by itself. Nothing waits for it: what can't be sent now is refused now. */
export interface RedisLink {
  /** Throws `LeasesUnreachable` for whatever goes wrong, with a reason that holds no password. */
  ask<T>(command: (client: Redis) => Promise<T>): Promise<T>;
  /** Null: it can be asked. Else why not. */
  trouble(): string | null;
  close(): void;
}

type Options = Omit<RedisOptions, 'replyMapping'>;

const connectTimeoutMs = 5_000;
const disconnectTimeoutMs = 200;
/** A connection that has answered nothing for so long is given up and made anew. */
const silentMs = 5_000;
const longestPauseMs = 2_000;

export function openLink(target: RedisTarget): RedisLink {
  const client = new Redis(optionsOf(target));
  const place = placeText(target);
  let last = 'not connected yet';
  const tried = Promise.withResolvers<void>();
  for (const event of ['ready', 'error', 'close', 'end']) client.once(event, () => tried.resolve());
  const told = (error: unknown): string => `${place}: ${censored(target, reasonOf(error))}`;
  client.on('error', (error) => {
    last = told(error);
  });
  client.on('ready', () => {
    last = `${place}: the connection was lost`;
  });
  return {
    async ask(command) {
      // Right after the start nothing is known; that is no trouble yet.
      await tried.promise;
      if (client.status !== 'ready') throw new LeasesUnreachable(last);
      try {
        return await command(client);
      } catch (error) {
        // Without a cause: the client's errors carry the command with its arguments.
        throw new LeasesUnreachable(told(error));
      }
    },
    trouble: () => (client.status === 'ready' ? null : last),
    close: () => client.disconnect(),
  };
}

const placeText = ({ places, master }: RedisTarget): string => {
  const hosts = places.map(({ host, port }) => `${host}:${port}`).join(', ');
  return master === null ? `Redis at ${hosts}` : `Redis ${master} of Sentinels at ${hosts}`;
};

const reasonOf = (error: unknown): string => (typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : 'failed');

const censored = ({ password, sentinelPassword }: RedisTarget, text: string): string =>
  [password, sentinelPassword].reduce((said, secret) => (secret === null ? said : said.replaceAll(secret.reveal(), '[redacted]')), text);

const pauseMs = (tries: number): number => Math.min(50 * 2 ** (tries - 1), longestPauseMs);

function optionsOf(target: RedisTarget): Options {
  const { tls, username, password, database } = target;
  return {
    ...(target.master === null ? target.places[0] : sentinelOptions(target, target.master)),
    ...(tls ? { tls: {} } : {}),
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password: password.reveal() }),
    db: database,
    protocol: 2,
    connectionName: 'countersign',
    disconnectTimeout: disconnectTimeoutMs,
    connectTimeout: connectTimeoutMs,
    socketTimeout: silentMs,
    retryStrategy: pauseMs,
    // A master that became a replica: look again who is the master.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    // A step that arrives late is not what its holder counts on: nothing is kept to be sent later, or again.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  };
}

const sentinelOptions = ({ places, tls, sentinelPassword }: RedisTarget, name: string): Options => ({
  sentinels: [...places],
  name,
  ...(sentinelPassword === null ? {} : { sentinelPassword: sentinelPassword.reveal() }),
  ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  sentinelRetryStrategy: pauseMs,
  sentinelCommandTimeout: silentMs,
  failoverDetector: true,
});
