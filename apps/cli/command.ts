import { type Actor, type ActorType, newId, type Principal, type Site } from '#kernel';
import { type Flags, optional, repeated, required, type Values } from './flags.ts';
import { actorType, key, name, principalId, principals } from './forms.ts';
import { type Answer, NoAnswer, ProblemAnswer, type Request } from './http.ts';
import { UsageError } from './io.ts';
import { type JsonRecord, type Members, recordOf, textOf, writeJson } from './json.ts';
import type { View } from './output.ts';
import type { Session } from './session.ts';
import { factsOf, type Look, sheet } from './table.ts';
import { type Part, verb } from './verb.ts';

/** The flags that say where. */
export const siteFlags = {
  tenant: required('--tenant <id>', name, "the tenant; else the one of the profile's site"),
  environment: optional('--environment <id>', name, "the environment; else the profile's, else production"),
};

const asked = {
  onBehalfOf: repeated('--on-behalf-of <TYPE:ID>', principals, 'for whom the actor acts, nearest first'),
  idempotencyKey: optional('--idempotency-key <key>', key, 'makes a retry safe: the same key takes effect at most once; generated and printed when omitted'),
};

/** The common flags of every command. */
export const commandFlags = {
  ...siteFlags,
  actorType: required('--actor-type <type>', actorType, "who acts: USER, SYSTEM, CONNECTOR, AGENT or SERVICE; else the profile's actor"),
  actorId: required('--actor-id <id>', principalId, "the id of who acts; else the profile's actor"),
  ...asked,
};

/** Who acts where it is usually the API key's own actor. */
export const ownActorFlags = {
  actorType: optional('--actor-type <type>', actorType, "who acts; else the profile's actor, else the API key's own"),
  actorId: optional('--actor-id <id>', principalId, 'the id of who acts'),
  ...asked,
};

const administrationFlags = { ...siteFlags, ...ownActorFlags };

/** The values of the flags that say who acts, and under which key. */
export interface ActorValues {
  readonly actorType: ActorType | undefined;
  readonly actorId: string | undefined;
  readonly onBehalfOf: readonly (readonly Principal[])[];
  readonly idempotencyKey: string | undefined;
}

/** The values of the flags that every command has. */
export interface CommonValues extends ActorValues {
  readonly tenant: string;
  readonly environment: string | undefined;
}

/** What one verb adds to the common flags. */
export interface Asked {
  readonly payload: Members;
  readonly approvalId?: string | undefined;
  readonly expectedRevision?: number | undefined;
  /** Where another flag gives the key too: a published event's own id. */
  readonly idempotencyKey?: string | undefined;
}

/** One command on its way, with all that is needed to say how to repeat it. */
export interface Sent extends Asked {
  readonly commandType: string;
  /** Where it does not follow from the payload. */
  readonly resourceId?: string | undefined;
  readonly site: Site;
  /** Whom the command names; undefined when that is left to the API key. */
  readonly actor: Actor | undefined;
  readonly key: string;
}

/** A command and what it came to. */
export interface Done {
  readonly sent: Sent;
  readonly answer: Answer;
}

/** A command that got a refusal or no answer. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  override readonly cause: ProblemAnswer | NoAnswer;
  readonly sent: Sent;
  constructor(cause: ProblemAnswer | NoAnswer, sent: Sent) {
    super(cause.message);
    this.cause = cause;
    this.sent = sent;
  }
}

export const siteOf = ({ tenant, environment = 'production' }: { readonly tenant: string; readonly environment: string | undefined }): Site => ({ tenant, environment });

/** Sends one command. Its idempotency key is printed before, when it is ours, so that it survives whatever happens next. */
export async function send(session: Session, commandType: string, values: CommonValues, asked: Asked): Promise<Done> {
  const actor = await actorOf(session, values);
  const key = keyOf(session, values.idempotencyKey ?? asked.idempotencyKey, commandType === 'PublishEvent' ? 'evt' : 'req');
  const sent: Sent = { ...asked, commandType, site: siteOf(values), actor, key };
  return sendOnce(session, sent, { method: 'POST', path: `/api/commands/${commandType}`, body: bodyOf(sent, actor) });
}

/** The idempotency key: the one given, else one made and printed now, before anything is sent. */
export function keyOf(session: Session, given: string | undefined, prefix: 'evt' | 'req'): string {
  if (given !== undefined) return given;
  const key = newId(prefix, session.io.clock.now(), session.io.ids);
  session.output.note(`Idempotency key: ${key}`);
  return key;
}

/** Sends what is to take effect at most once. Throws CommandFailed, which knows how to repeat it. */
export async function sendOnce(session: Session, sent: Sent, asked: Request): Promise<Done> {
  try {
    return { sent, answer: await session.ask({ ...asked, headers: { ...asked.headers, 'idempotency-key': sent.key } }) };
  } catch (error) {
    throw error instanceof ProblemAnswer || error instanceof NoAnswer ? new CommandFailed(error, sent) : error;
  }
}

