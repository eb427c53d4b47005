import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { limits } from '#contracts';
import type { Clock } from '#kernel';
import type { Log } from '#telemetry';
import type { Authenticator } from '../access/authenticator.ts';
import type { Projections } from '../parts.ts';
import { Problem } from './problem.ts';

/** One message of an event stream. `id` is where a client that was cut off goes on. */
export interface StreamMessage {
  readonly event: string;
  readonly id?: string;
  readonly data: string;
}

/** What a request is answered with. */
export interface StreamAnswer {
  /** The first message. */
  readonly connected: Omit<StreamMessage, 'event'>;
  /** What follows, asked for no faster than the client takes it. It must end soon after the signal aborts. */
  readonly messages: (signal: AbortSignal) => AsyncIterable<StreamMessage>;
}

export interface StreamParts {
  readonly authenticator: Pick<Authenticator, 'authenticate'>;
  readonly projections: Pick<Projections, 'onCommitted'>;
  readonly clock: Clock;
  readonly log: Log;
}

type Ending = 'finished' | 'client-left' | 'client-too-slow' | 'key-refused' | 'server-stopping' | 'failed';

export const keepAliveMs = 15_000;
/** A client that takes nothing for so long, while there is something to take, is disconnected. */
export const longestStallMs = 10_000;

/**
 * Answers requests with event streams (WHATWG HTML, "Server-sent events"), and ends them when their key is no longer
 * good, their client takes nothing, or the server stops.
 */
export class EventStreams {
  readonly #parts: StreamParts;
  readonly #open = new Set<EventStream>();
  #stopping = false;

