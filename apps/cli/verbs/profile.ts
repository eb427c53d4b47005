import { formatPrincipal, formatSite } from '#kernel';
import { argument, optional } from '../flags.ts';
import { name, principal, site } from '../forms.ts';
import { UsageError } from '../io.ts';
import type { JsonRecord } from '../json.ts';
import type { View } from '../output.ts';
import { listView } from '../pages.ts';
import { type Profile, profileMembers, type Profiles, readProfiles, siteOfProfile, writeProfiles } from '../profile.ts';
import type { Session } from '../session.ts';
import { factsOf, sheet, show } from '../table.ts';
import { group, type Part, verb } from '../verb.ts';

const profileName = argument('name', name, 'the profile');
const file = ({ io }: Session): string => io.environment.configFile;

/** A profile as it is shown: whether there is a key, never the key. */
const shown = (profiles: Profiles, title: string, { apiKey, ...profile }: Profile): JsonRecord => ({ name: title, current: profiles.current === title, ...profile, hasApiKey: apiKey !== undefined });

const one: View = { table: (body, look) => sheet(look, factsOf(look, body)), essentials: (body) => [String(body['name'])] };
const answer = (body: JsonRecord): { readonly text: string; readonly body: JsonRecord } => ({ text: JSON.stringify(body), body });

const set = verb({
  name: 'set',
  summary: 'Make a profile, or change what is given of one',
  details: 'The API key stands in the configuration file, which only its owner can read, and is never shown. The first profile becomes the current one.',
  examples: ['kf profile set demo --server http://127.0.0.1:8080 --api-key <key> --site tnt_demo --actor USER:usr_sam'],
  withoutProfile: true,
  flags: {
    profileName,
    environment: optional('--environment <id>', name, 'the environment when --tenant is typed without one'),
    site: optional('--site <site>', site, 'the tenant and environment to use: <tenant> or <tenant>.<environment>'),
    actor: optional('--actor <TYPE:ID>', principal, 'who acts'),
  },
  run: (session, values) => {
    const given = {
      server: session.globals.server,
      apiKey: session.globals.apiKey,
      environment: values.environment,
      site: values.site && formatSite(values.site),
      actor: values.actor && formatPrincipal(values.actor),
    };
    const typed = profileMembers.flatMap((member) => (given[member] === undefined ? [] : [[member, given[member]] as const]));
    if (typed.length === 0) throw new UsageError(['nothing to set: give --server, --api-key, --environment, --site or --actor']);
    const profiles = readProfiles(file(session));
    const profile: Profile = { ...profiles.byName.get(values.profileName), ...Object.fromEntries(typed) };
    refuseTwoEnvironments(profile);
    const next = { current: profiles.current ?? values.profileName, byName: new Map([...profiles.byName, [values.profileName, profile]]) };
    writeProfiles(file(session), next);
    session.output.answer(answer(shown(next, values.profileName, profile)), one);
  },
});

/** A site has its environment in it; another one beside it could only surprise. */
function refuseTwoEnvironments(profile: Profile): void {
  const { site: siteId, environment, ...rest } = profile;
  const ofSite = siteId === undefined ? undefined : (siteOfProfile({ ...rest, site: siteId }).environment ?? 'production');
  if (ofSite === undefined || environment === undefined || ofSite === environment) return;
  throw new UsageError([`--site ${siteId} is environment ${ofSite}, but --environment is ${environment}: write the site as <tenant>.${environment}, or give both so that they agree`]);
}

const use = verb({
  name: 'use',
  summary: 'Make a profile the current one',
  examples: ['kf profile use demo'],
  withoutProfile: true,
  flags: { profileName },
  run: (session, { profileName: wanted }) => {
    const profiles = { ...existing(session, wanted).profiles, current: wanted };
    writeProfiles(file(session), profiles);
    session.output.answer(answer(shown(profiles, wanted, profiles.byName.get(wanted) ?? {})), one);
  },
});

function existing(session: Session, wanted: string): { readonly profiles: Profiles; readonly profile: Profile } {
  const profiles = readProfiles(file(session));
  const profile = profiles.byName.get(wanted);
  if (profile === undefined) throw new UsageError([`there is no profile "${wanted}" (there: ${[...profiles.byName.keys()].join(', ') || 'none'})`]);
  return { profiles, profile };
}

const list = verb({
  name: 'list',
  summary: 'List the profiles',
  examples: ['kf profile list'],
  withoutProfile: true,
  flags: {},
  run: (session) => {
    const profiles = readProfiles(file(session));
    const items = [...profiles.byName].map(([title, profile]) => shown(profiles, title, profile));
    const columns = (['name', 'current', 'server', 'site', 'environment', 'actor', 'hasApiKey'] as const).map((member) => [member === 'hasApiKey' ? 'API KEY' : member.toUpperCase(), (item: JsonRecord, look: Parameters<typeof show>[0]) => show(look, item[member])] as const);
    session.output.answer(answer({ items }), listView(columns, 'name'));
  },
});

const showOne = verb({
  name: 'show',
  summary: 'Show a profile, without its API key',
  examples: ['kf profile show', 'kf profile show demo'],
  withoutProfile: true,
  flags: { profileName: { ...optional('[name]', name, 'the profile; the current one when omitted'), argument: '[name]' } },
  run: (session, { profileName: wanted }) => {
    const title = wanted ?? session.globals.profile ?? session.io.environment.profile ?? readProfiles(file(session)).current;
    if (title === undefined) throw new UsageError(['there is no current profile: name one, or make one with kf profile set <name>']);
    const { profiles, profile } = existing(session, title);
    session.output.answer(answer(shown(profiles, title, profile)), one);
  },
});

export const profile: Part = group('profile', 'What not to type every time: server, key, site, actor', [set, use, list, showOne]);
