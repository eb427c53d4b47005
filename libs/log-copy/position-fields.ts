import { comparePositions, isPosition, type Position, type RecordedEvent } from '#kernel';

/**
 * Every place where an event of ours holds a position of the log, by event type: the way to the member of its data. In another
 * log these are rewritten. All else is copied byte for byte. It is no position of the log, however it looks: what a publisher
 * put into an event, the headers of a transcript, revisions within a stream (`SagaCheckpointed.since`, the inputs of what is
 * parked). Receipts hold none: the position of an answer is the receipt's own. Metadata holds none.
 */
export const positionFields: Readonly<Record<string, readonly [string, ...string[]]>> = {
  /** Of the use, in the resource's stream. */
  ApprovalUseMirrored: ['position'],
  /** Up to where a saga has followed the log. */
  SagaCheckpointed: ['position'],
  /** Of the published event. */
  WebhookDeliveryScheduled: ['eventPosition'],
  /** Up to where a recovery has looked. */
  WebhookRecoveryProgressed: ['cursor', 'position'],
};

/** The position in an event's data; undefined when its type has none. Throws as `withPosition`. */
export function positionIn(event: RecordedEvent): Position | undefined {
  let found: Position | undefined;
  withPosition(event, (position) => (found = position));
  return found;
}

/**
 * The event's data with another position in it; the data itself, byte for byte, when its type has none. Throws `TypeError` when the
 * position is not where it belongs, or not before the event itself (only what is copied already has another), and when the data is
 * not JSON as this program writes it.
 */
export function withPosition(event: RecordedEvent, mapped: (position: Position) => Position): string {
  const way = Object.hasOwn(positionFields, event.type) ? positionFields[event.type] : undefined;
  if (way === undefined) return event.data;
  const data: unknown = JSON.parse(event.data);
  if (JSON.stringify(data) !== event.data) throw new TypeError(`${nameOf(event)} was not written by this program`);
  return JSON.stringify(replaced(data, way, (value) => mapped(admitted(value, event, way))));
}

/** The members keep their order. */
function replaced(value: unknown, [member, ...rest]: readonly string[], mapped: (value: unknown) => unknown): unknown {
  if (member === undefined || typeof value !== 'object' || value === null) return mapped(member === undefined ? value : undefined);
  return { ...value, [member]: replaced((value as Readonly<Record<string, unknown>>)[member], rest, mapped) };
}

function admitted(value: unknown, event: RecordedEvent, way: readonly string[]): Position {
  if (typeof value !== 'string' || !isPosition(value)) throw new TypeError(`${nameOf(event)} has no position as ${way.join('.')}`);
  if (comparePositions(value, event.position) >= 0) throw new TypeError(`${nameOf(event)} names the position ${value}, which is not before its own`);
  return value;
}

const nameOf = ({ type, position }: RecordedEvent): string => `${type} at position ${position}`;
