import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { SseParser } from '../../../apps/cli/sse.ts';
import { committedContract, complaintOf, type ContractCheck, type SeenAnswer, type SeenMessage } from './contract.ts';

/** What nothing is cut short by: times and sizes are limited by the server behind it. */
const patient = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0, maxHeaderSize: 1024 * 1024 } as const;

/**
 * Stands before a server on the loopback: hands on what clients ask and what they are answered, headers and bodies byte for byte
 * and as it comes, breaks off where one side does, and holds every answer that came to its end, and every message of a stream,
 * against openapi.yaml.
 */
export class Witness {
  readonly #server: () => string | undefined;
  readonly #contract: ContractCheck;
  readonly #listener: Server;
  readonly #wrong: string[] = [];

  private constructor(server: () => string | undefined, contract: ContractCheck) {
    this.#server = server;
    this.#contract = contract;
    this.#listener = createServer(patient, (asked, answer) => this.#handOn(asked, answer));
  }

  /** `server` says where the server is at the time of a request; undefined: it does not run. */
  static async before(server: () => string | undefined, contract = committedContract()): Promise<Witness> {
    const witness = new Witness(server, contract);
    await once(witness.#listener.listen(0, '127.0.0.1').unref(), 'listening');
    return witness;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Stops. Throws what openapi.yaml does not say and yet was answered. */
  async end(): Promise<void> {
    this.#listener.close();
    this.#listener.closeAllConnections();
    await once(this.#listener, 'close');
    if (this.#wrong.length > 0) throw new Error(this.#wrong.join('\n'));
  }

  #handOn(asked: IncomingMessage, answer: ServerResponse): void {
    const server = this.#server();
    if (server === undefined) return void answer.destroy();
    const { hostname, port } = new URL(server);
    // `agent: false`: a connection that is kept could be one to a server that has gone.
    const forwarded = request({ hostname, port, method: asked.method ?? '', path: asked.url ?? '', headers: asked.rawHeaders, setDefaultHeaders: false, agent: false });
    forwarded.flushHeaders();
    forwarded.on('response', (received) => {
      this.#watch(asked, received);
      answer.sendDate = false;
      answer.writeHead(received.statusCode ?? 0, received.statusMessage, received.rawHeaders).flushHeaders();
      pipeline(received, answer, leaveAsItIs);
    });
    forwarded.on('error', () => answer.destroy());
    answer.on('close', () => forwarded.destroy());
    pipeline(asked, forwarded, leaveAsItIs);
  }

  #watch({ method = '', url = '' }: IncomingMessage, received: IncomingMessage): void {
    const seen = (text: string): SeenAnswer => ({ method, url, status: received.statusCode ?? 0, header: (name) => received.headers[name]?.toString(), text });
    if (received.headers['content-type']?.startsWith('text/event-stream') === true) return this.#watchStream(seen(''), received);
    const chunks: Buffer[] = [];
    received.on('data', (chunk: Buffer) => chunks.push(chunk));
    received.on('end', () => this.#hold(seen(Buffer.concat(chunks).toString())));
  }

  #watchStream(seen: SeenAnswer, received: IncomingMessage): void {
    this.#hold(seen);
    const decoder = new TextDecoder();
    const parser = new SseParser();
    received.on('data', (chunk: Buffer) => {
      for (const message of parser.push(decoder.decode(chunk, { stream: true }))) this.#hold(seen, message);
    });
  }

  #hold(answer: SeenAnswer, message?: SeenMessage): void {
    const complaint = complaintOf(this.#contract, answer, message);
    if (complaint !== undefined) this.#wrong.push(complaint);
  }
}

/** `pipeline` has broken off the other side, which is all there is to do. */
const leaveAsItIs = (): void => undefined;
