import type { Clock, Secret } from '#kernel';
import { createDial } from './connector.ts';
import { Exchange, type ExchangeEnd } from './exchange.ts';
import { Origins } from './origins.ts';
import { composeHeaders, type CustomHeaders } from './request-headers.ts';
import { createResolver, type Resolve } from './resolver.ts';
import { parseTarget, type Target } from './target.ts';
import type { TargetPolicy } from './target-policy.ts';
import { transcribe } from './transcribe.ts';
import type { AttemptError, AttemptTranscript } from './transcript.ts';

export interface SenderOptions {
  readonly policy: TargetPolicy;
  readonly clock: Clock;
  /** `Countersign/<version>`. */
  readonly userAgent: string;
  readonly resolve?: Resolve;
  readonly maxConnectionsPerOrigin?: number;
  readonly maxOrigins?: number;
  /** PEM of the roots to trust instead of the runtime's. */
  readonly certificateAuthorities?: string;
  /** Hears the raw error of a request that failed; it may describe the network we stand in, so it is for our own log only. */
  readonly onFailure?: (failure: { readonly webhookId: string; readonly error: AttemptError; readonly cause: Error }) => void;
}

export interface AttemptRequest {
  readonly url: string;
  /** As `wrongHeaders` lets them pass. */
  readonly headers?: CustomHeaders;
  readonly webhookId: string;
  /** Sent and signed byte for byte. */
  readonly body: string | Uint8Array;
  /** The current key, then the one in its grace window. */
  readonly keys: readonly Secret<Uint8Array>[];
  readonly timestampSeconds: number;
  /** Covers name lookup, connecting, TLS, headers and body together; 15 seconds by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Sender {
  /**
   * One signed POST, and its transcript; never a rejection for what the network or the receiver does. Redirects are
   * answers like any other. A body that is too long, too slow or cut off ends early and leaves the status as it is.
   */
  attempt(request: AttemptRequest): Promise<AttemptTranscript>;
  /** Takes no more requests (they end as `aborted`), lets those under way end, and closes every connection. */
  close(): Promise<void>;
}

const defaultTimeoutMs = 15_000;

/** A sender with kept-alive connections of its own. Every connection obeys `policy` when it is made. */
export function createSender(options: SenderOptions): Sender {
  const { clock, userAgent, resolve = createResolver({ clock }), maxConnectionsPerOrigin = 256, maxOrigins = 1_024, onFailure } = options;
  const origins = new Origins({ dial: createDial({ ...options, resolve }), maxConnectionsPerOrigin, maxOrigins });
  const underWay = new Set<Exchange>();
  const aborts = new Aborts();
  let closing: PromiseWithResolvers<void> | undefined;

  const exchangeOf = (request: AttemptRequest, target: Target | undefined, headers: string[], body: Uint8Array): Promise<ExchangeEnd> =>
    new Promise((resolveEnd) => {
      const exchange = new Exchange(clock, (end) => {
        underWay.delete(exchange);
        cancelDeadline();
        aborts.forget(request.signal, exchange);
        // undici frees the connection in the next turn; a caller who goes on before that would have it open another one.
        queueMicrotask(() => setImmediate(resolveEnd, end));
        if (underWay.size === 0) closing?.resolve();
      });
      const cancelDeadline = clock.after(request.timeoutMs ?? defaultTimeoutMs, () => exchange.stop('timeout'));
      aborts.stop(exchange, request.signal);
      underWay.add(exchange);
      if (closing !== undefined || request.signal?.aborted === true) exchange.stop('aborted');
      else if (target === undefined) exchange.stop('target-refused');
      else origins.send(target.origin, { method: 'POST', path: target.path, headers, body }, exchange);
    });

  const report = (end: ExchangeEnd, webhookId: string): void => {
    if (end.error !== null && end.cause !== undefined) onFailure?.({ webhookId, error: end.error, cause: end.cause });
  };

  return {
    attempt: async (request) => {
      const start = { atMs: clock.now(), monotonicMs: clock.monotonicMs() };
      const parsed = parseTarget(request.url);
      const target = typeof parsed === 'string' ? undefined : parsed;
      const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body;
      const headers = composeHeaders({ ...request, authority: target?.authority, userAgent, body });
      const end = await exchangeOf(request, target, headers.sent, body);
      report(end, request.webhookId);
      const url = target?.url ?? withoutCredentials(request.url);
      return transcribe({ start, url, shownHeaders: headers.shown, custom: request.headers, end });
    },
    close: async () => {
      closing ??= Promise.withResolvers<void>();
      if (underWay.size === 0) closing.resolve();
      await closing.promise;
      await origins.destroy();
    },
  };
}

/** Exchanges to be stopped when a signal aborts. A signal hears of one listener for all: adding one more would look at each that it has. */
class Aborts {
  readonly #underWay = new WeakMap<AbortSignal, Set<Exchange>>();

  stop(exchange: Exchange, signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const known = this.#underWay.get(signal);
    if (known !== undefined) {
      known.add(exchange);
      return;
    }
    const together = new Set([exchange]);
    this.#underWay.set(signal, together);
    signal.addEventListener('abort', () => together.forEach((one) => one.stop('aborted')), { once: true });
  }

  forget(signal: AbortSignal | undefined, exchange: Exchange): void {
    if (signal !== undefined) this.#underWay.get(signal)?.delete(exchange);
  }
}

const withoutCredentials = (url: string): string => url.replace(/\/\/[^/?#]*@/, '//[redacted]@');
