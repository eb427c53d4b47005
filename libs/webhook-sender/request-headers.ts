import { type Refusal, refuse, type Secret } from '#kernel';
import { signRoost, signStandard } from './signing/signatures.ts';

/** Values are secrets: they are sent, and shown nowhere. */
export type CustomHeaders = Readonly<Record<string, Secret>>;

const setBySender = ['accept-encoding', 'content-type', 'user-agent'];
const ofTheConnection = ['connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];
const ofProxiesAndCookies = ['cookie', 'forwarded', 'via'];
/** With these the metadata services of clouds hand out credentials. */
const ofCloudMetadata = ['metadata', 'metadata-flavor', 'x-aliyun-ecs-metadata-token', 'x-aws-ec2-metadata-token', 'x-aws-ec2-metadata-token-ttl-seconds', 'x-google-metadata-request', 'x-metadata-token'];
const reserved: ReadonlySet<string> = new Set([...setBySender, ...ofTheConnection, ...ofProxiesAndCookies, ...ofCloudMetadata]);
const reservedPrefixes = ['webhook-', 'roost-', 'proxy-', 'x-forwarded-'];

/** Whether a subscription may have a header of its own: undefined, or `validation-failed`. Grammar: RFC 9110, sections 5.1 and 5.5. */
export function checkCustomHeader(name: string, value: string): Refusal<'validation-failed'> | undefined {
  const lower = name.toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/.test(lower)) return refuse('validation-failed', 'the name of a header is 1 to 128 token characters');
  if (reserved.has(lower) || reservedPrefixes.some((prefix) => lower.startsWith(prefix))) return refuse('validation-failed', `the header ${lower} is reserved`);
  if (!/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value)) return refuse('validation-failed', `the value of the header ${lower} has characters that no header may have`);
  return undefined;
}

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

/** The headers of one request, signed. Throws without a key, and on a custom header that `checkCustomHeader` refuses. */
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
  const sent = Object.entries(own).flat();
  const shown: Record<string, string> = { host: source.authority ?? '', connection: 'keep-alive', ...own };
  for (const [name, secret] of Object.entries(source.headers ?? {})) {
    const value = secret.reveal();
    const refusal = checkCustomHeader(name, value);
    if (refusal !== undefined) throw new TypeError(refusal.detail);
    sent.push(name, value);
    shown[name] = '[redacted]';
  }
  shown['content-length'] = String(source.body.byteLength);
  return { sent, shown };
}
