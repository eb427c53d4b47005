import { formatInstant, hiddenValue } from '#kernel';
import type { ExchangeEnd, ReceivedResponse } from './exchange.ts';
import type { CustomHeaders } from './request-headers.ts';
import { parseRetryAfter } from './retry-after.ts';
import type { AttemptResponse, AttemptTimings, AttemptTranscript } from './transcript.ts';

export interface TranscriptSource {
  readonly start: { readonly atMs: number; readonly monotonicMs: number };
  readonly url: string;
  /** As shown: custom values redacted. */
  readonly shownHeaders: Readonly<Record<string, string>>;
  /** As sent: for finding them in the answer. */
  readonly custom: CustomHeaders | undefined;
  readonly end: ExchangeEnd;
}

/** Writes down one ended exchange. */
export function transcribe(source: TranscriptSource): AttemptTranscript {
  const { start, end, url } = source;
  const timings = timingsOf(source);
  const response = end.response === null ? null : responseOf(end.response, redaction(source.custom));
  return {
    startedAt: formatInstant(start.atMs),
    durationMs: timings.totalMs,
    request: { method: 'POST', url, headers: source.shownHeaders },
    response,
    error: end.error,
    timings,
    remoteAddress: end.connection?.remoteAddress ?? null,
    retryAfterMs: parseRetryAfter(response?.headers['retry-after'], start.atMs + timings.totalMs),
  };
}

function timingsOf({ start, end }: TranscriptSource): AttemptTimings {
  const made = end.fresh ? end.connection : undefined;
  return {
    dnsMs: tenths(made?.dnsMs),
    connectMs: tenths(made?.connectMs),
    tlsMs: tenths(made?.tlsMs),
    firstByteMs: end.firstByteAtMs === undefined ? null : tenths(end.firstByteAtMs - start.monotonicMs),
    totalMs: Math.round((end.endedAtMs - start.monotonicMs) * 10) / 10,
  };
}

const tenths = (ms: number | null | undefined): number | null => (ms === null || ms === undefined ? null : Math.round(ms * 10) / 10);

function responseOf(received: ReceivedResponse, redact: Redact): AttemptResponse {
  const headers: [string, string][] = [];
  for (const [name, value] of Object.entries(received.headers)) {
    if (value !== undefined) headers.push([name, redact(typeof value === 'string' ? value : value.join(', '))]);
  }
  return { status: received.status, headers: Object.fromEntries(headers), body: redact(textOf(received), 'may-be-cut'), truncated: received.truncated };
}

/** Replacing what is not UTF-8 makes a text longer than its bytes; a character cut in two at the end is left out. */
function textOf({ body, truncated }: ReceivedResponse): string {
  if (body.length === 0) return '';
  const text = new TextDecoder().decode(body, { stream: truncated });
  return Buffer.byteLength(text) <= body.length ? text : new TextDecoder().decode(Buffer.from(text).subarray(0, body.length), { stream: true });
}

type Redact = (text: string, end?: 'may-be-cut') => string;

/** The headers of a subscription are one object for many requests: what to look for is worked out once, where that is not much. */
const redactions = new WeakMap<CustomHeaders, Redact>();
const mostKeptChars = 4_096;

function redaction(custom: CustomHeaders | undefined): Redact {
  if (custom === undefined) return asItIs;
  const known = redactions.get(custom);
  if (known !== undefined) return known;
  const forms = allForms(custom);
  const redact = redactionOf(forms);
  if (forms.reduce((chars, { length }) => chars + length, 0) <= mostKeptChars) redactions.set(custom, redact);
  return redact;
}

const asItIs: Redact = (text) => text;

/**
 * Receivers that echo requests would put the values of custom headers into the answer, as they are or encoded; very short ones
 * would hit everything. Of a value that the end of a cut text cuts in two, the beginning is hidden too.
 */
function redactionOf(forms: readonly string[]): Redact {
  if (forms.length === 0) return asItIs;
  return (text, end) => forms.reduce((shown, form) => hidden(shown, form, end), text);
}

const allForms = (custom: CustomHeaders): readonly string[] =>
  [...new Set(Object.values(custom).flatMap((secret) => formsOf(secret.reveal())))].filter((form) => form.length >= shortestHidden).sort((a, b) => b.length - a.length);

