import type { Actor, JsonObject, Position, Principal, Refusal, Secret, Site } from '#kernel';

/** The authenticated caller: what its API key says, whatever the request claims. */
export interface Caller {
  readonly keyId: string;
  /** The key of the installation itself. */
  readonly isRoot: boolean;
  /** The one actor the key is bound to; null for a key that speaks for any. */
  readonly boundTo: Principal | null;
  /** The person who answers for the key (AGENT, CONNECTOR, SERVICE and any-actor keys have one). */
  readonly owner: Principal | null;
  /** Who made the key: nobody approves their own request with a key they made for somebody else. Null: the root key did. */
  readonly createdBy: Principal | null;
  /** Whether the key may administer (keys, policies, projections). */
  readonly isAdmin: boolean;
}

/** A request to change something, authenticated and bound to an actor the caller may speak for. */
export interface CommandRequest {
  readonly commandType: string;
  readonly site: Site;
  readonly actor: Actor;
  /** Null for commands that sagas issue in process: they pass no gate, and no header can claim to be one. */
  readonly caller: Caller | null;
  readonly idempotencyKey: string;
  /** As received, before defaults: what the fingerprint is taken of. */
  readonly payload: JsonObject;
  readonly approvalId?: string;
  /** The revision the resource must be at, or several that will do; of an empty list none will. */
  readonly expectedRevision?: number | readonly number[];
  readonly correlationId: string;
  /** What caused it, when something in the log did: an event id. */
  readonly causationId?: string;
  readonly traceparent?: string;
}

/** What a command came to. `secret` is there once, in the answer of the attempt that created it. */
export interface CommandAnswer {
  readonly commandId: string;
  readonly commandType: string;
  readonly resourceId: string;
  readonly outcome: 'APPLIED' | 'NO_CHANGE';
  readonly revision: number;
  readonly position: Position;
  readonly replayed: boolean;
  readonly result: JsonObject;
  readonly secret: Secret | null;
}

/** What would happen. `events` are those it would write; `unmet` every condition that stands against it. */
export interface DryRunAnswer {
  readonly commandId: string;
  readonly commandType: string;
  readonly resourceId: string;
  readonly outcome: 'APPLIED' | 'NO_CHANGE' | 'REFUSED';
  readonly events: readonly { readonly type: string; readonly data: JsonObject }[];
  readonly unmet: readonly Refusal[];
}

export interface CommandPipeline {
  /** Takes the command through recall, load, replay, gate, decide, claim and append. A refusal is a value and never burns the key. */
  execute(request: CommandRequest): Promise<CommandAnswer | Refusal>;
  /** What `execute` would do now. Writes nothing. */
  dryRun(request: CommandRequest): Promise<DryRunAnswer>;
}
