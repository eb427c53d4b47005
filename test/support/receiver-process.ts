// A webhook receiver in a process of its own: `receiver-process.ts <count|record>`, told what to do by its parent.
// `count` keeps nothing of a request; `record` hands every one to the parent.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ToParent, ToReceiver } from './receiver.ts';

const record = process.argv[2] === 'record';
const say = (message: ToParent): boolean => process.send?.(message) ?? false;

/** Requests that have no answer yet, oldest first. */
const open = new Set<ServerResponse>();
/** Who is not answered for longer gives it up, and then asks ever more rarely. */
const longestOpenMs = 10_000;
let keepOpen = 0;
let received = 0;
let expected = Infinity;
let connections = 0;
let isDraining = false;

function sayDrained(): void {
  if (!isDraining || connections > 0) return;
  isDraining = false;
  say({ drained: true });
}

function answerSurplus(): void {
  for (const response of open) {
    if (open.size <= keepOpen) return;
    answer(response);
  }
}

function answer(response: ServerResponse): void {
  if (open.delete(response)) response.end('ok');
}

function took(request: IncomingMessage, response: ServerResponse, chunks: readonly Buffer[]): void {
  received += 1;
  open.add(response);
  response.on('close', () => open.delete(response));
  const { url: path = '', headers } = request;
  if (record) say({ received: { path, headers, body: Buffer.concat(chunks).toString(), atMs: Date.now() }, underWay: open.size });
  answerSurplus();
  if (open.has(response)) setTimeout(() => answer(response), longestOpenMs);
  if (received === expected) say({ counted: received });
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', record ? (chunk: Buffer) => chunks.push(chunk) : () => undefined);
  // A sender that was killed leaves half a request behind: it is no request.
  request.on('error', () => undefined);
  request.on('end', () => took(request, response, chunks));
});

server.on('connection', (socket) => {
  connections += 1;
  socket.on('close', () => {
    connections -= 1;
    sayDrained();
  });
});

process.on('message', (message: ToReceiver) => {
  if ('drain' in message) {
    isDraining = true;
    // What has come to this machine is taken before.
    setImmediate(() => setImmediate(sayDrained));
  }
  if ('keepOpen' in message) keepOpen = message.keepOpen;
  if ('expect' in message) {
    expected = message.expect;
    received = 0;
    say({ expecting: expected });
  }
  answerSurplus();
});
// The receiver ends with its parent, however that ends.
process.on('disconnect', () => process.exit(0));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => say({ listening: (server.address() as AddressInfo).port }));
