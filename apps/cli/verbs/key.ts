import type { Principal } from '#kernel';
import { administrationVerb, idOf, secretOf, written } from '../command.ts';
import { nameless, optional, repeated, required, toggle } from '../flags.ts';
import { moment, name, person, principal, scope, text } from '../forms.ts';
import { UsageError } from '../io.ts';
import { type Column, listView, pageFlags, pageQuery, printPage } from '../pages.ts';
import { show } from '../table.ts';
import { group, type Part, verb } from '../verb.ts';

interface AskedKey {
  readonly scope: readonly string[];
  readonly actor: Principal | undefined;
  readonly anyActor: boolean;
  readonly defaultActor: Principal | undefined;
  readonly owner: Principal | undefined;
}

/** What no key can be: the rules between the flags. */
function rulesBroken({ scope: scopes, actor, anyActor, defaultActor, owner }: AskedKey): readonly string[] {
  const needsOwner = anyActor || ['AGENT', 'CONNECTOR', 'SERVICE'].includes(actor?.type ?? '');
  const rules: readonly (readonly [boolean, string])[] = [
    [scopes.length === 0, '--scope <scope> is required: what the key may do'],
    [(actor === undefined) === !anyActor, 'give either --actor <TYPE:ID> or --any-actor'],
    [defaultActor !== undefined && !anyActor, '--default-actor goes with --any-actor only'],
    [needsOwner && owner === undefined, '--owner <USER:ID> is required for keys of an AGENT, CONNECTOR or SERVICE and for --any-actor'],
  ];
  return rules.flatMap(([broken, issue]) => (broken ? [issue] : []));
}

const create = administrationVerb({
  name: 'create',
  commandType: 'CreateApiKey',
  summary: 'Make an API key; its text is shown once',
  details:
    'A key speaks for one actor (--actor), or for any (--any-actor, for trusted services). Keys of an AGENT, CONNECTOR or SERVICE and any-actor keys need an --owner: the person who answers for them. ' +
    "The key is recorded in the site of --tenant; what it may do is in its scopes. Needs an API key with the scope admin. With --quiet: the key's text.",
  examples: [
    'kf key create --tenant tnt_demo --name kim --scope site:tnt_demo:read --scope site:tnt_demo:approve --actor USER:usr_kim',
    'kf key create --tenant tnt_demo --name ci --scope site:tnt_demo:write --any-actor --owner USER:usr_sam --expires-on +90d',
  ],
  flags: {
    name: required('--name <text>', text(100), 'what it is for'),
    scope: repeated('--scope <scope>', scope, 'what it may do: admin, or site:<site>:<read|write|approve|audit>; at least one'),
    actor: optional('--actor <TYPE:ID>', principal, 'the one actor it speaks for'),
    anyActor: toggle('--any-actor', 'it speaks for any actor'),
    defaultActor: optional('--default-actor <TYPE:ID>', principal, 'with --any-actor: who acts when a request names nobody'),
    owner: optional('--owner <USER:ID>', person, 'the person who answers for it'),
    expiresOn: optional('--expires-on <time>', moment, 'when it ends: RFC 3339 or +90d; never when omitted'),
  },
  ask: (values, { io }) => {
    const issues = rulesBroken(values);
    if (issues.length > 0) throw new UsageError(issues);
    const { scope: scopes, anyActor, actor, defaultActor, owner, expiresOn } = values;
    return {
      payload: {
        name: values.name,
        scopes: [...new Set(scopes)],
        actor: actor && written(actor),
        anyActor: anyActor || undefined,
        defaultActor: defaultActor && written(defaultActor),
        owner: owner && written(owner),
        expiresOn: expiresOn?.(io.clock.now()),
      },
    };
  },
  essentials: (body) => (secretOf(body).length > 0 ? secretOf(body) : idOf(body)),
});

const column = (heading: string, member: string): Column => [heading, (item, look) => show(look, item[member])];
const columns: readonly Column[] = [
  column('ID', 'id'),
  column('NAME', 'name'),
  column('SITE', 'siteId'),
  ['ACTOR', (item, look) => (item['anyActor'] === true ? 'any' : show(look, item['actor']))],
  column('OWNER', 'owner'),
  column('SCOPES', 'scopes'),
  column('EXPIRES', 'expiresOn'),
  column('STATUS', 'status'),
];

const list = verb({
  name: 'list',
  summary: 'List the API keys; never their text',
  examples: ['kf key list'],
  flags: pageFlags,
  run: async (session, values) => printPage(session, await session.ask({ method: 'GET', path: '/api/keys', query: pageQuery(values) }), listView(columns, 'id')),
});

const revoke = administrationVerb({
  name: 'revoke',
  commandType: 'RevokeApiKey',
  summary: 'End an API key, for ever',
  details: '--tenant and --environment are the site it was made in. Needs an API key with the scope admin.',
  examples: ['kf key revoke --tenant tnt_demo --key-id <id>'],
  flags: { keyId: nameless(required('--key-id <id>', name, 'the key')) },
  ask: (payload) => ({ payload }),
});

export const key: Part = group('key', 'API keys', [create, list, revoke]);
