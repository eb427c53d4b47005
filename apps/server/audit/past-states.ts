import type { ApiKeyEvent } from '#access';
import { isGateable } from '#approvals';
import { type AsOf, changesOf, type Cut, eventsWithin, logAsOf } from '#audit';
import { createAggregates } from '#command-pipeline';
import type { ResourceKind } from '#contracts';
import { type Category, type Clock, comparePositions, eventStream, formatInstant, formatSite, isEventId, isName, isRefusal, type Position, type RecordedEvent, refuse, type Refusal, type Site, stored, streamOf } from '#kernel';
import { readPublishedEvent } from '#publishing';
import { type ApiKeyItem, subscriptionView, untriedHealth } from '#read-models';
import { approvalAnswer } from '../approvals/approvals.ts';
import { policyAnswer } from '../approvals/policies.ts';
import { createCurrentState, type StateSource } from '../current-state.ts';
import { withRawMember } from '../http/body.ts';
import { keyAnswer } from '../operations/keys.ts';

/** A resource as it was at a moment. */
export interface PastState {
  readonly kind: ResourceKind;
  /** How many state-changing events it had had. */
  readonly revision: number;
  /** Where the last of them stands; null before the first. */
  readonly position: Position | null;
  readonly recordedAtMs: number | null;
  /** JSON text, as `GET` of the resource would have answered then; `null` when there was none. */
  readonly stateText: string;
}

/** A moment, and the part of the log that had happened by then; no cut: all of it. */
interface Then {
  readonly cut: Cut | undefined;
  readonly nowMs: number;
}

/** A resource and its events, all that there are. */
interface Place {
  readonly kind: ResourceKind;
  readonly stream: string;
  readonly site: Site;
  readonly id: string;
  readonly events: readonly RecordedEvent[];
}

/** Those whose ids are names, in the order in which they are looked for. */
const named: readonly (readonly [ResourceKind, Category])[] = [
  ['SUBSCRIPTION', 'webhooksubscription'],
  ['DELIVERY', 'webhookdelivery'],
  ['APPROVAL', 'approval'],
  ['API_KEY', 'apikey'],
  ['RECOVERY', 'recovery'],
];

/**
 * The state of the resource of this id at a moment, now when none is given; undefined when no resource ever had the id.
 * Refuses `validation-failed` for a revision it has not had and a time to come, `position-unknown` beyond the end of the log.
 */
export async function stateAsOf(log: StateSource['store'], clock: Pick<Clock, 'now'>, { site, id }: Pick<Place, 'site' | 'id'>, asOf: AsOf | undefined): Promise<PastState | Refusal | undefined> {
  const place = await placeOf(log, site, id);
  if (place === undefined) return undefined;
  const then = await thenOf(log, clock, place, asOf);
  if (isRefusal(then)) return then;
  const changes = changesOf(eventsWithin(place.events, then.cut));
  const last = changes.at(-1);
  return {
    kind: place.kind,
    revision: changes.length,
    position: last?.position ?? null,
    recordedAtMs: last === undefined ? null : recordedAtMs(last),
    stateText: await readers[place.kind](log, place, then),
  };
}

/** The first kind of resource that ever had the id. A policy is there from the start: it has a default. */
async function placeOf(log: StateSource['store'], site: Site, id: string): Promise<Place | undefined> {
  const at = async (kind: ResourceKind, stream: string): Promise<Place> => ({ kind, stream, site, id, events: await log.readStream(stream) });
  if (isGateable(id)) return await at('APPROVAL_POLICY', streamOf('approvalpolicy', site, id));
  for (const [kind, category] of isName(id) ? named : []) {
    const place = await at(kind, streamOf(category, site, id));
    // The fence of an approval may stand where no resource ever was.
    if (changesOf(place.events).length > 0) return place;
  }
  const place = isEventId(id) ? await at('EVENT', eventStream(site, id)) : undefined;
  return isOf(id, place) ? place : undefined;
}

/** Ids that are no stream names share theirs with none, unless a hash met its like. */
const isOf = (id: string, place: Place | undefined): boolean => place?.events[0]?.metadata['publishedid'] === id;

