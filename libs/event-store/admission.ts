import { isPosition, type Metadata, type NewEvent, type Position } from '#kernel';
import { AppendTooLarge, type ExpectedRevision, maxAppendBytes } from './port.ts';

const streamName = /^[a-z][a-z0-9]*-[a-z0-9._-]+$/;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * What every engine refuses before it writes, so that nothing passes a test on one engine and fails on another.
 * Answers the JSON text of each event's metadata. Throws `TypeError` (a programmer's error) or `AppendTooLarge`.
 */
export function admitAppend(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): readonly string[] {
  admitStream(stream);
  if (expected !== 'NO_STREAM' && !isRevision(expected)) throw new TypeError(`${expected} is not a revision`);
  if (events.length === 0) throw new TypeError(`${stream}: an append of no events`);
  events.forEach(admitEvent);
  const metadata = metadataTexts(events);
  const bytes = bytesOf(events, metadata);
  if (bytes > maxAppendBytes) throw new AppendTooLarge(bytes);
  return metadata;
}

/** What an append of these events takes of `maxAppendBytes`. */
export const appendBytes = (events: readonly NewEvent[]): number => bytesOf(events, metadataTexts(events));

/** The events of one append mostly share their metadata: it is made text once. */
function metadataTexts(events: readonly NewEvent[]): readonly string[] {
  let last: { readonly metadata: Metadata; readonly text: string } | undefined;
  return events.map(({ metadata }) => {
    if (last?.metadata !== metadata) last = { metadata, text: JSON.stringify(metadata) };
    return last.text;
  });
}

const bytesOf = (events: readonly NewEvent[], metadata: readonly string[]): number => events.reduce((bytes, event, index) => bytes + eventBytes(event, metadata[index] ?? ''), 0);

/** Lower case only: EventStoreDB takes names that differ by case alone for one stream. */
export function admitStream(stream: string): void {
  if (!streamName.test(stream)) throw new TypeError(`"${stream}" is not a stream name: lower case, a category and a dash first`);
}

export function admitPosition(position: Position): number {
  if (!isPosition(position)) throw new TypeError(`"${position}" is not a position`);
  return Number(position);
}

export function admitLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new TypeError(`${limit} is not a limit`);
}

export function admitRevision(revision: number): void {
  if (!isRevision(revision)) throw new TypeError(`${revision} is not a revision`);
}

const isRevision = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function admitEvent(event: NewEvent): void {
  if (!uuid.test(event.id)) throw new TypeError(`"${event.id}" is not an event id: a UUID in lower case`);
  if (event.type === '') throw new TypeError(`event ${event.id} has no type`);
  // A lone surrogate has no UTF-8 form: it would come back as another character.
  if (!event.data.isWellFormed()) throw new TypeError(`event ${event.id} has data that is not Unicode text`);
  if (!isFlat(event.metadata)) throw new TypeError(`event ${event.id} has metadata that is not flat strings`);
}

function isFlat(metadata: Metadata): boolean {
  for (const name in metadata) if (typeof metadata[name] !== 'string') return false;
  return true;
}

const eventBytes = (event: NewEvent, metadata: string): number =>
  Buffer.byteLength(event.data) + Buffer.byteLength(metadata) + 2 * Buffer.byteLength(event.type);
