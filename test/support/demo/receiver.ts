import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

/** One request as the receiver saw it. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver as a stranger would write it: a plain HTTP server and the `standardwebhooks` package, nothing of ours. */
export interface Receiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** What a path answers from now on (200 until told otherwise). */
  answer(path: string, status: number): void;
  /** Resolves with the next request that passes `test`, also one that came before; rejects after `timeoutMs`. */
  waitFor(what: string, test: (request: Received) => boolean, timeoutMs?: number): Promise<Received>;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const statuses = new Map<string, number>();
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '/';
      received.push({ path, headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.writeHead(statuses.get(path) ?? 200).end();
      for (const look of [...waiting]) look();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: (path, status) => void statuses.set(path, status),
    waitFor: (what, test, timeoutMs = 10_000) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = received.find(test);
          if (found !== undefined) end(() => resolve(found));
        };
        const end = (settle: () => void): void => {
          clearTimeout(timer);
          waiting.delete(look);
          settle();
        };
        const timer = setTimeout(() => end(() => reject(new Error(`${what}: did not arrive within ${timeoutMs} ms`))), timeoutMs);
        waiting.add(look);
        look();
      }),
    close: () => closed(server),
  };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Whether the `standardwebhooks` package takes the request for one that the holder of the secret signed. */
export function verifies(secret: string, { body, headers }: Received): boolean {
  const signed = Object.fromEntries(['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [name, String(headers[name] ?? '')]));
  try {
    new Webhook(secret).verify(body, signed);
    return true;
  } catch {
    return false;
  }
}
