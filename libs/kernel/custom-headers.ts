/** What stands where the value of a header is not shown. Given as a value, it means the one that is there. */
export const hiddenValue = '[redacted]';

export const maxCustomHeaders = 20;

/** Names and values together, as they are sent: many receivers take 8 KiB of headers in all, and a request has others too. */
export const maxCustomHeaderBytes = 4_096;

const setBySender = ['accept-encoding', 'content-type', 'user-agent'];
const ofTheConnection = ['connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];
const ofProxiesAndCookies = ['cookie', 'forwarded', 'via'];
/** With these the metadata services of clouds hand out credentials. */
const ofCloudMetadata = ['metadata', 'metadata-flavor', 'x-aliyun-ecs-metadata-token', 'x-aws-ec2-metadata-token', 'x-aws-ec2-metadata-token-ttl-seconds', 'x-google-metadata-request', 'x-metadata-token'];
const reserved: ReadonlySet<string> = new Set([...setBySender, ...ofTheConnection, ...ofProxiesAndCookies, ...ofCloudMetadata]);
const reservedPrefixes = ['webhook-', 'roost-', 'proxy-', 'x-forwarded-'];

const namePattern = /^[0-9a-z][!#$%&'*+.^_`|~0-9a-z-]{0,127}$/;
const valuePattern = /^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/**
 * What is wrong with the headers of a subscription's own, as it completes "headers …"; undefined when nothing is. Repeats a name only
 * where it is one, and a value never. Grammar: RFC 9110, sections 5.1 and 5.5; a name begins with a letter or digit.
 */
export function wrongHeaders(headers: readonly (readonly [name: string, value: string])[]): string | undefined {
  const names = headers.map(([name]) => name.toLowerCase());
  const [wrong] = headers.flatMap(([name, value]) => wrongHeader(name.toLowerCase(), value) ?? []);
  if (wrong !== undefined) return wrong;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return `must not have ${twice} twice: capitals make no other header of it`;
  if (headers.length > maxCustomHeaders) return `must be at most ${maxCustomHeaders}, not ${headers.length}`;
  const bytes = headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return bytes > maxCustomHeaderBytes ? `must have at most ${maxCustomHeaderBytes} bytes of names and values together, not ${bytes}` : undefined;
}

function wrongHeader(name: string, value: string): string | undefined {
  if (!namePattern.test(name)) return "must have names of 1 to 128 letters, digits and !#$%&'*+-.^_`|~, beginning with a letter or digit";
  if (reserved.has(name) || reservedPrefixes.some((prefix) => name.startsWith(prefix))) return `must not have the reserved name ${name}`;
  if (!valuePattern.test(value)) return `must have a value of visible Latin-1 characters for ${name}, with blanks and tabs only between them`;
  return undefined;
}

/** Name and value of `name=value`, the value with all further `=`; undefined without any. */
export function parseHeader(text: string): readonly [name: string, value: string] | undefined {
  const at = text.indexOf('=');
  return at < 0 ? undefined : [text.slice(0, at), text.slice(at + 1)];
}
