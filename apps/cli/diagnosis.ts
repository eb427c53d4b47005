import { formatInstant, type Secret } from '#kernel';
import { signatureHeaders, type SignatureVerdict, verifyRoost, verifyStandard } from '#webhook-sender/signing';
import { parseExactly } from './json.ts';

/** A request as it was received. Names of headers are in lower case. */
export interface Received {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** What is to be said of one signature. */
export interface Finding {
  readonly signature: 'webhook-signature' | 'Roost-Signature';
  readonly verdict: 'valid' | 'absent' | 'malformed' | 'too-old' | 'too-new' | 'body-changed' | 'header-changed' | 'wrong-secret';
  readonly detail: string;
}

/** How one of the two ways of signing is checked. */
interface Scheme {
  readonly signature: Finding['signature'];
  /** Undefined when the header is not there. */
  readonly timestamp: string | undefined;
  /** What is missing or wrong in the headers, in words. */
  readonly wrong: string | undefined;
  verify(body: Buffer, toleranceSeconds?: number): SignatureVerdict;
}

/** Judges both signatures, each for itself. `valid`: all that are there hold, and there is one. */
export function diagnose(received: Received, key: Secret<Uint8Array>, nowMs: number): { readonly valid: boolean; readonly findings: readonly Finding[] } {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const schemes = [standard(received, key, nowSeconds), roost(received, key, nowSeconds)];
  const findings = schemes.map((scheme, index) => ({ signature: scheme.signature, ...judge(scheme, received.body, nowSeconds, schemes[1 - index]) }));
  const present = findings.filter(({ verdict }) => verdict !== 'absent');
  return { valid: present.length > 0 && present.every(({ verdict }) => verdict === 'valid'), findings };
}

function standard({ headers }: Received, key: Secret<Uint8Array>, nowSeconds: number): Scheme {
  const [id, timestamp, signature] = [signatureHeaders.id, signatureHeaders.timestamp, signatureHeaders.standard].map((name) => headers.get(name));
  const missing = [id === undefined ? 'webhook-id' : undefined, timestamp === undefined ? 'webhook-timestamp' : undefined].filter((name) => name !== undefined);
  const claim = { id: id ?? '', timestamp: timestamp ?? '', signature: signature ?? '', keys: [key], nowSeconds };
  return {
    signature: 'webhook-signature',
    timestamp: signature === undefined ? undefined : claim.timestamp,
    wrong: missing.length > 0 ? `${missing.join(' and ')} is not there, and is part of what is signed` : notATime('webhook-timestamp', claim.timestamp),
    verify: (body, toleranceSeconds) => verifyStandard({ ...claim, body, ...(toleranceSeconds === undefined ? {} : { toleranceSeconds }) }),
  };
}

function roost({ headers }: Received, key: Secret<Uint8Array>, nowSeconds: number): Scheme {
  const signature = headers.get(signatureHeaders.roost);
  const timestamp = /(?:^|,)\s*t=([^,]*)/.exec(signature ?? '')?.[1]?.trim() ?? '';
  return {
    signature: 'Roost-Signature',
    timestamp: signature === undefined ? undefined : timestamp,
    wrong: notATime('t=', timestamp),
    verify: (body, toleranceSeconds) => verifyRoost({ signature: signature ?? '', body, keys: [key], nowSeconds, ...(toleranceSeconds === undefined ? {} : { toleranceSeconds }) }),
  };
}

function notATime(where: string, timestamp: string): string | undefined {
  if (/^\d{13}$/.test(timestamp)) return `${where} counts milliseconds; it must be seconds since 1970`;
  return /^\d{1,12}$/.test(timestamp) ? undefined : `${where} is no number of seconds since 1970`;
}

type Judgement = Pick<Finding, 'verdict' | 'detail'>;

function judge(scheme: Scheme, body: Buffer, nowSeconds: number, other: Scheme | undefined): Judgement {
  if (scheme.timestamp === undefined) return { verdict: 'absent', detail: 'the header is not there' };
  if (scheme.wrong !== undefined) return { verdict: 'malformed', detail: scheme.wrong };
  const verdict = scheme.verify(body);
  switch (verdict) {
    case 'valid':
      return { verdict, detail: 'made with this secret over this body' };
    case 'malformed':
      return { verdict, detail: scheme.signature === 'Roost-Signature' ? 'there is no v1=<64 hexadecimal digits> in it' : 'there is no v1,<base64> in it' };
    case 'timestamp-outside-tolerance':
      return outsideTolerance(Number(scheme.timestamp), nowSeconds);
    case 'no-matching-signature':
      return whyNot(scheme, body, other);
  }
}

const toleranceSeconds = 300;

function outsideTolerance(timestamp: number, nowSeconds: number): Judgement {
  const away = Math.abs(nowSeconds - timestamp);
  const over = `by ${length(away - toleranceSeconds)}: receivers take ${length(toleranceSeconds)}`;
  const then = `The secret and the body are right: it was valid at ${formatInstant(timestamp * 1_000)}`;
  return timestamp < nowSeconds
    ? { verdict: 'too-old', detail: `${length(away)} old, too old ${over}. ${then}` }
    : { verdict: 'too-new', detail: `${length(away)} ahead of this clock, too far ${over}. The secret and the body are right: is a clock wrong?` };
}

function length(seconds: number): string {
  const parts = [[Math.floor(seconds / 86_400), 'd'], [Math.floor(seconds / 3_600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'min'], [seconds % 60, 's']] as const;
  return parts.flatMap(([count, unit]) => (count === 0 ? [] : [`${count} ${unit}`])).slice(0, 2).join(' ') || '0 s';
}

function whyNot(scheme: Scheme, body: Buffer, other: Scheme | undefined): Judgement {
  const holds = (candidate: Buffer): boolean => scheme.verify(candidate, Infinity) === 'valid';
  const change = changes.find(({ undo }) => undo(body).some(holds));
  if (change !== undefined) return { verdict: 'body-changed', detail: `the secret is right, but ${change.words}. Verify the bytes as they came, before anything parses or prints them` };
  const otherHolds = other?.timestamp !== undefined && other.wrong === undefined && other.verify(body, Infinity) === 'valid';
  if (otherHolds) return { verdict: 'header-changed', detail: `the secret and the body are right, as ${other.signature} shows: ${scheme.signature === 'webhook-signature' ? 'webhook-id, webhook-timestamp' : 't='} or the signature itself was changed` };
  return { verdict: 'wrong-secret', detail: 'it was made with another secret, or over another body: none of the usual changes of a body explains it' };
}

/** What happens to bodies on their way, and the bodies it could have been before. */
const changes: readonly { readonly words: string; readonly undo: (body: Buffer) => readonly Buffer[] }[] = [
  { words: 'a line end was added to the body', undo: (body) => [/\r?\n$/, /[\r\n]+$/].map((end) => edited(body, (text) => text.replace(end, ''))) },
  { words: 'a line end was taken from the end of the body', undo: (body) => ['\n', '\r\n'].map((end) => edited(body, (text) => text + end)) },
  { words: 'line ends of the body became CR LF', undo: (body) => [edited(body, (text) => text.replaceAll('\r\n', '\n'))] },
  { words: 'line ends of the body became LF', undo: (body) => [edited(body, (text) => text.replaceAll(/\r?\n/g, '\r\n'))] },
  { words: 'a byte order mark was put before the body', undo: (body) => [body.subarray(body.indexOf('\uFEFF') === 0 ? 3 : 0)] },
  { words: 'the JSON of the body was parsed and printed again', undo: (body) => printings(body.toString('utf8')).map((text) => Buffer.from(text)) },
];

/** Byte for byte where nothing is changed: bodies need not be UTF-8. */
const edited = (body: Buffer, edit: (text: string) => string): Buffer => Buffer.from(edit(body.toString('latin1')), 'latin1');

/** The ways in which common libraries print the same JSON. */
function printings(text: string): readonly string[] {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch {
    return [];
  }
  const compact = JSON.stringify(value);
  const spaced = spacedOut(compact);
  const plain = [compact, spaced, ...[2, 4, '\t'].map((indent) => JSON.stringify(value, undefined, indent))];
  return [...plain, ...plain.map(asciiOnly)];
}

/** With a space after each comma and colon between tokens, as Python prints it. */
const spacedOut = (compact: string): string => compact.replaceAll(/"(?:[^"\\]|\\.)*"|[,:]/g, (token) => (token.length === 1 ? `${token} ` : token));

const asciiOnly = (text: string): string => text.replaceAll(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
