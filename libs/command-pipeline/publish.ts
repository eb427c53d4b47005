import { AppendTooLarge, OutcomeUnknown, StoreUnavailable, StreamTombstoned } from '#event-store';
import { eventStream, isRefusal, newId, type NewEvent, type Position, type RecordedEvent, refuse, type Refusal, type Site } from '#kernel';
import { eventPublished } from '#publishing';
import { appendUntilKnown } from './append.ts';
import { keyReused, outcomeUnknown, storeUnavailable } from './claim.ts';
import { commandIdOf, currentRecipe, eventIdOf, metadataOf } from './identity.ts';
import { appendsWithinMs, inTime } from './in-time.ts';
import type { CommandRequest } from './port.ts';
import type { World } from './world.ts';

/** One event to publish, valid and within the limits. */
export interface EventToPublish {
  /** Null: one is made, and the call is not idempotent. */
  readonly eventId: string | null;
  readonly type: string;
  /** The publisher's JSON text, byte for byte. */
  readonly dataText: string;
  readonly occurredAt: string | null;
}

export interface Published {
  readonly status: 'ACCEPTED' | 'DUPLICATE';
  readonly commandId: string;
  readonly eventId: string;
  readonly position: Position;
  /** False where the id was made here: sending it again publishes another event. */
  readonly idempotent: boolean;
}

/** Who publishes, and on what trace: a command request without a payload of its own. */
export type Publisher = Pick<CommandRequest, 'site' | 'actor' | 'correlationId' | 'causationId' | 'traceparent'>;

/**
 * Publishes one event with one append: the event's stream, expected not to exist, is claim, effect and receipt at once.
 * The same id with the same type, actor and text is a duplicate; with anything else it is refused (`idempotency-key-reused`).
 */
export async function publishEvent(world: World, publisher: Publisher, event: EventToPublish): Promise<Published | Refusal> {
  try {
    return await inTime(world.clock, publish(world, publisher, event));
  } catch (error) {
    // What was read before the append: nothing was written. A refusal is one event's own, and a list of them goes on.
    if (error instanceof StoreUnavailable || error instanceof OutcomeUnknown) return storeUnavailable();
    throw error;
  }
}

async function publish(world: World, publisher: Publisher, event: EventToPublish): Promise<Published | Refusal> {
  const nowMs = world.clock.now();
  const eventId = event.eventId ?? newId('evt', nowMs, world.ids);
  const request: CommandRequest = { ...publisher, commandType: 'PublishEvent', caller: null, idempotencyKey: eventId, payload: {} };
  const commandId = commandIdOf(publisher.site, eventId, 'caller');
  const attemptId = world.ids.uuid();
  const fingerprint = await fingerprintOf(world, publisher, event);
  const metadata = {
    ...metadataOf(request, commandId, attemptId, nowMs),
    publishedid: eventId,
    publishedtype: event.type,
    fingerprint,
    fpv: String(currentRecipe),
    ...(event.occurredAt === null ? {} : { occurredat: event.occurredAt }),
  };
  const recorded: NewEvent = { id: eventIdOf(commandId, attemptId, 0, 0), type: eventPublished, data: event.dataText, metadata };
  const answer = { commandId, eventId, idempotent: event.eventId !== null };
  return await write(world, publisher.site, recorded, answer, fingerprint);
}

type Answer = Pick<Published, 'commandId' | 'eventId' | 'idempotent'>;

async function write(world: World, site: Site, recorded: NewEvent, answer: Answer, fingerprint: string): Promise<Published | Refusal> {
  const stream = eventStream(site, answer.eventId);
  try {
    const appended = await appendUntilKnown(world.store, world.clock, stream, 'NO_STREAM', [recorded], world.clock.monotonicMs() + appendsWithinMs);
    if (appended === 'unavailable') return storeUnavailable();
    if (typeof appended === 'object') return { status: 'ACCEPTED', ...answer, position: appended.written.position };
    const first = await firstOf(world, stream, appended);
    return isRefusal(first) ? first : whatStands(first, recorded, answer, fingerprint);
  } catch (error) {
    if (error instanceof AppendTooLarge) return refuse('payload-too-large', `The event is over the limit of one append: ${error.message}.`);
    if (error instanceof StreamTombstoned) return keyReused();
    throw error;
  }
}

async function firstOf(world: World, stream: string, appended: 'conflict' | 'unknown'): Promise<RecordedEvent | Refusal> {
  try {
    const [first] = await world.store.readStream(stream, 0, 1);
    return first ?? outcomeUnknown();
  } catch (error) {
    if (appended === 'unknown' && error instanceof StoreUnavailable) return outcomeUnknown();
    throw error;
  }
}

/** The stream exists: our own append did arrive, or the same event came before, or another one has the id. */
function whatStands(first: RecordedEvent, recorded: NewEvent, answer: Answer, fingerprint: string): Published | Refusal {
  if (first.id === recorded.id) return { status: 'ACCEPTED', ...answer, position: first.position };
  return isSame(first, answer.eventId, fingerprint) ? { status: 'DUPLICATE', ...answer, position: first.position } : keyReused();
}

const isSame = ({ metadata }: RecordedEvent, eventId: string, fingerprint: string): boolean => metadata['publishedid'] === eventId && metadata['fingerprint'] === fingerprint;

/** Taken of the text as sent: two texts that a JSON parser would take for the same are two publications. */
const fingerprintOf = (world: World, { site, actor }: Publisher, { type, dataText, occurredAt }: EventToPublish): Promise<string> =>
  world.vault.fingerprint(site, JSON.stringify(['PublishEvent', actor.type, actor.id, actor.onBehalfOf ?? [], type, occurredAt, dataText]));

