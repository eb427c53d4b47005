import { type Metadata, recordedAtMsOf, type RecordedEvent } from '#kernel';

/**
 * The one type in an `event-…` stream. Its data is the publisher's JSON text, byte for byte; everything else stands in
 * the metadata: `publishedid`, `publishedtype`, `occurredat` (the publisher's time, optional), `operational` ('true' when
 * Countersign itself publishes it), and for idempotency `commandid`, `attemptid`, `fingerprint`, `fpv`.
 */
export const eventPublished = 'EventPublished';

export interface PublishedEvent {
  readonly eventId: string;
  readonly type: string;
  readonly tenant: string;
  readonly environment: string;
  /** The publisher's JSON text. */
  readonly dataText: string;
  readonly occurredAt: string | null;
  /** When it was accepted, milliseconds since 1970 UTC. */
  readonly recordedAtMs: number;
  readonly operational: boolean;
  readonly position: string;
  readonly stream: string;
}

/** Reads a published event of the log without parsing its data. Throws when its metadata is not what was written: a poison event. */
export function readPublishedEvent(event: RecordedEvent): PublishedEvent {
  const { metadata } = event;
  const recordedAtMs = recordedAtMsOf(event);
  if (event.type !== eventPublished || Number.isNaN(recordedAtMs)) throw new TypeError(`${event.type} at ${event.position} is not a published event`);
  return {
    eventId: required(metadata, 'publishedid'),
    type: required(metadata, 'publishedtype'),
    tenant: required(metadata, 'tenant'),
    environment: required(metadata, 'environment'),
    dataText: event.data,
    occurredAt: metadata['occurredat'] ?? null,
    recordedAtMs,
    operational: metadata['operational'] === 'true',
    position: event.position,
    stream: event.stream,
  };
}

function required(metadata: Metadata, name: string): string {
  const value = metadata[name];
  if (value === undefined) throw new TypeError(`a published event has no ${name}`);
  return value;
}
