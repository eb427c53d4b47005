// `node --import sender-ports.ts …`: writes down every connection of a server that it runs in, before anything is sent over it, as
// `<own port> <time>`, to the file SENDER_PORTS names. So a receiver's request is known to be of that process and no other.
import { subscribe } from 'node:diagnostics_channel';
import { openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

const file = process.env['SENDER_PORTS'];
if (isMainThread && file !== undefined) {
  const ports = openSync(file, 'a', 0o600);
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { readonly socket: Socket };
    socket.once('connect', () => void writeSync(ports, `${socket.localPort} ${Date.now()}\n`));
  });
}
