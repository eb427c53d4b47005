import { formatPrincipal, formatSite, parseSite, type Site } from '#kernel';
import { type ActorValues, type Done, keyOf, namedActor, noteOn, ownActorFlags, type Sent, sendOnce } from './command.ts';
import { type Flags, optional, type Values } from './flags.ts';
import { site } from './forms.ts';
import type { Answer, Request } from './http.ts';
import { UsageError } from './io.ts';
import { type Members, textOf, writeJson } from './json.ts';
import type { View } from './output.ts';
import type { Session } from './session.ts';
import { type Part, type Verb, verb } from './verb.ts';

/** The flag that says which site, as operators and auditors write it. */
export const siteFlag = { site: optional('--site <siteId>', site, "the site: <tenant> or <tenant>.<environment>; else the profile's, else the API key's if it has exactly one") };

/** The common flags of what an operator changes. */
export const operatorFlags = { ...siteFlag, ...ownActorFlags };

/** The site: the one given (by flag or profile), else the only one of the API key. Throws a UsageError when there is none. */
export async function findSite({ ask }: Pick<Session, 'ask'>, given: Site | undefined): Promise<Site> {
  if (given !== undefined) return given;
  const { body } = await ask({ method: 'GET', path: '/api/whoami' });
  const only = parseSite(textOf(body, 'siteId') ?? '');
  if (only === undefined) throw new UsageError(['--site <siteId> is required: the API key has not exactly one site. It can be kept with kf profile set <name> --site <siteId>']);
  return only;
}

/** Requests about one site. The site is looked for when the first of them is sent, so that what is wrong before costs no request. */
export interface SiteSession extends Session {
  /** Sends one request with `siteId` in its query. */
  readonly askSite: (asked: Request) => Promise<Answer>;
  /** The same with the body of the answer unread. */
  readonly openSite: (asked: Request) => Promise<Response>;
  readonly site: () => Promise<Site>;
}

function atSite(session: Session, given: Site | undefined): SiteSession {
  let found: Promise<Site> | undefined;
  const find = (): Promise<Site> => (found ??= findSite(session, given));
  const about = async (asked: Request): Promise<Request> => ({ ...asked, query: { siteId: formatSite(await find()), ...asked.query } });
  return { ...session, site: find, askSite: async (asked) => session.ask(await about(asked)), openSite: async (asked) => session.open(await about(asked)) };
}

/** A verb about one site that is no command. `--site` is added to its flags. */
interface SiteVerb<F extends Flags> extends Omit<Verb<F>, 'run' | 'withoutProfile'> {
  run(session: SiteSession, values: Values<F>): Promise<void> | void;
}

export const siteVerb = <F extends Flags>(of: SiteVerb<F>): Part =>
  verb<Flags>({
    ...of,
    flags: { ...of.flags, ...siteFlag },
    // The values were read by both specifications together, which the type of a spread of a generic one can't say.
    run: (session, { site: given, ...own }) => of.run(atSite(session, given as Site | undefined), own as Values<F>),
  });

/** One change over REST, and which command it is: a refusal says with both what to type next. */
export interface Change {
  readonly method: 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Request['query'];
  readonly body?: Members;
  readonly commandType: string;
  readonly resourceId?: string | undefined;
  readonly approvalId?: string | undefined;
  /** Only when the resource is at this revision (RFC 9110, section 13.1.1). */
  readonly ifRevision?: number | undefined;
}

/** Sends one change. As with a command, a key of ours is printed before. */
export async function sendChange(session: SiteSession, values: ActorValues, { method, path, query, body, ifRevision, ...of }: Change): Promise<Done> {
  const actor = namedActor(values.actorType, values.actorId);
  const onBehalfOf = values.onBehalfOf.flat();
  const site = await session.site();
  const sent: Sent = { ...of, site, actor: actor && { ...actor, ...(onBehalfOf.length === 0 ? {} : { onBehalfOf }) }, key: keyOf(session, values.idempotencyKey, 'req'), payload: body ?? {} };
  return sendOnce(session, sent, {
    method,
    path,
    query: { siteId: formatSite(site), ...query },
    headers: { ...actorHeaders(values), ...(ifRevision === undefined ? {} : { 'if-match': `"${ifRevision}"` }) },
    ...(body === undefined ? {} : { body: writeJson(body) }),
  });
}

/** Who acts, and for whom, as REST takes it. What nobody named is left to the API key. */
export function actorHeaders({ actorType, actorId, onBehalfOf }: ActorValues): Readonly<Record<string, string>> {
  const actor = namedActor(actorType, actorId);
  const chain = onBehalfOf.flat();
  return { ...(actor === undefined ? {} : { 'kf-actor': formatPrincipal(actor) }), ...(chain.length === 0 ? {} : { 'kf-on-behalf-of': chain.map(formatPrincipal).join(', ') }) };
}

/** A verb that is one change of a site. `flags` are its own; the common ones are added. */
interface OperatorVerb<F extends Flags> extends Omit<SiteVerb<F>, 'run'> {
  /** What is sent. What is wrong with the flags is thrown here, before anything is. */
  ask(own: Values<F>, session: SiteSession): Change | Promise<Change>;
  readonly view: View;
  /** What there is to do after the answer was printed. */
  after?(session: SiteSession, done: Done, own: Values<F>): Promise<void> | void;
}

export const operatorVerb = <F extends Flags>(of: OperatorVerb<F>): Part =>
  siteVerb<Flags>({
    ...of,
    flags: { ...of.flags, ...ownActorFlags },
    run: async (session, values) => {
      const own = Object.fromEntries(Object.keys(of.flags).map((name) => [name, values[name]])) as Values<F>;
      const actor = values as unknown as ActorValues;
      namedActor(actor.actorType, actor.actorId);
      const done = await sendChange(session, actor, await of.ask(own, session));
      session.output.answer(done.answer, of.view);
      noteOn(session, done.answer, [textOf(done.answer.body, 'secret')].flatMap((secret) => secret ?? []));
      await of.after?.(session, done, own);
    },
  });