/** A form is looked for by so much of its beginning: to look for the whole takes the length of one times that of the other. */
const anchorChars = 64;

/** Hides a form wherever it begins, as far as it goes on. */
function hidden(text: string, form: string, end: 'may-be-cut' | undefined): string {
  const anchor = form.slice(0, anchorChars);
  let shown = '';
  let from = 0;
  for (let at = text.indexOf(anchor); at >= 0; at = text.indexOf(anchor, from)) {
    shown += `${text.slice(from, at)}${hiddenValue}`;
    from = at + commonLength(text, at, form);
  }
  const rest = text.slice(from);
  return `${shown}${end === undefined ? rest : withoutEnd(rest, anchor)}`;
}

/** How much of the form's beginning stands in the text at a place. */
function commonLength(text: string, at: number, form: string): number {
  let [low, high] = [0, Math.min(form.length, text.length - at)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (text.startsWith(form.slice(low, middle), at + low)) low = middle;
    else high = middle - 1;
  }
  return low;
}

const shortestHidden = 8;

/** A value as it comes back: as it was, in the bytes it was sent in, within JSON (also within a text in JSON), within a URL or a form, within HTML, and in base64. */
function formsOf(value: string): readonly string[] {
  const json = jsonFormsOf(value);
  const within = json.flatMap((form) => [form, JSON.stringify(form).slice(1, -1)]);
  return [value, new TextDecoder().decode(Buffer.from(value, 'latin1')), ...within, ...urlFormsOf(value), ...htmlFormsOf(value), ...base64FormsOf(value)];
}

const escaped = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Many write `\/` for a slash and ASCII only; Go and .NET escape what HTML has a meaning for, .NET in capitals. */
function jsonFormsOf(value: string): readonly string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const ascii = json.replaceAll(/[\u0080-\u00ff]/g, escaped);
  const go = json.replaceAll(/[<>&]/g, escaped);
  const net = json.replaceAll('\\"', '"').replaceAll(/["&'+<>`\u0080-\u00ff]/g, (letter) => `\\u${escaped(letter).slice(2).toUpperCase()}`);
  return [json, ascii, go, net].flatMap((form) => [form, form.replaceAll('/', '\\/')]);
}

/** RFC 3986, section 2: whether more is escaped than has to be, and in which case, differs; a form has `+` for a space. */
function urlFormsOf(value: string): readonly string[] {
  const least = encodeURIComponent(value);
  const most = least.replaceAll(/[!'()*~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
  const bytes = [...Buffer.from(value, 'latin1')].map((byte) => (/[\w.~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)).join('');
  const forms = [least, most.replaceAll('%7E', '~'), most, bytes, encodeURI(value)].flatMap((form) => [form, form.replaceAll('%2F', '/'), form.replaceAll('%20', '+')]);
  return forms.flatMap((form) => [form, form.replaceAll(/%../g, (code) => code.toLowerCase())]);
}

const entities: readonly Readonly<Record<string, string>>[] = [
  { '"': '&quot;', "'": '&#39;' },
  { '"': '&quot;', "'": '&#x27;' },
  { '"': '&quot;', "'": '&#039;' },
  { '"': '&#34;', "'": '&#39;' },
  { '"': '&#34;', "'": '&#39;', '+': '&#43;' },
];

/** Error pages: HTML, where quotes and, in Go, the plus have several forms. */
const htmlFormsOf = (value: string): readonly string[] => entities.map((quotes) => value.replaceAll(/[&<>"'+]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', ...quotes })[letter] ?? letter));

/** RFC 4648, sections 4 and 5, of the value alone, without what pads it. */
const base64FormsOf = (value: string): readonly string[] => [Buffer.from(value, 'latin1'), Buffer.from(value)].flatMap((bytes) => [bytes.toString('base64').replaceAll('=', ''), bytes.toString('base64url')]);

function withoutEnd(text: string, anchor: string): string {
  for (let length = Math.min(anchor.length - 1, text.length); length >= shortestHidden; length -= 1) {
    if (text.endsWith(anchor.slice(0, length))) return `${text.slice(0, -length)}${hiddenValue}`;
  }
  return text;
}
