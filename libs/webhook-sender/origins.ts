import { Client, type Dispatcher, Pool } from 'undici';
import type { Dial, Line } from './connector.ts';
import { Exchange } from './exchange.ts';

export interface OriginsOptions {
  readonly dial: Dial;
  readonly maxConnectionsPerOrigin: number;
  /** Pools beyond this number are closed, the longest unused first. */
  readonly maxOrigins: number;
}

// Header bytes are counted without separators; the deadline of an attempt stands in for undici's timers.
const clientOptions = { maxHeaderSize: 16 * 1024, headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 4_000, keepAliveMaxTimeout: 60_000, allowH2: false, pipelining: 1 } as const;

/** An undici client that tells the exchange it carries which line that is. */
class LineClient extends Client {
  readonly #line: Line;

  constructor(origin: URL, options: Client.Options, dial: Dial) {
    const line: Line = { connection: undefined, dialling: undefined };
    super(origin, { ...options, connect: (target, callback) => dial(target, line, callback) });
    this.#line = line;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Exchange) {
      // It ended while it waited for a free line: none is to be opened for it.
      if (handler.ended) return true;
      handler.line = this.#line;
    }
    return super.dispatch(options, handler);
  }
}

/** Keep-alive connections per origin: a bounded number for each, for a bounded number of origins. */
export class Origins {
  readonly #options: OriginsOptions;
  /** In order of last use. */
  readonly #pools = new Map<string, Pool>();
  readonly #closing = new Set<Pool>();

  constructor(options: OriginsOptions) {
    this.#options = options;
  }

  /** Sends `options` to an origin as soon as one of its lines is free; the exchange hears what comes of it. */
  send(origin: string, options: Dispatcher.DispatchOptions, exchange: Exchange): void {
    this.#poolOf(origin).dispatch(options, exchange);
  }

  /** Ends every connection, whatever is going on on it. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#closing];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #poolOf(origin: string): Pool {
    const known = this.#pools.get(origin);
    const pool = known ?? this.#newPool(origin);
    if (known !== undefined) this.#pools.delete(origin);
    this.#pools.set(origin, pool);
    for (const [oldest, unused] of this.#pools) {
      if (this.#pools.size <= this.#options.maxOrigins) break;
      this.#pools.delete(oldest);
      this.#retire(unused);
    }
    return pool;
  }

  #newPool(origin: string): Pool {
    const { dial, maxConnectionsPerOrigin: connections } = this.#options;
    return new Pool(origin, { ...clientOptions, connections, factory: (url) => new LineClient(url, clientOptions, dial) });
  }

  /** What is under way on it finishes. */
  #retire(pool: Pool): void {
    this.#closing.add(pool);
    void pool.close().finally(() => this.#closing.delete(pool));
  }
}
