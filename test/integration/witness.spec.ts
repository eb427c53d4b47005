import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { checkAgainst } from '../support/e2e/contract.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Witness } from '../support/e2e/witness.ts';

const thing = { type: 'object', required: ['id'], properties: { id: { type: 'string' } } };
const page = { type: 'object', properties: { items: { type: 'array', items: thing } } };
const contract = checkAgainst({
  paths: {
    '/things': { get: { responses: { 200: { content: { 'application/json': { schema: page }, 'text/event-stream': { schema: { type: 'string' } } } } } }, post: { responses: { 200: { content: { 'application/octet-stream': {} } } } } },
    '/news': { get: { responses: { 200: { content: { 'text/event-stream': { schema: { type: 'string' } } } } } } },
  },
} as object as Parameters<typeof checkAgainst>[0]);

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** A witness before a server that answers so. */
async function before(answer: RequestListener): Promise<Witness> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Witness.before(() => url, contract);
}

const json = (body: unknown): RequestListener => (_asked, answer) => void answer.writeHead(200, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
const streamOf = (...messages: readonly string[]): RequestListener => (_asked, answer) => void answer.writeHead(200, { 'content-type': 'text/event-stream' }).end(messages.join(''));
const message = (event: string, data: string): string => `event: ${event}\ndata: ${data}\n\n`;

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('a witness before a server', () => {
  it('hands on method, path, headers and bodies byte for byte, both ways', async () => {
    let arrived: { readonly asked: IncomingMessage; readonly body: Buffer } | undefined;
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 256));
    const witness = await before((asked, answer) => {
      void bytesOf(asked).then((body) => {
        arrived = { asked, body };
        answer.sendDate = false;
        answer.writeHead(200, 'All Fine', ['Content-Type', 'application/octet-stream', 'X-Twice', '1', 'x-twice', '2', 'Connection', 'close', 'Content-Length', String(body.length)]).end(body);
      });
    });
    const sent = ['Host', 'somewhere.example', 'X-Odd-CASE', 'a  b', 'X-Twice', '1', 'X-Twice', '2', 'Connection', 'close', 'Transfer-Encoding', 'chunked'];
    const asking = request(`${witness.url}/things?a=%2F&b=+`, { method: 'POST', headers: sent });
    asking.end(bytes);
    const [received] = (await once(asking, 'response')) as [IncomingMessage];
    expect(bytes.equals(await bytesOf(received))).toBe(true);
    expect([received.statusCode, received.statusMessage, received.rawHeaders]).toEqual([200, 'All Fine', ['Content-Type', 'application/octet-stream', 'X-Twice', '1', 'x-twice', '2', 'Connection', 'close', 'Content-Length', '300000']]);
    expect([arrived?.asked.method, arrived?.asked.url, arrived?.asked.rawHeaders]).toEqual(['POST', '/things?a=%2F&b=+', sent]);
    expect(arrived?.body.equals(bytes)).toBe(true);
    await witness.end();
  });

  it('hands on a request before its body, and one that has none', async () => {
    const arrived: (readonly string[])[] = [];
    const witness = await before((asked, answer) => {
      arrived.push(asked.rawHeaders);
      answer.writeHead(200, { 'content-type': 'application/octet-stream' }).end();
    });
    for (const headers of [['Host', 'a', 'Content-Length', '1000'], ['Host', 'a', 'Connection', 'close']]) {
      const asking = request(`${witness.url}/things`, { method: 'POST', headers, agent: false, setDefaultHeaders: false });
      asking.flushHeaders();
      const [received] = (await once(asking, 'response')) as [IncomingMessage];
      expect([received.statusCode, arrived.at(-1)?.slice(0, headers.length)]).toEqual([200, headers]);
      expect(arrived.at(-1)).not.toContain('Transfer-Encoding');
      asking.destroy();
    }
    await witness.end();
  });

  it('hands on each message of a stream when it comes, and the leaving of the client', async () => {
    let left = false;
    const witness = await before((_asked, answer) => {
      answer.writeHead(200, { 'content-type': 'text/event-stream' }).write(message('event', '1'));
      answer.on('close', () => (left = true));
    });
    const client = new AbortController();
    const answer = await fetch(`${witness.url}/news`, { signal: client.signal });
    const first = await answer.body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe(message('event', '1'));
    client.abort();
    await eventually('the client has left', () => (left ? true : undefined));
    await witness.end();
  });

  it('breaks off where the server does, in an answer and before one', async () => {
    const witness = await before((asked, answer) => {
      if (asked.url === '/none') return void answer.destroy();
      answer.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('{', () => answer.destroy());
    });
    const answer = await fetch(`${witness.url}/things`);
    await expect(answer.text()).rejects.toThrow();
    await expect(fetch(`${witness.url}/none`)).rejects.toThrow();
    await witness.end();
  });

  it('breaks off when no server is there, whether it is known or not', async () => {
    for (const nowhere of [undefined, 'http://127.0.0.1:9']) {
      const witness = await Witness.before(() => nowhere, contract);
      await expect(fetch(`${witness.url}/things`)).rejects.toThrow();
      await witness.end();
    }
  });

  it.each<[string, string, RequestListener]>([
    ['an answer', '/things', json({ items: [{ id: 'a' }] })],
    ['a stream, with messages that the document has no schema for', '/things', streamOf(message('connected', '{"extra":1}'), message('event', '{"id":"a"}'))],
    ['a stream of what is no page', '/news', streamOf(message('event', 'anything'))],
  ])('has nothing to say of %s that the document describes', async (_what, path, answer) => {
    const witness = await before(answer);
    await (await fetch(witness.url + path)).text();
    await witness.end();
  });

  it.each<[string, string, RequestListener, string]>([
    ['a member that is not documented', '/things', json({ items: [{ id: 'a', extra: 1 }] }), 'GET /things → 200 is not as openapi.yaml says (a new route? npm run openapi):\n  /items/0 must NOT have additional properties: extra'],
    ['a path that is not documented', '/others', json({}), 'GET /others is not documented, and yet it is answered'],
    ['a body that is not JSON', '/things', json('{'), 'the body is not JSON'],
    ['a stream where none is documented', '/others', streamOf(), 'GET /others is not documented, and yet it is answered'],
    ['another content type than that of a stream', '/news', json({}), 'the content type is application/json; documented: text/event-stream'],
    ['a message that is no item of the pages', '/things', streamOf(message('event', '{"id":"a"}'), message('event', '{"id":1}')), '/id must be string\n  {"id":1}'],
    ['a message that is not JSON', '/things', streamOf(message('event', 'a')), 'the body is not JSON\n  a'],
  ])('throws at its end: %s', async (_what, path, answer, said) => {
    const witness = await before(answer);
    // The client gets it all the same.
    expect((await fetch(witness.url + path)).status).toBe(200);
    await fetch(witness.url + path).then((again) => again.text());
    await expect(witness.end()).rejects.toThrow(said);
  });
});
