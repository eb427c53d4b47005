import { hiddenValue, type Secret, wrongHeaders } from '#kernel';
import { signRoost, signStandard } from './signing/signatures.ts';

/** Values are secrets: they are sent, and shown nowhere. */
export type CustomHeaders = Readonly<Record<string, Secret>>;

export interface HeaderSource {
  /** `host[:port]`; unknown when the URL is none. */
  readonly authority: string | undefined;
  readonly userAgent: string;
  /** Those of the subscription. */
  readonly headers?: CustomHeaders;
  readonly webhookId: string;
  readonly timestampSeconds: number;
  readonly body: Uint8Array;
  readonly keys: readonly Secret<Uint8Array>[];
}

export interface RequestHeaders {
  /** Names and values in turn, as undici takes them (which adds `host`, `connection` and `content-length`). */
  readonly sent: string[];
  /** All headers of the request, custom values redacted. */
  readonly shown: Readonly<Record<string, string>>;
}

/** The headers of one request, signed. Throws without a key, and on custom headers that no subscription may have. */
export function composeHeaders(source: HeaderSource): RequestHeaders {
  if (source.keys.length === 0) throw new TypeError('a request without a signing key is never sent');
  const own = {
    'content-type': 'application/json',
    'accept-encoding': 'identity',
    'user-agent': source.userAgent,
    'webhook-id': source.webhookId,
    'webhook-timestamp': String(source.timestampSeconds),
    'webhook-signature': signStandard({ ...source, id: source.webhookId }),
    'Roost-Signature': signRoost(source),
  };
  const sent: string[] = [];
  for (const [name, value] of Object.entries(own)) sent.push(name, value);
  const shown: Record<string, string> = { host: source.authority ?? '', connection: 'keep-alive', ...own };
  for (const [name, value] of revealed(source.headers)) {
    sent.push(name, value);
    shown[name] = hiddenValue;
  }
  shown['content-length'] = String(source.body.byteLength);
  return { sent, shown };
}

function revealed(headers: CustomHeaders = {}): readonly (readonly [name: string, value: string])[] {
  const pairs = Object.entries(headers).map(([name, secret]) => [name, secret.reveal()] as const);
  const wrong = wrongHeaders(pairs);
  if (wrong !== undefined) throw new TypeError(`custom headers ${wrong}`);
  return pairs;
}
