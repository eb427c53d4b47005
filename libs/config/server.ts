import { join, resolve } from 'node:path';
import { parseRedisUrl, type RedisTarget } from '#coordination/redis-url';
import { didYouMean, isRefusal, parseRetrySchedule, Secret } from '#kernel';
import ipaddr from 'ipaddr.js';

export const serverRoles = ['api', 'sagas', 'dispatcher'] as const;
export type ServerRole = (typeof serverRoles)[number];

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What the environment says to the server, checked and with its defaults. */
export interface ServerConfig {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absolute. */
  readonly dataDir: string;
  readonly roles: readonly ServerRole[];
  /** In the data folder, or a log that several processes may share: the connection string, which may hold a password. */
  readonly eventStore: 'sqlite' | Secret;
  /** Where the processes on a shared log divide the work among themselves; null: one of them does all of it. */
  readonly redis: RedisTarget | null;
  /** The base64 text of 32 bytes each; null: a file in the data folder. Set when the log may be shared. */
  readonly masterKey: Secret | null;
  readonly masterKeyPrevious: Secret | null;
  /** Null: a file in the data folder. Set when the log may be shared. */
  readonly rootKey: Secret | null;
  /** Absolute: where `file:<name>` references are read. */
  readonly secretsDir: string;
  /** CIDRs, host names, `loopback` and `private`: what deliveries may reach although the SSRF guard would refuse it. */
  readonly allowTargets: readonly string[];
  readonly allowHttp: boolean;
  /** Pauses before the attempts of a delivery, the first included; null: the default of the deliveries design. */
  readonly retryScheduleMs: readonly number[] | null;
  readonly historyDays: number;
  readonly logLevel: LogLevel;
}

/** The environment is not valid: everything that is wrong with it, one line each, none with a secret in it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads one variable: its value, or what it must be. Empty counts as unset. */
type Reader<T> = (text: string) => { readonly value: T } | { readonly right: string };

const value = <T>(read: T): { readonly value: T } => ({ value: read });
const wrong = (right: string): { readonly right: string } => ({ right });

/** Variables of the same environment that others read: the CLI, and `env:` references to signing secrets. */
const othersVariables: readonly string[] = ['KF_SERVER', 'KF_API_KEY', 'KF_PROFILE'];
const secretVariable = /^KF_WEBHOOK_SECRET_[A-Z0-9_]{1,64}$/;

const serverVariables: readonly string[] = [
  'KF_HOST', 'KF_PORT', 'KF_DATA_DIR', 'KF_ROLES', 'KF_EVENT_STORE', 'KF_REDIS', 'KF_MASTER_KEY', 'KF_MASTER_KEY_PREVIOUS', 'KF_ROOT_KEY',
  'KF_SECRETS_DIR', 'KF_ALLOW_TARGETS', 'KF_ALLOW_HTTP', 'KF_RETRY_SCHEDULE', 'KF_HISTORY_DAYS', 'KF_LOG_LEVEL',
];

