import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { findPackageJSON } from 'node:module';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { SenderUnderTest } from './sender.ts';
import { type Asked, NotTaken } from './terms.ts';

/** What the runner of the suite talks to. */
export interface Driver {
  readonly url: string;
  stop(): Promise<void>;
}

type Route = (asked: Asked) => Promise<object> | object;

const versionOf = (packageFile = ''): string => (JSON.parse(readFileSync(packageFile, 'utf8')) as { readonly version: string }).version;

const routesOf = (sender: SenderUnderTest): ReadonlyMap<string, Route> =>
  new Map<string, Route>([
    ['GET /control/info', () => ({ port_name: 'countersign', port_version: versionOf(findPackageJSON('.', import.meta.url)), suite_compat: '0.2', mock_receiver_required: true })],
    ['POST /control/reset', async () => ((await sender.reset(), {}))],
    ['POST /control/keys/install', (asked) => ((sender.installKey(asked), {}))],
    ['POST /control/endpoints', async (asked) => ({ endpointId: await sender.register(asked) })],
    ['POST /control/send', async (asked) => ({ messageId: await sender.send(asked) })],
    ['POST /control/workers/start', async () => ((await sender.startWorkers(), {}))],
    ['POST /control/clock/advance', async (asked) => ((await sender.advanceClock(asked), {}))],
  ]);

/**
 * Starts the control plane of the suite's sender mode on the loopback, with a Countersign server behind it. Port 0 takes any
 * free one. What is refused is 422 with an `error_code`, which stands in `X-Postel-Verify-Error` too.
 */
export async function startDriver({ port = 0 }: { readonly port?: number } = {}): Promise<Driver> {
  const sender = new SenderUnderTest();
  const routes = routesOf(sender);
  let turn: Promise<void> = Promise.resolve();
  const listener = createServer((request, response) => {
    turn = turn.then(() => answer(request, response, (asked) => answerTo(request, routes, sender)(asked)));
  });
  await once(listener.listen(port, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    stop: async () => {
      listener.close();
      listener.closeAllConnections();
      await turn;
      await sender.reset();
    },
  };
}

function answerTo({ method = '', url = '' }: IncomingMessage, routes: ReadonlyMap<string, Route>, sender: SenderUnderTest): Route {
  const { pathname } = new URL(url, 'http://driver');
  const route = routes.get(`${method} ${pathname}`);
  if (route !== undefined) return route;
  const [, messageId] = (method === 'GET' && /^\/control\/messages\/([^/]+)$/.exec(pathname)) || [];
  return async () => {
    const attempts = messageId === undefined ? undefined : await sender.attempts(decodeURIComponent(messageId));
    if (attempts === undefined) throw new NotFound(`there is no ${method} ${pathname}`);
    return { attempts };
  };
}

class NotFound extends Error {}

/** One at a time: what was asked before has happened. */
async function answer(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
  try {
    say(response, 200, await route(await bodyOf(request)));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof NotTaken) say(response.setHeader('x-postel-verify-error', error.code), 422, { error_code: error.code, error: message });
    else say(response, error instanceof NotFound ? 404 : 500, { error: message });
  }
}

async function bodyOf(request: IncomingMessage): Promise<Asked> {
  if (request.method !== 'POST') return {};
  const body = await json(request).catch(() => undefined);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new NotTaken('INVALID_REQUEST', 'the body must be a JSON object');
  return body as Asked;
}

const say = (response: ServerResponse, status: number, body: object): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