  /** To be made after the authenticator, which must have forgotten a revoked key when the commit is told here. */
  constructor(parts: StreamParts) {
    this.#parts = parts;
    parts.projections.onCommitted(({ events }) => {
      if (events.some(({ stream }) => stream.startsWith('apikey-'))) for (const stream of this.#open) void stream.checkKey();
    });
  }

  /** Resolves when the stream is over, for whatever reason. Throws the problem `too-many-streams` before anything is answered. */
  async answer(request: FastifyRequest, reply: FastifyReply, answer: StreamAnswer): Promise<void> {
    if (this.#open.size >= limits.eventStreams) {
      throw new Problem('too-many-streams', `This process has ${limits.eventStreams} event streams open, and that is the limit.`, { retryAfterSeconds: keepAliveMs / 1_000 });
    }
    const stream = new EventStream(this.#parts, request, reply);
    this.#open.add(stream);
    // It may have been revoked since the request was let in; from now on each commit about keys asks.
    void stream.checkKey();
    if (this.#stopping) stream.end('server-stopping');
    try {
      await stream.send(answer);
    } finally {
      this.#open.delete(stream);
    }
  }

  /** The server stops: ends all streams, so that it need not wait for them. Their clients go on where they were. */
  endAll(): void {
    this.#stopping = true;
    for (const stream of this.#open) stream.end('server-stopping');
  }
}

class EventStream {
  readonly #parts: StreamParts;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #raw: ServerResponse;
  readonly #over = new AbortController();
  #ending: Ending = 'finished';

  constructor(parts: StreamParts, request: FastifyRequest, reply: FastifyReply) {
    this.#parts = parts;
    this.#request = request;
    this.#reply = reply;
    this.#raw = reply.raw;
  }

  /** The first reason counts. */
  end(why: Ending): void {
    if (this.#over.signal.aborted) return;
    this.#ending = why;
    this.#over.abort();
  }

  /** Ends the stream when its key is revoked, expired, or can't be checked. */
  async checkKey(): Promise<void> {
    try {
      if ('refused' in (await this.#parts.authenticator.authenticate(this.#request.headers.authorization))) this.end('key-refused');
    } catch (error) {
      this.#fail(error);
    }
  }

  async send({ connected, messages }: StreamAnswer): Promise<void> {
    const startedMs = this.#parts.clock.monotonicMs();
    this.#begin();
    const stopTicking = this.#tick();
    let sent = 0;
    try {
      await this.#write({ event: 'connected', ...connected });
      if (this.#request.method !== 'HEAD') sent = await this.#sendAll(messages);
    } catch (error) {
      this.#fail(error);
    }
    stopTicking();
    this.end('finished');
    this.#close();
    const { id: correlationId, routeOptions, key } = this.#request;
    const durationMs = Math.round(this.#parts.clock.monotonicMs() - startedMs);
    this.#parts.log.info({ correlationId, route: routeOptions.url, keyId: key?.keyId, ending: this.#ending, messages: sent, durationMs }, 'event stream');
  }

  async #sendAll(messages: StreamAnswer['messages']): Promise<number> {
    const { signal } = this.#over;
    let sent = 0;
    if (signal.aborted) return sent;
    for await (const message of messages(signal)) {
      if (signal.aborted) break;
      await this.#write(message);
      sent += 1;
    }
    return sent;
  }

  #begin(): void {
    this.#reply.hijack();
    this.#raw.on('close', () => this.end('client-left')).on('error', () => this.end('client-left'));
    // Who left before there was a stream is not told of again.
    if (this.#raw.destroyed) this.end('client-left');
    // A proxy must hand on each message as it comes, and the connection is of no more use when the stream has ended.
    for (const [name, value] of Object.entries(this.#reply.getHeaders())) if (value !== undefined) this.#raw.setHeader(name, value);
    this.#raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no', connection: 'close' });
  }

  /** Keeps the connection open through whatever stands between, and looks at the key. */
  #tick(): () => void {
    const { clock } = this.#parts;
    let cancel: () => void;
    const next = (): void => {
      cancel = clock.after(keepAliveMs, () => {
        void this.checkKey();
        if (!this.#over.signal.aborted && !this.#raw.destroyed && !this.#raw.writableNeedDrain) this.#raw.write(': keep-alive\n\n');
        next();
      });
    };
    next();
    return () => cancel();
  }

  /** Resolves when the client has taken it, or is near enough; also when the stream is over. */
  async #write(message: StreamMessage): Promise<void> {
    const { signal } = this.#over;
    if (signal.aborted || this.#raw.destroyed || this.#raw.write(messageText(message))) return;
    const cancel = this.#parts.clock.after(longestStallMs, () => this.end('client-too-slow'));
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    const done = (): void => resolve();
    this.#raw.once('drain', done);
    signal.addEventListener('abort', done);
    await taken;
    cancel();
    this.#raw.off('drain', done);
    signal.removeEventListener('abort', done);
  }

  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#parts.log.error({ correlationId: this.#request.id, route: this.#request.routeOptions.url, err: error }, 'event stream failed');
    this.end('failed');
  }

  /** What a client has not taken yet would hold up whoever waits for the connection to end. */
  #close(): void {
    if (this.#ending === 'failed' || (this.#ending !== 'finished' && this.#raw.writableLength > 0)) {
      this.#raw.destroy();
      return;
    }
    this.#raw.once('close', this.#parts.clock.after(longestStallMs, () => this.#raw.destroy()));
    this.#raw.end();
  }
}

const lineEnd = /\r\n?|\n/;

/**
 * A message as it stands in the stream. A line end in the data is a new `data` line, and comes out as a line feed: a
 * carriage return (in JSON: between two tokens) would not arrive. Data with one is there a second time, exactly, in the
 * field `base64`: clients that do not know it ignore it, as the standard says.
 */
export function messageText({ event, id, data }: StreamMessage): string {
  const head = `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}`;
  const exact = data.includes('\r') ? `base64: ${Buffer.from(data).toString('base64')}\n` : '';
  return `${head}${exact}data: ${lineEnd.test(data) ? data.split(lineEnd).join('\ndata: ') : data}\n\n`;
}
