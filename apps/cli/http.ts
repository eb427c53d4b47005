import type { Secret } from '#kernel';
import { rootCause } from './error-code.ts';
import type { Io } from './io.ts';
import { isRecord, type JsonRecord, readJson } from './json.ts';

export interface Server {
  /** Without a slash at its end. */
  readonly url: string;
  readonly apiKey: Secret | undefined;
  /** The file in which a key was looked for in vain, when none was configured. */
  readonly noKeyIn?: string;
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body?: string;
  /** Gives up when it aborts, beside the person's interruption. */
  readonly signal?: AbortSignal;
}

export interface Answer {
  /** As it came. */
  readonly text: string;
  readonly body: JsonRecord;
  /** The idempotency key was used before: this is what it came to then. */
  readonly replayed?: boolean;
}

/** The server refused: a problem of RFC 9457, or whatever else stood in the answer. */
export class ProblemAnswer extends Error {
  override readonly name = 'ProblemAnswer';
  readonly status: number;
  readonly problem: JsonRecord;
  readonly retryAfter: string | undefined;
  /** As in `Server`. */
  readonly noKeyIn: string | undefined;
  constructor(status: number, problem: JsonRecord, retryAfter: string | undefined, noKeyIn: string | undefined) {
    super(`the server answered ${status}`);
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
    this.noKeyIn = noKeyIn;
  }

  /** The last part of the problem's type: the name of the case. */
  get slug(): string {
    const type = this.problem['type'];
    return typeof type === 'string' ? (type.split('/').at(-1) ?? '') : '';
  }
}

/** No usable answer. `mayHaveArrived` is false when it is certain that the server never got the request. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly mayHaveArrived: boolean;
  constructor(message: string, mayHaveArrived: boolean) {
    super(message);
    this.mayHaveArrived = mayHaveArrived;
  }
}

/**
 * One request, sent once: whether to repeat it is the caller's to decide, because only a repetition under the same
 * idempotency key is safe. Throws ProblemAnswer for every status but 2xx, NoAnswer when there is no answer of ours.
 */
export const request = (io: Io, server: Server, asked: Request): Promise<Answer> => exchange(io, server, asked, async (response) => read(server, response, await response.text()));

/**
 * The same for an answer that has no end, such as an event stream: hands over the response with its body unread. Only its
 * beginning has to come in time; what breaks later fails where the body is read.
 */
export const open = (io: Io, server: Server, asked: Request): Promise<Response> =>
  exchange(io, server, asked, async (response) => {
    if (!response.ok) read(server, response, await response.text());
    return response;
  });

async function exchange<T>(io: Io, server: Server, asked: Request, take: (response: Response) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), io.requestTimeoutMs);
  try {
    const signal = AbortSignal.any([late.signal, io.signal, ...(asked.signal === undefined ? [] : [asked.signal])]);
    // A redirect could carry the key elsewhere, and would turn a POST into a GET.
    const response = await io.fetch(urlOf(server, asked), { method: asked.method, headers: headersOf(io, server, asked), body: asked.body ?? null, redirect: 'manual', signal });
    return await take(response);
  } catch (error) {
    throw error instanceof ProblemAnswer || error instanceof NoAnswer ? error : noAnswer(io, server, late.signal, error);
  } finally {
    clearTimeout(timer);
  }
}

function urlOf(server: Server, { path, query = {} }: Request): string {
  const asked = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]));
  return `${server.url}${path}${asked.length === 0 ? '' : `?${asked.join('&')}`}`;
}

const headersOf = (io: Io, { apiKey }: Server, { body, headers }: Request): Record<string, string> => ({
  accept: 'application/json, application/problem+json',
  'user-agent': `kf/${io.version}`,
  ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey.reveal()}` }),
  ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  ...headers,
});

function read(server: Server, response: Response, text: string): Answer {
  const body = readJson(text);
  if (!response.ok) {
    if (isRecord(body)) throw new ProblemAnswer(response.status, body, response.headers.get('retry-after') ?? undefined, server.noKeyIn);
    throw new NoAnswer(`${server.url} answered ${response.status} ${response.statusText}, and not in a form this client knows${redirection(response)}`, response.status >= 500);
  }
  if (!isRecord(body)) throw new NoAnswer(`${server.url} answered ${response.status}, but not with JSON: is it a Countersign server?`, true);
  return { text: text.trimEnd(), body, replayed: response.headers.get('idempotency-replayed') === 'true' };
}

const redirection = (response: Response): string => {
  const location = response.headers.get('location');
  return location === null ? '' : `: it points to ${location}; give the address itself with --server`;
};

function noAnswer(io: Io, server: Server, timeout: AbortSignal, error: unknown): NoAnswer {
  if (io.signal.aborted) return new NoAnswer('interrupted before the answer came', true);
  if (timeout.aborted) return new NoAnswer(`no answer from ${server.url} within ${io.requestTimeoutMs / 1_000} s`, true);
  const code = rootCause(error);
  const certain = neverSent.find(([pattern]) => pattern.test(code));
  if (certain !== undefined) return new NoAnswer(`can't reach ${server.url}: ${certain[1]} (${code})`, false);
  return new NoAnswer(`the connection to ${server.url} broke${code === '' ? '' : ` (${code})`}`, true);
}

/** What is known to happen before anything is sent, and what to do about it. */
const neverSent: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, 'nothing listens there. Is the server running? Start it with: npm start'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, "the name can't be resolved"],
  [/^(EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/, 'there is no way to it'],
  [/^bad port$/, 'that port is one that is never used for HTTP'],
  [/CERT|^ERR_TLS|^ERR_SSL|^UNABLE_TO_/, 'its TLS certificate is not accepted'],
];
