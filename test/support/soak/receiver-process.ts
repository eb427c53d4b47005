// A webhook receiver in a process of its own, which behaves as its paths say: `receiver-process.ts <seed>`.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Temper } from './plan.ts';
import type { FromReceiver, SeenRequest, ToReceiver } from './receiver.ts';

const seed = process.argv[2] ?? '';
const say = (message: FromReceiver): boolean => process.send?.(message) ?? false;

/** How often each delivery came. */
const times = new Map<string, number>();
const connectedAtMs = new WeakMap<Socket, number>();
let ended: SeenRequest[] = [];
let open = 0;
let calm = false;

type Answer = { readonly afterMs: number; readonly status: number | 'cut' };
const at = (status: number | 'cut', afterMs = 0): Answer => ({ status, afterMs });

/** From 0 to 1, the same for the same delivery and try in every run of a seed. */
function chanceOf(deliveryId: string): number {
  const count = (times.get(deliveryId) ?? 0) + 1;
  times.set(deliveryId, count);
  return createHash('sha256').update(`${seed} ${deliveryId} ${count}`).digest().readUInt32BE() / 2 ** 32;
}

const answers: Readonly<Record<Temper, (chance: number) => Answer>> = {
  prompt: () => at(200),
  failing: (chance) => at(chance < 0.3 ? 500 : 200),
  slow: (chance) => at(200, chance < 0.5 ? 0 : (chance - 0.5) * 2_000),
  resetting: (chance) => (chance < 0.15 ? at('cut') : chance < 0.25 ? at('cut', 200) : at(200)),
  overloaded: (chance) => at(chance < 0.1 ? 503 : 200),
  doomed: (chance) => at(chance < 0.5 ? 500 : 200),
};

function take(request: IncomingMessage, response: ServerResponse, body: string): void {
  const arrivedAtMs = Date.now();
  const [, temper = 'prompt', subscriptionId = ''] = (request.url ?? '').split('/');
  const { socket } = request;
  const deliveryId = String(request.headers['webhook-id']);
  const { id: eventId } = JSON.parse(body) as { readonly id: string };
  const seen = { port: socket.remotePort ?? 0, connectedAtMs: connectedAtMs.get(socket) ?? 0, subscriptionId, deliveryId, eventId, arrivedAtMs };
  const { afterMs, status } = calm ? at(200) : answers[temper as Temper](chanceOf(deliveryId));
  let isOver = false;
  const end = (sent: number | null): void => {
    if (isOver) return;
    isOver = true;
    open -= 1;
    ended.push({ ...seen, status: sent, endedAtMs: Date.now() });
  };
  open += 1;
  response.on('close', () => end(null));
  const answer = (): void => {
    if (isOver) return;
    end(status === 'cut' ? null : status);
    if (status === 'cut') socket.destroy();
    else response.writeHead(status, status === 503 ? { 'retry-after': '1' } : {}).end('ok');
  };
  if (afterMs === 0) answer();
  else setTimeout(answer, afterMs);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A sender that was killed leaves half a request behind: it is no request.
  request.on('error', () => undefined);
  request.on('end', () => take(request, response, Buffer.concat(chunks).toString()));
});
server.on('connection', (socket: Socket) => connectedAtMs.set(socket, Date.now()));

function tell(): void {
  if (ended.length > 0) say({ seen: ended });
  ended = [];
}

process.on('message', (message: ToReceiver) => {
  if ('calm' in message) calm = true;
  else {
    tell();
    say({ flushed: message.flush, open });
  }
});
// It ends with its parent, however that ends.
process.on('disconnect', () => process.exit(0));
server.keepAliveTimeout = 60_000;
setInterval(tell, 200).unref();
server.listen(0, '127.0.0.1', () => say({ listening: (server.address() as AddressInfo).port }));
