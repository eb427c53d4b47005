import { gateableCommands } from '#approvals';
import { type Category, type Json, type JsonObject, parsePrincipal, parseStream, type Position, type Principal, type RecordedEvent, type Site, siteKey } from '#kernel';

/** An event of a site's record, as auditors see it. */
export interface AuditEvent {
  readonly position: Position;
  readonly stream: string;
  /** Within its stream, from 0. */
  readonly revision: number;
  readonly eventId: string;
  readonly type: string;
  /** RFC 3339: our clock when it was decided. */
  readonly recordedAt: string;
  readonly actor: Principal | null;
  readonly onBehalfOf: readonly Principal[];
  readonly commandId: string | null;
  readonly commandType: string | null;
  /** Whose stream it stands in, by the id that commands and answers use; of a refusal, what was to be changed. */
  readonly resourceId: string;
  /** The approval it is about, was done with, or used up. */
  readonly approvalId: string | null;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  /** JSON text: what stands in the log byte for byte, unless a member of it is withheld. */
  readonly dataText: string;
}

/** Whether what stands in the streams of a category is its site's record; the others are the installation's, or hold secrets. */
const isRecord: Readonly<Record<Category, boolean>> = {
  webhooksubscription: true,
  webhookdelivery: true,
  event: true,
  approval: true,
  approvalpolicy: true,
  command: true,
  recovery: true,
  apikey: true,
  probe: true,
  refusal: true,
  signingsecret: false,
  fingerprintkey: false,
  transcript: false,
  sagacheckpoint: false,
  processclaim: false,
  masterkey: false,
  auditlog: false,
};

/** The categories that a site's record is made of. */
export const recordCategories: readonly Category[] = (Object.keys(isRecord) as Category[]).filter((category) => isRecord[category]);

/** The prefix of a site's streams of one category. Neither a tenant nor an environment has a dot, so it covers no other site. */
export const sitePrefix = (category: Category, site: Site): string => `${category}-${siteKey(site)}.`;

/** The prefixes of all streams of a site's record. */
export const recordPrefixes = (site: Site): readonly string[] => recordCategories.map((category) => sitePrefix(category, site));

/** The category of a stream of the site's record; undefined for every other stream. */
export function recordCategory(stream: string, site: Site): Category | undefined {
  return recordCategories.find((category) => stream.startsWith(sitePrefix(category, site)));
}

/** What stands in the place of a withheld value. */
export const withheldMark = '[withheld]';

/** Members of events that nobody is shown: a plain hash could be compared with what somebody has found elsewhere. */
const withheld: Readonly<Record<string, readonly string[]>> = { ApiKeyCreated: ['keySha256'] };

/** Ledger events and refusals say in their data which approval they are about. */
const namesApproval: ReadonlySet<string> = new Set(['ApprovalConsumed', 'ApprovalFenced', 'CommandRefused']);

/** Reads a recorded event of a site's record. Throws for one of any other stream, which has no site or is not to be seen, and for data that is not JSON. */
export function auditEvent(event: RecordedEvent): AuditEvent {
  const { metadata } = event;
  const { category, id } = placeInRecord(event);
  const data = namesApproval.has(event.type) ? (JSON.parse(event.data) as JsonObject) : {};
  return {
    position: event.position,
    stream: event.stream,
    revision: event.revision,
    eventId: event.id,
    type: event.type,
    recordedAt: metadata['recordedat'] ?? '',
    actor: parsePrincipal(`${metadata['actortype']}:${metadata['actorid']}`) ?? null,
    onBehalfOf: principals(metadata['onbehalfof']),
    commandId: orNull(metadata['commandid']),
    commandType: orNull(metadata['commandtype']),
    resourceId: resourceIdOf(category, id, event, data),
    approvalId: orNull(textIn(data['approvalId']) ?? metadata['approvalid'] ?? (category === 'approval' ? id : undefined)),
    correlationId: orNull(metadata['correlationid']),
    causationId: orNull(metadata['causationid']),
    dataText: shownData(event),
  };
}

function placeInRecord({ stream, position }: RecordedEvent): { readonly category: Category; readonly id: string } {
  const place = parseStream(stream);
  const category = place === undefined ? undefined : recordCategory(stream, place.site);
  if (place === undefined || category === undefined) throw new TypeError(`${stream} at ${position} is not of a site's record`);
  return { category, id: place.id };
}

function resourceIdOf(category: Category, id: string, { metadata }: RecordedEvent, data: JsonObject): string {
  if (category === 'event') return metadata['publishedid'] ?? id;
  if (category === 'approvalpolicy') return gateableCommands.find((commandType) => commandType.toLowerCase() === id) ?? id;
  return category === 'refusal' ? (textIn(data['resourceId']) ?? id) : id;
}

const orNull = (text: string | undefined): string | null => text ?? null;

const textIn = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

const principals = (text: string | undefined): readonly Principal[] => (text === undefined ? [] : text.split(',').flatMap((one) => parsePrincipal(one) ?? []));

function shownData({ type, data }: RecordedEvent): string {
  const hidden = withheld[type];
  if (hidden === undefined) return data;
  return JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(data) as JsonObject).map(([name, value]) => [name, hidden.includes(name) ? withheldMark : value])));
}
