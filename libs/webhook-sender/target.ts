import { isIP } from 'node:net';

/** Where a request goes, as the WHATWG URL parser reads it (so `0x7f.1` is already `127.0.0.1` here). */
export interface Target {
  /** The address as sent: without fragment, host in lower case and without its trailing dot. */
  readonly url: string;
  readonly protocol: 'http:' | 'https:';
  /** `https://host[:port]`; an IPv6 address in brackets. */
  readonly origin: string;
  /** `host[:port]`, the value of the `host` header. */
  readonly authority: string;
  /** The domain name or IP address, without brackets. */
  readonly host: string;
  /** Path and query, as on the request line. */
  readonly path: string;
}

/** The target of a URL's text, or in one clause why no request can go there: scheme, credentials, port, host. WHATWG URL; RFC 1035 for names. */
export function parseTarget(text: string): Target | string {
  const url = URL.parse(text);
  if (url === null) return 'it is not an absolute URL';
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  const unfit = unfitnessOf(url, host);
  if (unfit !== undefined) return unfit;
  const path = `${url.pathname}${url.search}`;
  return { url: `${url.origin}${path}`, protocol: url.protocol === 'https:' ? 'https:' : 'http:', origin: url.origin, authority: url.host, host, path };
}

function unfitnessOf(url: URL, host: string): string | undefined {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'its scheme is neither https nor http';
  if (url.username !== '' || url.password !== '') return 'it has credentials in it';
  if (url.port === '0') return 'it has port 0';
  return isIP(host) === 0 && !isDomainName(host) ? 'its host is neither a domain name nor an IP address' : undefined;
}

/** Whether the text is a domain name in its ASCII form: labels of 1–63 letters, digits, dashes or underscores, 253 in all. */
export const isDomainName = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));

/** `localhost` and every name under it, which never leave the machine. RFC 6761, section 6.3. */
export const isLocalhost = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost');

export const localhostAddresses: readonly string[] = ['127.0.0.1', '::1'];
