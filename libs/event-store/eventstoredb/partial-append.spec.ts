import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import grpc, { type StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { startEventStoreDb } from '../../../test/support/eventstoredb/server.ts';
import { appendHeader, proposed } from './envelope.ts';

let store: Awaited<ReturnType<typeof startEventStoreDb>>;
beforeEach(async () => {
  store = await startEventStoreDb();
});
afterEach(() => store.stop());

it('a writer that dies in the middle of an append has written nothing', async () => {
  const sockets: Socket[] = [];
  let bytes = 0;
  const way = createServer((socket) => {
    const onwards = connect(store.port, '127.0.0.1');
    sockets.push(socket, onwards);
    socket.on('data', (chunk) => (bytes += chunk.length)).on('error', () => undefined).pipe(onwards);
    onwards.on('error', () => undefined).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(way, 'listening');
  const client = new (grpc.StreamsClient as unknown as new (...args: unknown[]) => StreamsClient)(`127.0.0.1:${(way.address() as AddressInfo).port}`, credentials.createInsecure());
  const failed = new Promise<Error | null>((settle) => {
    const call = client.append((error) => settle(error));
    call.write(appendHeader('orders-1', 'NO_STREAM'));
    call.write(proposed({ id: 'c9d1f3a2-6c55-4a0e-9f0b-52f4f3f4b9a1', type: 'OrderPlaced', data: '{}', metadata: {} }, '{}'), () => {
      const cut = setInterval(() => {
        // What was sent has arrived; the end of it never comes.
        if (bytes < 200) return;
        clearInterval(cut);
        setImmediate(() => sockets.forEach((socket) => socket.destroy()));
      }, 20);
    });
  });
  expect(await failed).not.toBeNull();
  client.close();
  way.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(store.log.events.filter(({ stream }) => stream === 'orders-1')).toEqual([]);
});
