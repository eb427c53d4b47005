// Receivers in a process of their own. What is asked for is answered as the first part of its path says; the second names whose
// requests it is counted with.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { machineMs } from '../clock.ts';
import { latencyOf } from '../latencies.ts';
import type { FromReceiver, Manner, ToReceiver } from '../receiver.ts';

const say = (message: FromReceiver): boolean => process.send?.(message) ?? false;

const latencies = new Map<string, number[]>();
let expected: Extract<ToReceiver, { expect: unknown }> = { expect: [], group: null };
let counted = 0;

function count(group: string): void {
  if (expected.group !== null && expected.group !== group) return;
  counted += 1;
  if (expected.expect.includes(counted)) say({ reached: counted, atMs: machineMs() });
}

const mark = '"sentAtMs":';

/** How long ago what is in the body was to be sent. */
function time(group: string, body: string): void {
  const sentAtMs = Number.parseFloat(body.slice(body.indexOf(mark) + mark.length));
  const all = latencies.get(group);
  if (all === undefined) latencies.set(group, [machineMs() - sentAtMs]);
  else all.push(machineMs() - sentAtMs);
}

/** One byte a second: no head is complete before a sender's patience ends. */
function drip({ socket }: ServerResponse): void {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\r\n';
  let sent = 0;
  const timer = setInterval(() => socket?.write(head.charAt(sent++ % head.length)), 1_000);
  socket?.on('close', () => clearInterval(timer));
}

const answers: Readonly<Record<Manner, (response: ServerResponse, group: string, body: string) => void>> = {
  ok(response, group) {
    response.end('ok');
    count(group);
  },
  timed(response, group, body) {
    time(group, body);
    // What a server says to whoever publishes, for a publisher that comes here without one.
    response.end('{"status":"ACCEPTED"}');
    count(group);
  },
  hang: () => undefined,
  drip,
  reset: ({ socket }) => void socket?.resetAndDestroy(),
  fail: (response) => void response.writeHead(500).end('failed'),
};

function take({ url = '' }: IncomingMessage, response: ServerResponse, body: string): void {
  const [, manner = '', group = ''] = url.split('/');
  answers[manner as Manner](response, group, body);
}

const server = createServer((request, response) => {
  const isTimed = request.url?.startsWith('/timed/') ?? false;
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => (isTimed ? chunks.push(chunk) : 0));
  // A sender that gives up, or has ended, leaves half a request behind: it is no request.
  request.on('error', () => undefined);
  request.on('end', () => take(request, response, Buffer.concat(chunks).toString('latin1')));
});

process.on('message', (message: ToReceiver) => {
  if ('expect' in message) {
    expected = message;
    counted = 0;
    latencies.clear();
    say({ expecting: true });
  } else say({ latencies: Object.fromEntries([...latencies].map(([group, all]) => [group, latencyOf(all)])) });
});
// It ends with its parent, however that ends.
process.on('disconnect', () => process.exit(0));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => say({ listening: (server.address() as AddressInfo).port }));
