import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { Secret, startOfLog } from '#kernel';
import { eventNamed } from '../../../test/support/event-store-contract.ts';
import { startEventStoreDb } from '../../../test/support/eventstoredb/server.ts';
import { testClock } from '../../../test/support/wall-clock.ts';
import { receiverCertificate, receiverKey } from '../../../test/support/webhook-receivers.ts';

describe('an EventStoreDB with TLS and a user', () => {
  let server: Awaited<ReturnType<typeof startEventStoreDb>>;
  let folder: string;
  let authority: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'eventstoredb-tls-'));
    authority = join(folder, 'ca.pem');
    writeFileSync(authority, receiverCertificate);
    server = await startEventStoreDb({ tls: { key: receiverKey, certificate: receiverCertificate }, user: { name: 'ops', password: 'hunter2:%' } });
  });
  afterEach(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const connect = (connectionString: string): ReturnType<typeof openEventStoreDb> => openEventStoreDb({ connectionString: new Secret(connectionString), clock: testClock(), timeoutMs: 2_000 });
  const refused = async (connectionString: string): Promise<string> => {
    const error = await connect(connectionString).then(
      async (store) => {
        await store.close();
        return new Error('connected');
      },
      (failed: Error) => failed,
    );
    expect(error.name).toBe('StoreUnavailable');
    expect(`${error.message} ${error.stack}`).not.toMatch(/hunter/);
    return error.message;
  };
  const to = (user: string, host = 'localhost'): string => `esdb://${user}${host}:${server.port}?tls=true&tlsCAFile=${encodeURIComponent(authority)}`;

  it('is written, read and followed by who trusts its authority and has its password', async () => {
    const store = await connect(to('ops:hunter2%3A%25@'));
    await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
    expect(await store.readStream('orders-a')).toHaveLength(1);
    for await (const batch of store.subscribe(startOfLog, undefined, new AbortController().signal)) {
      expect(batch.events).toHaveLength(1);
      break;
    }
    await store.tombstone('orders-a');
    await store.close();
  });

  it.each([
    ['another password', 'ops:hunter3@'],
    ['another user', 'eve:hunter2%3A%25@'],
    ['nobody', ''],
  ])('refuses who is not its user, in words: %s', async (_, user) => {
    expect(await refused(to(user))).toMatch(/Unauthenticated/);
  });

  it('is refused by who does not know its authority, or calls it by a name that it does not have', async () => {
    expect(await refused(`esdb://ops:hunter2%3A%25@localhost:${server.port}?tls=true`)).toMatch(/certificate/);
    expect(await refused(to('ops:hunter2%3A%25@', '127.0.0.1'))).toMatch(/certificate/);
  });

  it('is not spoken to without TLS', async () => {
    expect(await refused(`esdb://localhost:${server.port}?tls=false`)).toMatch(/EventStoreDB/);
  });
});
