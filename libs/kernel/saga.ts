import { uuidV5 } from './digest.ts';
import type { Metadata, RecordedEvent } from './events.ts';
import type { JsonObject } from './json.ts';
import type { Site } from './site.ts';

/** What a saga reacts to: something that happened, or a time that has come. */
export type SagaInput =
  | {
      readonly kind: 'event';
      readonly event: RecordedEvent;
      /** The first event of its stream, where the saga asks for it; null when it does not, or the stream is gone. */
      readonly origin: RecordedEvent | null;
    }
  | { readonly kind: 'deadline'; readonly nowMs: number };

/** What an instance becomes, and what must happen for it. `state` null: this instance is over, nothing is kept of it. */
export interface Reaction<State, Output> {
  readonly state: State | null;
  readonly outputs: readonly Output[];
}

/** The instances that are open, each with its state. */
export interface OpenInstances<State> extends Iterable<readonly [instance: string, state: State]> {
  has(instance: string): boolean;
  /** How many there are, those that wait for a restart included. */
  readonly size: number;
}

/**
 * Reacts to the log, one instance (an approval, a subscription) at a time. All of it is pure: the same state and input
 * give the same reaction, also after a crash, and each output has an id derived from its cause, so that a repeat is harmless.
 * `State` must be plain JSON and small: it is kept in checkpoints.
 */
export interface Saga<State extends object, Output> {
  /** Names its checkpoint stream and its outputs: lower case, never changed. */
  readonly name: string;
  /** Prefixes of the streams it follows. */
  readonly prefixes: readonly string[];
  /** Whether it looks at the event at all, given the instances that are open. Asked for every event followed, so it parses nothing. */
  wants(event: RecordedEvent, open: OpenInstances<State>): boolean;
  /** Whether it needs to know the first event of a wanted event's stream. */
  wantsOrigin?(event: RecordedEvent): boolean;
  /** The instances a wanted event concerns, given those that are open. Throws when it can't be told: a poison event. */
  instancesOf(event: RecordedEvent, origin: RecordedEvent | null, open: OpenInstances<State>): readonly string[];
  /** What the input does to one instance (`state` null: it has none yet). Throws on poison. */
  react(instance: string, state: State | null, input: SagaInput): Reaction<State, Output>;
  /** When the instance wants a deadline, milliseconds since 1970 UTC. A reaction to it must move it on. */
  deadlineOf(state: State): number | undefined;
}

/** What led to an output; it goes into the metadata of what is written. (A type, not an interface: states are JSON.) */
export type Cause = { readonly correlationId: string; readonly causationId: string };

/** A command of a saga's own. */
export interface CommandOutput {
  readonly do: 'command';
  /** Unique among the saga's outputs and derived from the cause: the idempotency key. */
  readonly key: string;
  readonly site: Site;
  readonly commandType: string;
  readonly payload: JsonObject;
  readonly expectedRevision?: number;
  /** Refusals that mean that nothing is left to do. */
  readonly settledBy: readonly string[];
  readonly because: Cause;
}

/** A new stream with one event; when the stream exists already, or was removed, nothing is left to do. */
export interface CreateOutput {
  readonly do: 'create';
  /** Unique among the saga's outputs and derived from the cause: what the event's id is made of. */
  readonly key: string;
  readonly site: Site;
  readonly stream: string;
  readonly type: string;
  readonly data: object;
  /** Beside the usual envelope. */
  readonly metadata?: Metadata;
  readonly because: Cause;
}

/** Removes a stream for good. */
export interface TombstoneOutput {
  readonly do: 'tombstone';
  readonly stream: string;
}

const namespace = '5c2b7f0e-8d1a-5e64-b3c9-7a0f4e61d2b8';

/** The id of what a saga's output writes: the same whenever the same cause is met again. RFC 9562 section 5.5. */
export const outputId = (saga: string, key: string): string => uuidV5(namespace, `${saga}|${key}`);

/** An event as the cause of what follows from it. */
export const causedBy = (event: RecordedEvent): Cause => ({ correlationId: event.metadata['correlationid'] ?? event.id, causationId: event.id });