/** Reads the server's environment. Throws `ConfigError` with all its problems at once. */
export function readServerConfig(environment: Environment = process.env): ServerConfig {
  const problems: string[] = unknownVariables(environment);
  const read = <T>(name: string, otherwise: T, reader: Reader<T>): T => {
    const text = environment[name];
    if (text === undefined || text === '') return otherwise;
    const result = reader(text);
    if ('value' in result) return result.value;
    problems.push(`${name} must be ${result.right}.`);
    return otherwise;
  };
  const dataDir = read('KF_DATA_DIR', resolve('data'), path);
  const config: ServerConfig = {
    host: read('KF_HOST', '127.0.0.1', host),
    port: read('KF_PORT', 8080, whole(0, 65_535)),
    dataDir,
    roles: read('KF_ROLES', serverRoles, roles),
    eventStore: read<ServerConfig['eventStore']>('KF_EVENT_STORE', 'sqlite', eventStore),
    redis: read<ServerConfig['redis']>('KF_REDIS', null, redis),
    masterKey: read<ServerConfig['masterKey']>('KF_MASTER_KEY', null, masterKey),
    masterKeyPrevious: read<ServerConfig['masterKeyPrevious']>('KF_MASTER_KEY_PREVIOUS', null, masterKey),
    rootKey: read<ServerConfig['rootKey']>('KF_ROOT_KEY', null, rootKey),
    secretsDir: read('KF_SECRETS_DIR', join(dataDir, 'secrets'), path),
    allowTargets: read('KF_ALLOW_TARGETS', [], targets),
    allowHttp: read('KF_ALLOW_HTTP', false, flag),
    retryScheduleMs: read<ServerConfig['retryScheduleMs']>('KF_RETRY_SCHEDULE', null, schedule),
    historyDays: read('KF_HISTORY_DAYS', 30, whole(1, 3_650)),
    logLevel: read('KF_LOG_LEVEL', 'info', logLevel),
  };
  problems.push(...missingKeys(config, environment), ...needlessRedis(config));
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** A file of one machine can't hold the keys of a log that others use too. */
function missingKeys({ eventStore }: ServerConfig, environment: Environment): readonly string[] {
  if (eventStore === 'sqlite') return [];
  return ['KF_MASTER_KEY', 'KF_ROOT_KEY'].filter((name) => (environment[name] ?? '') === '').map((name) => `${name} must be set when KF_EVENT_STORE is an EventStoreDB: every process on the log needs the same.`);
}

const needlessRedis = ({ eventStore, redis }: ServerConfig): readonly string[] =>
  eventStore === 'sqlite' && redis !== null ? ['KF_REDIS must not be set when KF_EVENT_STORE is sqlite: it is for several processes on one log, and that log has one.'] : [];

function unknownVariables(environment: Environment): string[] {
  const known = [...serverVariables, ...othersVariables];
  return Object.keys(environment)
    .filter((name) => name.startsWith('KF_') && !known.includes(name) && !secretVariable.test(name))
    .sort()
    .map((name) => `${name} is not a known variable.${didYouMean(name, known)}`);
}

/** The value of a `KF_WEBHOOK_SECRET_<NAME>` variable, read when it is asked for; undefined for any other name. */
export const environmentSecret = (variable: string, environment: Environment = process.env): string | undefined => (secretVariable.test(variable) ? environment[variable] : undefined);

const items = (text: string): readonly string[] => text.split(',').map((item) => item.trim());

const path: Reader<string> = (text) => (text.includes('\0') ? wrong('a path') : value(resolve(text)));

const hostName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;
const isHostName = (text: string): boolean => hostName.test(text);

const host: Reader<string> = (text) => (ipaddr.isValid(text) || isHostName(text) ? value(text) : wrong('an address or a host name'));

const whole =
  (minimum: number, maximum: number): Reader<number> =>
  (text) =>
    /^\d{1,9}$/.test(text) && Number(text) >= minimum && Number(text) <= maximum ? value(Number(text)) : wrong(`a whole number from ${minimum} to ${maximum}`);

const roles: Reader<readonly ServerRole[]> = (text) => {
  const wanted = items(text);
  const found = serverRoles.filter((role) => wanted.includes(role));
  return found.length === new Set(wanted).size ? value(found) : wrong(`a comma-separated list of ${serverRoles.join(', ')}`);
};

const eventStore: Reader<ServerConfig['eventStore']> = (text) => {
  if (text === 'sqlite') return value(text);
  return /^esdb(\+discover)?:\/\/\S+$/.test(text) ? value(new Secret(text)) : wrong('sqlite, or the connection string of an EventStoreDB, esdb://… or esdb+discover://…');
};

const redis: Reader<RedisTarget | null> = (text) => {
  const target = parseRedisUrl(text);
  return isRefusal(target) ? wrong(`the URL of a Redis: it ${target.detail}`) : value(target);
};

const masterKey: Reader<Secret | null> = (text) =>
  /^[A-Za-z0-9+/]{43}=$/.test(text) ? value(new Secret(text)) : wrong('the base64 text of 32 bytes (for example from: openssl rand -base64 32)');

const rootKey: Reader<Secret | null> = (text) => (/^[\x21-\x7e]{32,200}$/.test(text) ? value(new Secret(text)) : wrong('32 to 200 visible ASCII characters'));

const targets: Reader<readonly string[]> = (text) => {
  const list = items(text);
  const valid = (item: string): boolean => item === 'loopback' || item === 'private' || ipaddr.isValid(item) || ipaddr.isValidCIDR(item) || isHostName(item);
  const bad = list.find((item) => !valid(item));
  return bad === undefined ? value(list) : wrong(`a comma-separated list of CIDRs (10.1.0.0/16, 127.0.0.1/32), host names, loopback and private; "${bad}" is none of them`);
};

const flag: Reader<boolean> = (text) => (text === 'true' || text === 'false' ? value(text === 'true') : wrong('true or false'));

const schedule: Reader<readonly number[] | null> = (text) => {
  const parsed = parseRetrySchedule(text);
  return 'malformed' in parsed ? wrong(`a comma-separated list of durations such as 0s,5s,5m,2h; it ${parsed.malformed}`) : value(parsed);
};

const logLevel: Reader<LogLevel> = (text) => {
  const level = logLevels.find((known) => known === text);
  return level === undefined ? wrong(`one of ${logLevels.join(', ')}`) : value(level);
};
