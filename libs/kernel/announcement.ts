import type { RecordedEvent } from './events.ts';
import type { JsonObject } from './json.ts';

/** What subscribers are told of something that happened here: ids and reasons, never a secret, a target or a payload. */
export interface Announcement {
  /** The type under which it is published. */
  readonly type: string;
  readonly data: JsonObject;
}

/**
 * Which events of a domain are announced, by event type. `origin` is the first event of the same stream. Null: not this
 * one. Throws on an event that can't be read.
 */
export type Announcements = Readonly<Record<string, (event: RecordedEvent, origin: RecordedEvent) => Announcement | null>>;