async function thenOf(log: StateSource['store'], clock: Pick<Clock, 'now'>, place: Place, asOf: AsOf | undefined): Promise<Then | Refusal> {
  const nowMs = clock.now();
  if (asOf === undefined) return { cut: undefined, nowMs };
  if ('timeMs' in asOf) return asOf.timeMs > nowMs ? wrong(`must not lie after now (${formatInstant(nowMs)}): what will be is not in the log`) : { cut: asOf, nowMs: asOf.timeMs };
  if ('revision' in asOf) return atRevision(place, asOf.revision);
  const head = await log.head();
  if (comparePositions(asOf.position, head) > 0) return refuse('position-unknown', `The log ends at ${head}; position ${asOf.position} is not in it.`, { head });
  return { cut: asOf, nowMs: timeOf(eventsWithin(place.events, asOf).at(-1)) };
}

function atRevision({ id, events }: Place, revision: number): Then | Refusal {
  const changes = changesOf(events);
  if (revision > changes.length) return wrong(`must not be beyond revision ${changes.length}, the newest of ${id}`);
  const last = changes[revision - 1];
  return { cut: { position: last?.position ?? '0' }, nowMs: timeOf(last) };
}

const wrong = (message: string): Refusal => refuse('validation-failed', `asOf ${message}.`, { errors: [{ path: 'asOf', message }] });

const recordedAtMs = ({ metadata }: RecordedEvent): number => Date.parse(metadata['recordedat'] ?? '');

/** Before the first event there is nothing that a time could change. */
const timeOf = (event: RecordedEvent | undefined): number => (event === undefined ? 0 : recordedAtMs(event));

type Reader = (log: StateSource['store'], place: Place, then: Then) => Promise<string>;

const readers: Readonly<Record<ResourceKind, Reader>> = {
  SUBSCRIPTION: async (log, { site, id }, then) => {
    const found = await past(log, then).subscription(site, id);
    if (found === undefined) return 'null';
    const { health: _health, ...state } = subscriptionView({ site, id, ...found, health: untriedHealth, nowMs: then.nowMs });
    return JSON.stringify(state);
  },
  DELIVERY: async (log, { site, id }, then) => JSON.stringify((await past(log, then).delivery(site, id)) ?? null),
  APPROVAL: async (log, { site, id }, then) => {
    const found = await past(log, then).approval(site, id);
    return found === undefined ? 'null' : JSON.stringify(approvalAnswer(found));
  },
  APPROVAL_POLICY: async (log, { site, id }, then) => (isGateable(id) ? JSON.stringify(policyAnswer(site, await past(log, then).policy(site, id))) : 'null'),
  API_KEY: (_log, place, then) => Promise.resolve(keyText(place, then)),
  RECOVERY: async (log, { site, id }, then) => JSON.stringify((await past(log, then).recovery(site, id)) ?? null),
  EVENT: (_log, { events, site }, { cut }) => Promise.resolve(eventText(site, eventsWithin(events, cut)[0])),
};

/** What `GET` answers, of the log as it was and at the time of then. */
const past = (log: StateSource['store'], { cut, nowMs }: Then): ReturnType<typeof createCurrentState> => {
  const store = { ...logAsOf(log, cut), head: () => log.head() };
  return createCurrentState({ store, clock: { now: () => nowMs } }, createAggregates(store));
};

function keyText({ site, id, events }: Place, { cut, nowMs }: Then): string {
  const key = changesOf(eventsWithin(events, cut)).reduce<KeyState | undefined>((state, event) => evolveKey(state, site, id, event), undefined);
  return key === undefined ? 'null' : JSON.stringify(keyAnswer(key, nowMs));
}

type KeyState = Omit<ApiKeyItem, 'keySha256' | 'createdBy' | 'revision'>;

/** The decider's own state holds no more than decisions need, and the projection's lies in a table. */
function evolveKey(state: KeyState | undefined, site: Site, id: string, recorded: RecordedEvent): KeyState | undefined {
  const event = stored<ApiKeyEvent>(recorded);
  if (event.type === 'ApiKeyRevoked') return state === undefined ? undefined : { ...state, revokedAtMs: event.recordedAt };
  const { name, scopes, actor, anyActor, defaultActor, owner, expiresOn } = event.data;
  return { id, site, name, scopes, actor, anyActor, defaultActor, owner, expiresOnMs: expiresOn === null ? null : Date.parse(expiresOn), createdAtMs: event.recordedAt, revokedAtMs: null };
}

function eventText(site: Site, event: RecordedEvent | undefined): string {
  if (event === undefined) return 'null';
  const { eventId, type, occurredAt, recordedAtMs: atMs, position, operational, dataText } = readPublishedEvent(event);
  return withRawMember({ eventId, type, siteId: formatSite(site), occurredAt, recordedAt: formatInstant(atMs), position, operational }, 'data', dataText);
}
