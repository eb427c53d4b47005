import { type Client, Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from '@jest/globals';
import { Secret } from '#kernel';
import { connectionTo, readTarget } from './connection.ts';

const read = (text: string): ReturnType<typeof readTarget> => readTarget(new Secret(text));
const messageOf = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    return error instanceof TypeError ? error.message : `not a TypeError: ${String(error)}`;
  }
  return 'taken';
};

it('who opened a connection is told that it could not be made again: thrown beside every call, that would end the process', async () => {
  const lost: string[] = [];
  const connection = connectionTo(read('esdb://127.0.0.1:1,127.0.0.1:2?tls=false&maxDiscoverAttempts=1&discoveryInterval=1'), ({ message }) => lost.push(message));
  const discovery = connection.getChannel().catch((error: Error) => error.message);
  // A call over the connection before fails while the next one is looked for.
  const client = { getChannel: () => undefined } as unknown as Client;
  await connection.handleError(client, Object.assign(new Error('14 UNAVAILABLE: Connection dropped'), { code: 14, details: 'Connection dropped', metadata: new Metadata() }));
  expect(lost).toEqual(['Failed to discover after 1 attempts.']);
  expect(await discovery).toBe(lost[0]);
});

describe('the connection string of EventStoreDB', () => {
  it('is passed on without its credentials: one node, a cluster, a name to discover', () => {
    expect(read('esdb://127.0.0.1:2113?tls=false')).toEqual({ address: 'esdb://127.0.0.1:2113?tls=false', credentials: undefined });
    expect(read('esdb://ops:p%40ss%3Aword@n1:2113,n2:2113,n3:2113?tls=true&nodePreference=leader&tlsCAFile=/ca.pem')).toEqual({
      address: 'esdb://n1:2113,n2:2113,n3:2113?tls=true&nodePreference=leader&tlsCAFile=/ca.pem',
      credentials: { username: 'ops', password: 'p@ss:word' },
    });
    expect(read('esdb+discover://ops:secret@cluster.example')).toEqual({ address: 'esdb+discover://cluster.example', credentials: { username: 'ops', password: 'secret' } });
  });

  it.each([
    ['another scheme', 'http://ops:hunter2@n1:2113'],
    ['no host', 'esdb://ops:hunter2@'],
    ['an at sign in the password', 'esdb://ops:hunter2@x@n1:2113'],
    ['a colon in the password', 'esdb://ops:hunter2:x@n1:2113'],
    ['a password that is not percent-encoded', 'esdb://ops:hunter2%zz@n1:2113'],
    ['no password', 'esdb://hunter2@n1:2113'],
    ['an unknown option', 'esdb://ops:hunter2@n1:2113?tlss=true'],
    ['milliseconds where the client counts seconds', 'esdb://ops:hunter2@n1:2113?gossipTimeout=5000'],
    ['an option without a value', 'esdb://ops:hunter2@n1:2113?tls='],
    ['credentials that would be dropped without TLS', 'esdb://ops:hunter2@n1:2113?tls=false'],
    ['a check of the certificate that the client would not leave out', 'esdb://ops:hunter2@n1:2113?tlsVerifyCert=false'],
    ['wrong answers instead of conflicts', 'esdb://ops:hunter2@n1:2113?throwOnAppendFailure=false'],
  ])('is refused, with nothing of the password in the message: %s', (_, text) => {
    expect(messageOf(text)).toMatch(/^the EventStoreDB connection string /);
    expect(messageOf(text)).not.toMatch(/hunter2/);
  });
});
