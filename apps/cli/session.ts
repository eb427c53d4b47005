import { readFileSync } from 'node:fs';
import { Secret } from '#kernel';
import { optional, readSetting, toggle, type Values } from './flags.ts';
import { apiKey, type Form, name, oneOf, server } from './forms.ts';
import { type Answer, open, type Request, request, type Server } from './http.ts';
import { type Io, UsageError } from './io.ts';
import { type Output, outputOf } from './output.ts';
import { chooseProfile, type Profile, readProfiles } from './profile.ts';

export const globalFlags = {
  server: optional('--server <url>', server, 'the server; else KF_SERVER, the profile, http://127.0.0.1:8080'),
  apiKey: optional('--api-key <key>', apiKey, "the API key; else KF_API_KEY, the profile, a local server's root key file"),
  profile: optional('--profile <name>', name, 'the profile to use; else KF_PROFILE, else the current one'),
  output: optional('--output <table|json|jsonl>', oneOf('table', 'json', 'jsonl'), 'table on a terminal, json otherwise'),
  json: toggle('--json', 'short for --output json'),
  quiet: toggle('--quiet', 'print only the id or the secret, and no notes'),
  color: { ...toggle('--no-color', 'no colours; also with NO_COLOR set'), read: (given) => ({ value: given !== false }) } as ReturnType<typeof toggle>,
};
export type Globals = Values<typeof globalFlags>;

/** One run of one verb: where it talks to, how it prints, what was typed. */
export interface Session {
  readonly io: Io;
  /** What was typed after `kf`. */
  readonly argv: readonly string[];
  readonly globals: Globals;
  readonly output: Output;
  readonly profile: Profile;
  /** Sends one request to the server. */
  readonly ask: (asked: Request) => Promise<Answer>;
  /** Sends one request whose answer has no end: the body is still to be read. */
  readonly open: (asked: Request) => Promise<Response>;
}

/** Opens a session. `withProfile: false` for the verbs that manage the profiles themselves. */
export function openSession(io: Io, argv: readonly string[], globals: Globals, { withProfile }: { readonly withProfile: boolean }): Session {
  if (globals.json && globals.output !== undefined && globals.output !== 'json') {
    throw new UsageError([`--json and --output ${globals.output} contradict each other: give one of them`]);
  }
  const output = outputOf(io, { format: globals.json ? 'json' : globals.output, quiet: globals.quiet, color: globals.color });
  const profile = withProfile ? chosenProfile(io, globals) : {};
  let connected: Server | undefined;
  const server = (): Server => (connected ??= connect(io, globals, profile, output));
  return { io, argv, globals, output, profile, ask: (asked) => request(io, server(), asked), open: (asked) => open(io, server(), asked) };
}

const chosenProfile = ({ environment }: Io, globals: Globals): Profile =>
  chooseProfile(readProfiles(environment.configFile), globals.profile ?? environment.profile, globals.profile === undefined && environment.profile !== undefined ? 'KF_PROFILE' : '--profile');

const defaultServer = 'http://127.0.0.1:8080';

function connect(io: Io, globals: Globals, profile: Profile, output: Output): Server {
  const url = globals.server ?? firstOf(server, [['KF_SERVER', io.environment.server], ["the profile's server", profile.server]]) ?? defaultServer;
  const loopback = isLoopback(new URL(url).hostname);
  const key = configuredKey(io, globals, profile);
  if (key !== undefined && !loopback && url.startsWith('http:')) output.warn(`warning: the API key goes to ${url} unencrypted; use https`);
  return { url, ...(key === undefined && loopback ? localKey(io.environment.rootKeyFile, output) : { apiKey: key }) };
}

/** The key of a server on this machine, or where it would have been. */
function localKey(file: string, output: Output): Pick<Server, 'apiKey' | 'noKeyIn'> {
  const apiKey = rootKey(file, output);
  return apiKey === undefined ? { apiKey, noKeyIn: file } : { apiKey };
}

function configuredKey({ environment }: Io, globals: Globals, profile: Profile): Secret | undefined {
  const text = globals.apiKey ?? firstOf(apiKey, [['KF_API_KEY', environment.apiKey?.reveal()], ["the profile's API key", profile.apiKey]]);
  return text === undefined ? undefined : new Secret(text);
}

/** The first of several settings that is there; it must be well-formed. */
function firstOf<T>(form: Form<T>, settings: readonly (readonly [title: string, given: string | undefined])[]): T | undefined {
  const [title = '', given] = settings.find(([, given]) => given !== undefined) ?? [];
  return given === undefined ? undefined : readSetting(title, form, given);
}

const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);

/** The key that a server on this machine keeps in a file, when there is one that we may read. */
function rootKey(file: string, output: Output): Secret | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch {
    // No such file, or not ours to read: then there is no key, and the server's answer says what to do.
    return undefined;
  }
  output.note(`No API key configured: using the root key in ${file}`);
  return new Secret(readSetting(file, apiKey, text));
}
