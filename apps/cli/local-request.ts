import type { Secret } from '#kernel';
import { signRoost, signStandard } from '#webhook-sender/signing';
import { rootCause } from './error-code.ts';
import type { Io } from './io.ts';

/** What is posted to an application, as a delivery would bring it. */
export interface LocalRequest {
  readonly url: string;
  readonly webhookId: string;
  readonly body: string;
  readonly key: Secret<Uint8Array>;
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal;
}

/** What came of it. */
export interface LocalAnswer {
  /** Null when there was no answer; then `error` says why, in the words that transcripts of deliveries use. */
  readonly status: number | null;
  readonly error: string | null;
  readonly latencyMs: number;
  /** The beginning of the answer's body. */
  readonly body: string;
}

export const localTimeoutMs = 15_000;
const mostBodyBytes = 16 * 1024;

export const isSuccess = ({ status }: Pick<LocalAnswer, 'status'>): boolean => status !== null && status >= 200 && status < 300;

/** Posts with the headers and the signatures of a delivery. Redirects are not followed; an answer has 15 s. Never throws. */
export async function postSigned(io: Io, { url, webhookId, body, key, signal }: LocalRequest): Promise<LocalAnswer> {
  const timestampSeconds = Math.floor(io.clock.now() / 1_000);
  const signed = { timestampSeconds, body, keys: [key] };
  const late = AbortSignal.timeout(localTimeoutMs);
  const startedMs = io.clock.monotonicMs();
  const latencyMs = (): number => Math.round((io.clock.monotonicMs() - startedMs) * 10) / 10;
  try {
    const response = await io.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'accept-encoding': 'identity',
        'user-agent': `Countersign/${io.version}`,
        'webhook-id': webhookId,
        'webhook-timestamp': String(timestampSeconds),
        'webhook-signature': signStandard({ ...signed, id: webhookId }),
        'Roost-Signature': signRoost(signed),
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([late, io.signal, ...(signal === undefined ? [] : [signal])]),
    });
    return { status: response.status, error: null, body: await beginningOf(response), latencyMs: latencyMs() };
  } catch (error) {
    return { status: null, error: late.aborted ? 'timeout' : wordFor(rootCause(error)), body: '', latencyMs: latencyMs() };
  }
}

/** As with a delivery, a body that breaks off does not take the answer back. */
async function beginningOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body as ReadableStream<Uint8Array> | null ?? []) {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes >= mostBodyBytes) break;
    }
  } catch {
    // What came is shown.
  }
  return Buffer.concat(chunks).subarray(0, mostBodyBytes).toString('utf8');
}

const words: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, 'connect-refused'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'dns-failed'],
  [/CERT|^ERR_TLS|^ERR_SSL|^UNABLE_TO_/, 'tls-failed'],
  [/^(EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/, 'connect-failed'],
];

const wordFor = (code: string): string => words.find(([pattern]) => pattern.test(code))?.[1] ?? (code === '' ? 'connection-lost' : `connection-lost (${code})`);
