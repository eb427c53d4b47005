import { EventStoreDBClient } from '@eventstore/db-client';
import type { BaseOptions, Credentials, GRPCClientConstructor } from '@eventstore/db-client/dist/types/index.js';
import type { CallOptions, Channel, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import type { Readable } from 'node:stream';
import type { Secret } from '#kernel';

/**
 * What the client does for every call of its own: discovery, TLS, following the leader, connecting again. Its calls for
 * reading and appending parse JSON and write it anew, which loses what was written (`1.0`, 9007199254740993, blanks), so the
 * adapter makes these calls itself. The names are those of 6.2.1, which is pinned.
 */
export interface Connection {
  execute<C extends GrpcClient, T>(service: GRPCClientConstructor<C>, name: string, action: (client: C) => Promise<T>): Promise<T>;
  GRPCStreamCreator<C extends GrpcClient, T extends Readable>(service: GRPCClientConstructor<C>, name: string, open: (client: C) => T): () => Promise<T>;
  callArguments(options: BaseOptions, call?: CallOptions): [Metadata, CallOptions];
  handleError(client: GrpcClient, error: Error): Promise<void>;
  getChannel(): Promise<Channel>;
  dispose(): Promise<void>;
  readonly capabilities: Promise<{ readonly serverVersion: string }>;
}

export interface Target {
  /** The connection string without credentials: the client writes it to the console when it does not like it. */
  readonly address: string;
  readonly credentials: Credentials | undefined;
}

const form = /^(esdb(?:\+discover)?:\/\/)(?:([^@/?]*)@)?([^@]+)$/;
const options = ['tls', 'tlsCAFile', 'userCertFile', 'userKeyFile', 'connectionName', 'nodePreference', 'maxDiscoverAttempts', 'discoveryInterval', 'gossipTimeout', 'keepAliveInterval', 'keepAliveTimeout'];
/** Of the client's times the only one in seconds: a number of milliseconds would let discovery wait for hours on one node that hangs. */
const mostGossipSeconds = 60;
const flat = (name: string): string => name.trim().toLowerCase().replace(/[_-]/g, '');

/**
 * Takes a connection string apart: `esdb://` with one host or several (a cluster), or `esdb+discover://` with a DNS name.
 * Throws `TypeError` for another form, an unknown option, and what the client would drop without a word (credentials without
 * TLS, `tlsVerifyCert=false`) or take in a unit that nobody means (`gossipTimeout`); the message has nothing of the credentials in it.
 */
export function readTarget(connectionString: Secret): Target {
  const [, scheme, userInfo, rest] = form.exec(connectionString.reveal().trim()) ?? [];
  if (scheme === undefined || rest === undefined) throw new TypeError('the EventStoreDB connection string is not of the form esdb://host:2113?tls=true or esdb+discover://name:2113; a password in it is percent-encoded');
  const given = optionsOf(rest);
  for (const { name, value } of given) admitOption(name, value);
  const credentials = userInfo === undefined ? undefined : readCredentials(userInfo);
  const insecure = given.some(({ name, value }) => flat(name) === 'tls' && value === 'false');
  if (credentials !== undefined && insecure) throw new TypeError('the EventStoreDB connection string has credentials and tls=false: without TLS they would not be sent; leave one of them out');
  return { address: `${scheme}${rest}`, credentials };
}

function optionsOf(rest: string): { readonly name: string; readonly value: string }[] {
  if (!rest.includes('?')) return [];
  return rest
    .slice(rest.indexOf('?') + 1)
    .split('&')
    .map((option) => option.split('=', 2))
    .map(([name = '', value = '']) => ({ name, value: value.trim() }));
}

function admitOption(name: string, value: string): void {
  if (flat(name) === 'gossiptimeout' && !(Number(value) >= 1 && Number(value) <= mostGossipSeconds)) {
    throw new TypeError(`the EventStoreDB connection string has gossipTimeout=${value}: it is in seconds, from 1 to ${mostGossipSeconds}`);
  }
  if (options.some((option) => flat(option) === flat(name)) && value !== '') return;
  const advice = flat(name) === 'tlsverifycert' ? 'name the CA in tlsCAFile instead' : `possible are ${options.join(', ')}, each with a value`;
  throw new TypeError(`the EventStoreDB connection string has the option "${name}", which is not possible here: ${advice}`);
}

function readCredentials(userInfo: string): Credentials {
  const [username = '', password = '', ...more] = userInfo.split(':');
  if (username === '' || password === '' || more.length > 0) throw new TypeError('the EventStoreDB connection string has credentials that are not user:password; a colon in them is percent-encoded');
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    throw new TypeError('the EventStoreDB connection string has credentials that are not percent-encoded correctly');
  }
}

/** Connects nothing yet. `onLost` hears why the client could not connect again by itself; thrown nowhere, that would end the process. */
export function connectionTo({ address }: Target, onLost: (error: Error) => void): Connection {
  const connection = EventStoreDBClient.connectionString(address) as unknown as Connection;
  const reconnect = connection.handleError.bind(connection);
  connection.handleError = (client, error) => reconnect(client, error).catch(onLost);
  return connection;
}
