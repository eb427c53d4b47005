import type { Accepted, Category, DomainEvent, JsonObject, Position, Refusal, Secret } from '#kernel';
import type { Aggregates, Fold, Loaded } from './aggregate.ts';
import type { CommandRequest } from './port.ts';
import type { World } from './world.ts';

/** What the steps of one command share. */
export interface Context {
  readonly request: CommandRequest;
  readonly commandId: string;
  readonly resourceId: string;
  readonly world: World;
  readonly aggregates: Aggregates;
  /** One reading of the clock for the whole try. */
  readonly nowMs: number;
  /** The id that the first event of this try's append will have: a resource created by it is known by that id. */
  readonly firstEventId: string;
  /** The root key goes past the gate of the policy it sets. */
  readonly overridesGate: boolean;
}

/** What the vault keeps of a subscription before an event names it: a signing key, or the value of a header. */
export interface Seal {
  readonly subscriptionId: string;
  readonly incarnation: string;
  readonly versionId: string;
  readonly secret: Secret<Uint8Array>;
}

/** Secrets that a command makes: sealed before the event that names them; one revealed in the answer of the attempt that wrote it. */
export interface MadeSecrets {
  /** What to seal first; none where nothing is kept (an API key's text is only hashed). */
  readonly seals: readonly Seal[];
  /** What the answer shows once; null when the caller chose the secret. */
  readonly reveal: Secret | null;
}

export type Decided<Event> = (Accepted<Event> & { readonly made?: MadeSecrets }) | Refusal;

/** One command type: which stream it changes, what it needs to know, how it decides. */
export interface CommandDefinition<State, Command, Event extends DomainEvent<string, object>> {
  readonly type: string;
  /** The resource's stream is `<category>-<site>.<resourceId>`, a function of these alone. */
  readonly category: Category;
  /** The payload's member that names the resource. */
  readonly idMember: string;
  /** For an id the caller may leave out: derived from the commandId with this prefix. */
  readonly idPrefix?: string;
  readonly fold: (resourceId: string) => Fold<State, Event>;
  /** Answers another resource for a new request (an identical open one), or undefined for the usual one. */
  locate?(context: Omit<Context, 'resourceId' | 'firstEventId'>): Promise<string | undefined>;
  /** The payload in full, where a request may leave out what follows from the state: what gates, bindings and the decision see. Absent: it is as received. */
  complete?(state: State, payload: JsonObject, resourceId: string): JsonObject | Refusal;
  /** Command types whose gates the command passes in this state, the first being its own. Absent: not gateable. */
  gates?(state: State, payload: JsonObject): readonly string[];
  /** The id of the event that created the resource as it is now, or `NONE`. */
  incarnation(state: State): string;
  /** Reads what the decision needs beside the state. A refusal here is as good as one of the decision. */
  prepare(context: Context, loaded: Loaded<State>): Promise<Command | Refusal>;
  decide(state: State, command: Command): Decided<Event>;
  /** What must be true before the answer goes out, also for a replayed one. A refusal becomes the answer. */
  settle?(context: Omit<Context, 'firstEventId'>, loaded: Loaded<State>, done: { readonly result: JsonObject; readonly position: Position }): Promise<Refusal | undefined>;
}

/** A definition whose types only it knows: what the registry holds. */
export type AnyCommandDefinition = CommandDefinition<unknown, unknown, DomainEvent<string, object>>;

export const anyDefinition = <State, Command, Event extends DomainEvent<string, object>>(definition: CommandDefinition<State, Command, Event>): AnyCommandDefinition =>
  definition;

