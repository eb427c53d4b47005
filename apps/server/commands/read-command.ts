import { type ActorDto, CommandBody, commandPayloads, type CommandType, type FieldError, isCommandType, type JsonOutline, readDto, repeatedMembers, type Slice } from '#contracts';
import { type Actor, didYouMean, type JsonObject, type Site } from '#kernel';
import { invalidBody, isThereTwice, outline, textOf } from '../http/body.ts';
import { Problem } from '../http/problem.ts';

/** A valid request for a command, before anybody has looked at who sent it. */
export interface RequestedCommand {
  readonly site: Site;
  readonly actor: Actor;
  readonly approvalId?: string;
  readonly expectedRevision?: number;
  /** As received, before defaults. */
  readonly payload: JsonObject;
  /** Where the payload stands in the body's text. */
  readonly payloadText: JsonOutline;
}

export function readCommandType(text: string): CommandType {
  if (isCommandType(text)) return text;
  throw new Problem('not-found', `There is no such command type.${didYouMean(text, Object.keys(commandPayloads))}`);
}

/** Reads the body of a command, or ends the request with everything that is wrong with it. */
export function readCommand(commandType: CommandType, text: string): RequestedCommand {
  const whole = outline(text);
  const json = JSON.parse(text) as unknown;
  const body = readDto(CommandBody, json);
  const payloadText = payloadOutline(text, whole);
  const errors = [...repeatedIn(commandType, text), ...errorsOf(body), ...payloadErrors(commandType, json, payloadText)];
  if (errors.length > 0 || 'errors' in body) throw invalidBody(errors);
  return { ...envelopeOf(body.value), payloadText };
}

function envelopeOf({ tenant, environment = 'production', actor, approvalId, expectedRevision, payload }: CommandBody): Omit<RequestedCommand, 'payloadText'> {
  return {
    site: { tenant, environment },
    actor: actorOf(actor),
    ...(approvalId === undefined ? {} : { approvalId }),
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
    payload: payload as JsonObject,
  };
}

const actorOf = ({ type, id, onBehalfOf }: ActorDto): Actor => ({ type, id, ...(onBehalfOf === undefined ? {} : { onBehalfOf: onBehalfOf.map((one) => ({ type: one.type, id: one.id })) }) });

const errorsOf = (read: object): readonly FieldError[] => ('errors' in read ? (read.errors as readonly FieldError[]) : []);

/** The data of an event is its publisher's: it is kept as it came, whatever stands in it. */
const repeatedIn = (commandType: CommandType, text: string): readonly FieldError[] =>
  repeatedMembers(text).flatMap((path) => (commandType === 'PublishEvent' && /^payload\.data[.[]/.test(path) ? [] : [isThereTwice(path)]));

/** The outline of the payload; of the whole body when it has none, which is refused before anybody looks at it. */
function payloadOutline(text: string, whole: JsonOutline): JsonOutline {
  const payload = whole.members.findLast(({ name }) => name === 'payload');
  return payload === undefined ? whole : outline(text, payload.value);
}

/** What is wrong inside the payload; that it is missing or no object says the body's own check. */
function payloadErrors(commandType: CommandType, json: unknown, payloadText: JsonOutline): readonly FieldError[] {
  const payload = typeof json === 'object' && json !== null && 'payload' in json ? json.payload : undefined;
  if (payloadText.kind !== 'object' || payload === undefined) return [];
  return errorsOf(readDto<object>(commandPayloads[commandType], payload, 'payload'));
}

/** The text of a member of the payload, byte for byte. */
export function memberText(text: string, { members }: JsonOutline, member: string): string {
  const slice: Slice | undefined = members.find(({ name }) => name === member)?.value;
  if (slice === undefined) throw new TypeError(`the payload has no ${member}`);
  return textOf(text, slice);
}
