import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parsePrincipal, parseSite, type Principal, type Site } from '#kernel';
import { errorCode, errorText } from './error-code.ts';
import { UsageError } from './io.ts';
import { isRecord } from './json.ts';

export const profileMembers = ['server', 'apiKey', 'environment', 'site', 'actor'] as const;

/** What somebody does not want to type every time. `apiKey` is the only secret; nothing but the request ever shows it. */
export type Profile = { readonly [Member in (typeof profileMembers)[number]]?: string };

export interface Profiles {
  /** The profile used when neither `--profile` nor `KF_PROFILE` names one. */
  readonly current: string | undefined;
  readonly byName: ReadonlyMap<string, Profile>;
}

/** The profiles of a file; none when it does not exist. Throws a UsageError, without quoting the file, when it is malformed. */
export function readProfiles(file: string): Profiles {
  const text = readIfThere(file);
  if (text === undefined) return { current: undefined, byName: new Map() };
  const config = parsed(file, text);
  const profiles = Object.entries(isRecord(config['profiles']) ? config['profiles'] : {});
  return {
    current: typeof config['current'] === 'string' ? config['current'] : undefined,
    byName: new Map(profiles.map(([name, members]) => [name, profileOf(members)])),
  };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new UsageError([`${file} can't be read: ${errorText(error)}`]);
  }
}

function parsed(file: string, text: string): Readonly<Record<string, unknown>> {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, in which keys stand.
    config = undefined;
  }
  if (!isRecord(config)) throw new UsageError([`${file} is not a JSON object: correct it, or remove it and set the profiles again`]);
  return config;
}

const profileOf = (members: unknown): Profile =>
  Object.fromEntries(profileMembers.flatMap((member) => (isRecord(members) && typeof members[member] === 'string' ? [[member, members[member]]] : [])));

/** Writes the profiles in one step, readable by their owner alone. */
export function writeProfiles(file: string, profiles: Profiles): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.new`;
  const config = { current: profiles.current, profiles: Object.fromEntries(profiles.byName) };
  // The mode only holds for a file that does not exist: one left over, or put there by somebody else, must not be used.
  rmSync(next, { force: true });
  writeFileSync(next, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(next, file);
}

/** The profile of that name, else the current one, else an empty one. Throws a UsageError when the named one does not exist. */
export function chooseProfile(profiles: Profiles, wanted: string | undefined, askedBy: string): Profile {
  const name = wanted ?? profiles.current;
  if (name === undefined) return {};
  const profile = profiles.byName.get(name);
  if (profile !== undefined) return profile;
  const known = [...profiles.byName.keys()].join(', ') || 'none';
  throw new UsageError([`${askedBy}: there is no profile "${name}" (there: ${known}); make it with kf profile set ${name}`]);
}

/** The site a profile stands for. Its environment is the one for other tenants too. */
export function siteOfProfile(profile: Profile): Partial<Site> {
  const site = profile.site === undefined ? undefined : parseSite(profile.site);
  const environment = profile.environment ?? site?.environment;
  return { ...(site === undefined ? {} : { tenant: site.tenant }), ...(environment === undefined ? {} : { environment }) };
}

export const actorOfProfile = (profile: Profile): Principal | undefined => (profile.actor === undefined ? undefined : parsePrincipal(profile.actor));
