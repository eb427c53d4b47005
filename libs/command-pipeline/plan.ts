import { type DomainEvent, isRefusal, type JsonObject, refuse, type Refusal } from '#kernel';
import type { Aggregates, Loaded } from './aggregate.ts';
import type { Attempt } from './attempt.ts';
import type { Context, Decided, MadeSecrets } from './definition.ts';
import { type Consumption, passGate } from './gate.ts';
import { eventIdOf } from './identity.ts';
import type { Caller } from './port.ts';
import type { World } from './world.ts';

/** What a try has decided and is about to write. */
export interface Plan {
  readonly facts: readonly DomainEvent<string, object>[];
  readonly result: JsonObject;
  readonly made: MadeSecrets | undefined;
  readonly consumptions: readonly Consumption[];
  readonly nowMs: number;
}

/** Everything that refuses stands here, before the first write: a refusal never binds the key. */
export async function planOf(world: World, aggregates: Aggregates, received: Attempt, loaded: Loaded<unknown>, tries: number): Promise<Plan | Refusal> {
  const nowMs = world.clock.now();
  const attempt = completed(received, loaded);
  if (isRefusal(attempt)) return attempt;
  const refusal = precondition(attempt, loaded);
  if (refusal !== undefined) return refusal;
  const gate = await passGates(world, aggregates, attempt, loaded, nowMs);
  if (!isRefusal(gate)) return await decide(world, aggregates, attempt, loaded, { tries, nowMs, gate });
  const anyway = await decide(world, aggregates, attempt, loaded, { tries, nowMs, gate: open });
  return isRefusal(anyway) && pointless.has(anyway.refused) ? anyway : gate;
}

/** The attempt with its payload in full. Its fingerprint stays that of what was received: a retry means the same whatever the state is by then. */
export function completed(attempt: Attempt, { state }: Loaded<unknown>): Attempt | Refusal {
  const { definition, request, resourceId } = attempt;
  if (definition.complete === undefined) return attempt;
  const payload = definition.complete(state, request.payload, resourceId);
  return isRefusal(payload) ? payload : { ...attempt, request: { ...request, payload } };
}

/** Nobody is asked to approve what can't be done to a resource that is not there. */
const pointless: ReadonlySet<string> = new Set(['not-found', 'subscription-deleted']);

/** `expectedRevision` of the request against the resource's own. */
export function precondition({ request, resourceId }: Attempt, loaded: Loaded<unknown>): Refusal | undefined {
  const { expectedRevision } = request;
  if (expectedRevision === undefined) return undefined;
  const expected = [expectedRevision].flat();
  if (expected.includes(loaded.revision)) return undefined;
  return refuse('precondition-failed', `${resourceId} is at revision ${loaded.revision}${expected.length === 0 ? '' : `, not at ${expected.join(' or ')}`}.`, { revision: loaded.revision });
}

export interface Gated {
  readonly consumptions: readonly Consumption[];
  /** The root key goes past the gate of SetApprovalPolicy; the event says so. */
  readonly overridden: boolean;
}

const open: Gated = { consumptions: [], overridden: false };

/** Otherwise a policy that nobody can meet any more would lock its own repair. */
const mayOverride = (caller: Caller, commandType: string): boolean => caller.isRoot && commandType === 'SetApprovalPolicy';

/** Every gate the command passes in this state; sagas are exempt by where they run, never by what they claim. */
export async function passGates(world: World, aggregates: Aggregates, attempt: Attempt, loaded: Loaded<unknown>, nowMs: number): Promise<Gated | Refusal> {
  const { request, definition, resourceId } = attempt;
  const { caller } = request;
  if (caller === null) return open;
  const consumptions: Consumption[] = [];
  const gates = definition.gates?.(loaded.state, request.payload) ?? [];
  for (const commandType of gates) {
    const incarnation = definition.incarnation(loaded.state);
    const found = await passGate(world, aggregates, { request, commandType, resourceId, idMember: definition.idMember, incarnation, loaded, nowMs, oneOfSeveral: gates.length > 1, head: () => world.store.head() });
    if (found === undefined) continue;
    if (isRefusal(found)) return mayOverride(caller, commandType) ? { ...open, overridden: true } : found;
    consumptions.push(found);
  }
  return { consumptions, overridden: false };
}

/** Reads what the decision needs, and decides. */
export async function decide(world: World, aggregates: Aggregates, attempt: Attempt, loaded: Loaded<unknown>, { tries, nowMs, gate }: { readonly tries: number; readonly nowMs: number; readonly gate: Gated }): Promise<Plan | Refusal> {
  const { request, definition, commandId, attemptId, resourceId } = attempt;
  const context: Context = { request, commandId, resourceId, world, aggregates, nowMs, firstEventId: eventIdOf(commandId, attemptId, tries, 0), overridesGate: gate.overridden };
  const command = await definition.prepare(context, loaded);
  if (isRefusalValue(command)) return command;
  const decision: Decided<DomainEvent<string, object>> = definition.decide(loaded.state, command);
  if (isRefusal(decision)) return decision;
  const { events: facts, made } = decision;
  // A no-op consumes no approval.
  return { facts, result: decision.result as JsonObject, made, nowMs, consumptions: facts.length === 0 ? [] : gate.consumptions };
}

const isRefusalValue = (value: unknown): value is Refusal => typeof value === 'object' && value !== null && isRefusal(value);
