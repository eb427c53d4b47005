import { isRefusal, type Refusal, refuse, Secret } from '#kernel';

export interface RedisPlace {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, as a URL said. */
export interface RedisTarget {
  /** The one server, or the Sentinels that know it. */
  readonly places: readonly [RedisPlace, ...RedisPlace[]];
  /** What the Sentinels call the master; null: no Sentinels. */
  readonly master: string | null;
  readonly database: number;
  readonly tls: boolean;
  readonly username: string | null;
  readonly password: Secret | null;
  readonly sentinelPassword: Secret | null;
}

type InvalidUrl = Refusal<'redis-url-invalid'>;

const forms = 'redis://[[user]:password@]host[:6379][/database], or redis+sentinel://[[user]:password@]host[:26379],…/master[/database][?sentinelPassword=…]; with rediss for TLS';
/** Every group takes part in every match. */
const shape = /^(?<scheme>rediss?)(?<sentinel>(?:\+sentinel)?):\/\/(?<credentials>(?:[^@/?#]*@)?)(?<places>[^@/?#]+)(?<path>(?:\/[^?#]*)?)(?<query>(?:\?[^#]*)?)$/;
type Parts = Readonly<Record<'scheme' | 'sentinel' | 'credentials' | 'places' | 'path' | 'query', string>>;

/**
 * Reads `redis://`, `rediss://` (TLS) and both with `+sentinel`. User and password are the server's, also behind Sentinels.
 * Refuses with `redis-url-invalid`: the detail says what it must be, and repeats nothing of the text, which may hold a password.
 */
export function parseRedisUrl(text: string): RedisTarget | InvalidUrl {
  const parts = shape.exec(text)?.groups as Parts | undefined;
  if (parts === undefined) return invalid(`has the form ${forms}, other characters in user and passwords percent-encoded`);
  const places = placesOf(parts);
  if (isRefusal(places)) return places;
  const path = pathOf(parts);
  if (isRefusal(path)) return path;
  const credentials = credentialsOf(parts);
  if (isRefusal(credentials)) return credentials;
  return { places, ...path, tls: parts.scheme === 'rediss', ...credentials };
}

const invalid = (right: string): InvalidUrl => refuse('redis-url-invalid', right);

function placesOf({ places, sentinel }: Parts): RedisTarget['places'] | InvalidUrl {
  const [first, ...others] = places.split(',').flatMap((text) => placeOf(text, sentinel === '' ? 6_379 : 26_379));
  if (first === undefined || 1 + others.length < places.split(',').length) return invalid('must name hosts as host, host:port or [IPv6]:port, with ports from 1 to 65535');
  if (sentinel === '' && others.length > 0) return invalid('must name one host; several are Sentinels: redis+sentinel://');
  return [first, ...others];
}

/** One place, or none. */
function placeOf(text: string, otherwisePort: number): readonly RedisPlace[] {
  const [, host, port = otherwisePort] = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return [];
  return [{ host: host.replace(/^\[|\]$/g, ''), port: Number(port) }];
}

function pathOf({ path, sentinel }: Parts): Pick<RedisTarget, 'master' | 'database'> | InvalidUrl {
  if (sentinel === '') {
    return /^(\/\d{0,4})?$/.test(path) ? { master: null, database: Number(path.slice(1)) } : invalid('must end in the number of a database, if in anything');
  }
  const [, master, database = 0] = /^\/([\w.-]+)(?:\/(\d{1,4}))?$/.exec(path) ?? [];
  return master === undefined ? invalid("must end in the master's name as the Sentinels know it, and perhaps the number of a database") : { master, database: Number(database) };
}

function credentialsOf({ credentials, query, sentinel }: Parts): Pick<RedisTarget, 'username' | 'password' | 'sentinelPassword'> | InvalidUrl {
  const sentinelPassword = /^(?:\?sentinelPassword=([^&]+))?$/.exec(query);
  if (sentinelPassword === null || (query !== '' && sentinel === '')) return invalid('may have one parameter, sentinelPassword, and only with redis+sentinel://');
  const [username = '', ...password] = credentials.slice(0, -1).split(':');
  if (password.length > 1) return invalid('must have [user]:password before the @, with other colons percent-encoded');
  try {
    return { username: decodeURIComponent(username) || null, password: secretOf(password[0]), sentinelPassword: secretOf(sentinelPassword[1]) };
  } catch {
    return invalid('must have its user and passwords percent-encoded');
  }
}

const secretOf = (encoded = ''): Secret | null => (encoded === '' ? null : new Secret(decodeURIComponent(encoded)));
