import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Secret } from '#kernel';

/** What the environment says to `kf`. A variable that is set but empty counts as unset. */
export interface CliEnvironment {
  /** `KF_SERVER` */
  readonly server: string | undefined;
  /** `KF_API_KEY` */
  readonly apiKey: Secret | undefined;
  /** `KF_PROFILE` */
  readonly profile: string | undefined;
  /** Where the profiles are: `$XDG_CONFIG_HOME/kf/config.json`, by default below `~/.config`. */
  readonly configFile: string;
  /** Where a server started beside us keeps its root key: `<KF_DATA_DIR or ./data>/root.key`. */
  readonly rootKeyFile: string;
  /** `NO_COLOR` is set (https://no-color.org), or the terminal is a dumb one. */
  readonly noColor: boolean;
  /** What is typed to run us: `npx kf` when npx did. */
  readonly program: readonly string[];
}

/** Reads the CLI's environment. Never fails: what a value must look like is checked where it is used. */
export function readCliEnvironment(variables: Readonly<Record<string, string | undefined>> = process.env, home: string = homedir()): CliEnvironment {
  const value = (name: string): string | undefined => variables[name] || undefined;
  const apiKey = value('KF_API_KEY');
  return {
    server: value('KF_SERVER'),
    apiKey: apiKey === undefined ? undefined : new Secret(apiKey),
    profile: value('KF_PROFILE'),
    // The XDG base directory specification: a relative path is to be ignored.
    configFile: join(configHomeOf(value('XDG_CONFIG_HOME'), home), 'kf', 'config.json'),
    rootKeyFile: join(value('KF_DATA_DIR') ?? 'data', 'root.key'),
    noColor: value('NO_COLOR') !== undefined || value('TERM') === 'dumb',
    program: value('npm_command') === 'exec' ? ['npx', 'kf'] : ['kf'],
  };
}

/** XDG Base Directory Specification: a relative path is to be ignored. */
const configHomeOf = (set: string | undefined, home: string): string => (set !== undefined && isAbsolute(set) ? set : join(home, '.config'));
