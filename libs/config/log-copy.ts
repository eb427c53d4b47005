import { Secret } from '#kernel';
import { ConfigError } from './server.ts';

/**
 * The connection string of the EventStoreDB that a log is copied to: `KF_EVENT_STORE`, because it may hold a password. Throws
 * `ConfigError` when it is missing or names no other store.
 */
export function readCopyTarget(environment: Readonly<Record<string, string | undefined>> = process.env): Secret {
  const text = environment['KF_EVENT_STORE'] ?? '';
  if (/^esdb(\+discover)?:\/\/\S+$/.test(text)) return new Secret(text);
  const is = text === '' ? 'is not set' : text === 'sqlite' ? 'is sqlite, which is what the log is copied from' : 'is no such connection string';
  throw new ConfigError([`KF_EVENT_STORE must be the connection string of the EventStoreDB to copy to, esdb://… or esdb+discover://…; it ${is}.`]);
}
