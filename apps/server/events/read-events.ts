import type { EventToPublish } from '#command-pipeline';
import { type FieldError, limits, PublishEventPayload, readDto, type Slice } from '#contracts';
import { invalidBody, outline, repeated, textOf } from '../http/body.ts';
import { Problem } from '../http/problem.ts';

/** What a body offers for publishing: one event, or a list whose items stand for themselves. */
export type OfferedEvents =
  | { readonly kind: 'one'; readonly event: EventToPublish }
  | { readonly kind: 'list'; readonly items: readonly OfferedItem[] };

/** An event, or why it is none; `eventId` as far as it could be read. */
export type OfferedItem = { readonly event: EventToPublish } | { readonly eventId: string | null; readonly problem: Problem };

/** Reads the body of `POST /api/events`. A bad event alone ends the request; a bad item of a list is refused for itself. */
export function readEvents(text: string): OfferedEvents {
  const whole = outline(text);
  if (whole.kind === 'object') return { kind: 'one', event: readEvent(text, whole) };
  if (whole.kind !== 'array') throw invalidBody([{ path: '', message: 'the body must be an event or a list of events' }]);
  const { items } = whole;
  if (items.length === 0 || items.length > limits.eventsPerRequest) {
    throw invalidBody([{ path: '', message: `a list must have 1 to ${limits.eventsPerRequest} events, this one has ${items.length}` }]);
  }
  return { kind: 'list', items: items.map((item) => readItem(text, item)) };
}

function readItem(text: string, slice: Slice): OfferedItem {
  try {
    return { event: readEvent(text, slice) };
  } catch (error) {
    if (error instanceof Problem) return { eventId: eventIdIn(text, slice), problem: error };
    throw error;
  }
}

function readEvent(text: string, slice: Slice): EventToPublish {
  const found = outline(text, slice);
  if (found.kind !== 'object') throw invalidBody([{ path: '', message: 'an event must be a JSON object' }]);
  // The data is not parsed: it is kept as text, and a parser would change `9007199254740993` and `1.0`.
  const members = found.members.map(({ name, value }) => [name, name === 'data' ? true : (JSON.parse(textOf(text, value)) as unknown)]);
  const read = readDto(PublishEventPayload, Object.fromEntries(members));
  const errors: readonly FieldError[] = [...repeated(found), ...('errors' in read ? read.errors : [])];
  if (errors.length > 0 || 'errors' in read) throw invalidBody(errors);
  const data = found.members.find(({ name }) => name === 'data');
  if (data === undefined) throw new TypeError('an event without data was taken for valid');
  const dataText = textOf(text, data.value);
  checkDataSize(dataText, 'data');
  const { eventId = null, type, occurredAt = null } = read.value;
  return { eventId, type, dataText, occurredAt };
}

/** Refuses data over the limit. A text has at most three times as many bytes as UTF-16 units, so most need no counting. */
export function checkDataSize(dataText: string, path: string): void {
  if (dataText.length * 3 <= limits.eventDataBytes) return;
  const bytes = Buffer.byteLength(dataText);
  if (bytes > limits.eventDataBytes) {
    throw new Problem('payload-too-large', `${path} has ${bytes} bytes; the data of an event may have at most ${limits.eventDataBytes}.`, { path, limitBytes: limits.eventDataBytes });
  }
}

/** For the answer of a refused item: the id it claims, when it is one string. */
function eventIdIn(text: string, slice: Slice): string | null {
  const member = outline(text, slice).members.find(({ name }) => name === 'eventId');
  const value: unknown = member === undefined ? null : JSON.parse(textOf(text, member.value));
  return typeof value === 'string' && value.length <= 255 ? value : null;
}
