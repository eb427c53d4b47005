import { isEventId } from '#kernel';
import { Problem } from '../http/problem.ts';

/**
 * The idempotency key of a request, undefined without the header: 1 to 255 visible ASCII characters as they are, or as a
 * quoted string, which is the same key. IETF draft "The Idempotency-Key HTTP Header Field"; RFC 8941, section 3.3.3.
 */
export function idempotencyKey(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const key = typeof header === 'string' ? unquoted(header.trim()) : '';
  if (!isEventId(key)) throw new Problem('idempotency-key-invalid', 'The header Idempotency-Key takes 1 to 255 visible ASCII characters, plain or as one quoted string.');
  return key;
}

export function requiredKey(header: string | readonly string[] | undefined): string {
  const key = idempotencyKey(header);
  if (key === undefined) throw new Problem('idempotency-key-missing', 'Send the header Idempotency-Key: a command takes effect at most once per key, so that a retry is safe.');
  return key;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  const inner = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(text)?.[1];
  return inner === undefined ? '' : inner.replaceAll(/\\(["\\])/g, '$1');
}
