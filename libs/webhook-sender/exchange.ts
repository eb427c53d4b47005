import type { Clock } from '#kernel';
import type { Dispatcher } from 'undici';
import type { Connection, Line } from './connector.ts';
import { attemptErrorOf, withoutAnswer } from './failure.ts';
import type { AttemptError } from './transcript.ts';

const keptBytes = 16 * 1024;
const keptBytesOfSuccess = 4 * 1024;
const readBytes = 64 * 1024;

/** The answer of a receiver as far as it came. */
export interface ReceivedResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly truncated: boolean;
}

/** How one request ended: with a response (whole or not) or with an error, never with both. */
export interface ExchangeEnd {
  readonly response: ReceivedResponse | null;
  readonly error: AttemptError | null;
  /** What exactly went wrong, for our own log. */
  readonly cause: Error | undefined;
  /** The connection that carried it, if it came that far, and whether the request was its first. */
  readonly connection: Connection | undefined;
  readonly fresh: boolean;
  /** On the monotonic clock, like `endedAtMs`. */
  readonly firstByteAtMs: number | undefined;
  readonly endedAtMs: number;
}

/** One request on its way through undici. Ends exactly once; afterwards nothing of it is sent or read. */
export class Exchange implements Dispatcher.DispatchHandler {
  /** The line that undici put the request on. */
  line: Line | undefined;
  ended = false;
  readonly #clock: Clock;
  readonly #onEnd: (end: ExchangeEnd) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #connection: Connection | undefined;
  #fresh = false;
  #firstByteAtMs: number | undefined;
  #status = 0;
  #headers: ReceivedResponse['headers'] = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(clock: Clock, onEnd: (end: ExchangeEnd) => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  /** Ends the exchange from outside: what has come of a response stands, else `error` does. */
  stop(error: AttemptError): void {
    if (this.ended) return;
    const reason = new Error(error);
    this.#end(error, reason, true);
    if (this.#controller === undefined) this.line?.dialling?.abort(reason);
    else this.#controller.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, not aborted: undici then forgets the request and keeps the connection for others.
    if (this.ended) throw new Error('the request ended before it could be sent');
    this.#controller = controller;
    this.#connection = this.line?.connection;
    if (this.#connection !== undefined) {
      this.#fresh = !this.#connection.used;
      this.#connection.used = true;
    }
  }

  onResponseStarted(): void {
    this.#firstByteAtMs ??= this.#clock.monotonicMs();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ReceivedResponse['headers']): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = this.#keptBytes() - this.#bytes;
    if (room > 0) this.#chunks.push(chunk.subarray(0, room));
    this.#bytes += chunk.length;
    if (this.#bytes > readBytes) this.stop('aborted');
  }

  onResponseEnd(): void {
    this.#end(null, undefined, this.#bytes > this.#keptBytes());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(attemptErrorOf(error), withoutAnswer(error), true);
  }

  #keptBytes(): number {
    return this.#status < 300 ? keptBytesOfSuccess : keptBytes;
  }

  #end(error: AttemptError | null, cause: Error | undefined, truncated: boolean): void {
    if (this.ended) return;
    this.ended = true;
    const answered = this.#status !== 0;
    const response = answered ? { status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks), truncated } : null;
    const times = { firstByteAtMs: this.#firstByteAtMs, endedAtMs: this.#clock.monotonicMs() };
    this.#onEnd({ response, error: answered ? null : error, cause, connection: this.#connection, fresh: this.#fresh, ...times });
  }
}