function bodyOf({ site, approvalId, expectedRevision, payload }: Sent, { type, id, onBehalfOf }: Actor): string {
  return writeJson({ ...site, actor: { type, id, onBehalfOf: onBehalfOf?.map(written) }, approvalId, expectedRevision, payload });
}

/** A principal as it stands in a body. */
export const written = ({ type, id }: Principal): Members => ({ type, id });

async function actorOf(session: Session, { actorType, actorId, onBehalfOf }: ActorValues): Promise<Actor> {
  const chain = onBehalfOf.flat();
  return { ...(await principalOf(session, actorType, actorId)), ...(chain.length === 0 ? {} : { onBehalfOf: chain }) };
}

const principalOf = async (session: Session, type: ActorType | undefined, id: string | undefined): Promise<Principal> => namedActor(type, id) ?? ownActor(session);

/** The actor the flags name, if they do. Throws a UsageError when they name half of one. */
export function namedActor(type: ActorType | undefined, id: string | undefined): Principal | undefined {
  if (type !== undefined && id !== undefined) return { type, id };
  if (type !== undefined || id !== undefined) throw new UsageError(['--actor-type and --actor-id go together: give both or none']);
  return undefined;
}

/** The actor of the API key: the one it is bound to, or its default. */
export async function ownActor(session: Session): Promise<Principal> {
  const { body } = await session.ask({ method: 'GET', path: '/api/whoami' });
  const actor = recordOf(body, 'actor') ?? recordOf(body, 'defaultActor');
  const type = textOf(actor, 'type');
  const id = textOf(actor, 'id');
  if (type === undefined || id === undefined) throw new UsageError(['the API key has no actor of its own: give --actor-type and --actor-id']);
  return { type: type as ActorType, id };
}

/** A verb that is one command. `flags` are its own; the common ones are added. */
interface CommandVerb<F extends Flags> {
  readonly name: string;
  readonly commandType: string;
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly string[];
  readonly flags: F;
  ask(own: Values<F>, session: Session, common: CommonValues): Asked | Promise<Asked>;
  /** What there is to do after the answer was printed. */
  after?(session: Session, done: Done, own: Values<F>, common: CommonValues): Promise<void>;
  /** The lines of `--quiet`; the resource's id when left out. */
  readonly essentials?: View['essentials'];
}

export const commandVerb = <F extends Flags>(of: CommandVerb<F>): Part => commandVerbWith(commandFlags, of);

/** A command verb for administrators, whose actor is the key's own unless another is named. */
export const administrationVerb = <F extends Flags>(of: CommandVerb<F>): Part => commandVerbWith(administrationFlags, of);

function commandVerbWith<F extends Flags>(common: typeof commandFlags | typeof administrationFlags, of: CommandVerb<F>): Part {
  return verb<Flags>({
    ...of,
    flags: { ...of.flags, ...common },
    run: async (session, values) => {
      // They were read by both specifications together, which the type of a spread of a generic one can't say.
      const commons = values as unknown as CommonValues;
      const own = Object.fromEntries(Object.keys(of.flags).map((name) => [name, values[name]])) as Values<F>;
      const done = await send(session, of.commandType, commons, await of.ask(own, session, commons));
      report(session, done, of.essentials);
      await of.after?.(session, done, own, commons);
    },
  });
}

/** Prints what a command came to. */
export function report(session: Session, { answer, sent }: Done, essentials: View['essentials'] = idOf): void {
  session.output.answer(answer, { essentials, table: (body, look) => sheet(look, commandFacts(look, body, sent.key)) });
  noteOn(session, answer, secretOf(answer.body));
}

/** Says what can't be seen in an answer: that its secret is shown once, or that all of it is from before. */
export function noteOn({ output }: Session, { body, replayed }: Answer, secrets: readonly string[]): void {
  if (secrets.length > 0 && output.format === 'table') output.note("The secret is shown this once and can't be read again: keep it now.");
  if (replayed === true || body['replayed'] === true) output.note('This idempotency key was used before: above is what it came to then. It had no further effect, and a secret is never shown twice.');
}

export const idOf = (body: JsonRecord): readonly string[] => [textOf(body, 'resourceId') ?? ''];

/** The secret of an answer, when it is shown. */
export const secretOf = (body: JsonRecord): readonly string[] => {
  const secret = textOf(recordOf(body, 'result'), 'secret');
  return secret === undefined ? [] : [secret];
};

function commandFacts(look: Look, body: JsonRecord, key: string): readonly (readonly [string, string])[] {
  const { commandType, resourceId, outcome, revision, position } = body;
  const result = Object.entries(recordOf(body, 'result') ?? {}).filter(([, value]) => value !== resourceId);
  return [
    ...factsOf(look, { command: commandType, resource: resourceId, outcome }),
    ...factsOf(look, Object.fromEntries(result)),
    ...factsOf(look, { revision, position }),
    ['Idempotency key', key],
  ];
}
