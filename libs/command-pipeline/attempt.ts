import { derivedId, type Refusal, streamOf } from '#kernel';
import type { Aggregates } from './aggregate.ts';
import { type Claim, keyReused, readClaim } from './claim.ts';
import type { AnyCommandDefinition } from './definition.ts';
import { currentRecipe, fingerprintOf } from './identity.ts';
import { appendsWithinMs } from './in-time.ts';
import type { CommandRequest } from './port.ts';
import type { World } from './world.ts';

/** One execution attempt of one command: what stays the same over its tries. */
export interface Attempt {
  readonly request: CommandRequest;
  readonly definition: AnyCommandDefinition;
  readonly commandId: string;
  readonly attemptId: string;
  readonly resourceId: string;
  readonly stream: string;
  readonly claimStream: string;
  readonly claimed: Claim | undefined;
  readonly fingerprint: string;
  readonly fpv: number;
  readonly deadlineMs: number;
}

/** Recall and identify: which command this is, which resource it changes, and whether its key means this request. */
export async function begin(world: World, aggregates: Aggregates, definition: AnyCommandDefinition, request: CommandRequest, commandId: string): Promise<Attempt | Refusal> {
  const deadlineMs = world.clock.monotonicMs() + appendsWithinMs;
  const claimStream = streamOf('command', request.site, commandId);
  const claimed = await readClaim(world.store, claimStream);
  const fpv = claimed?.fpv ?? currentRecipe;
  const fingerprint = await fingerprintOf(world.vault, request, fpv);
  if (claimed !== undefined && claimed.fingerprint !== fingerprint) return keyReused();
  const resourceId = claimed?.resourceId ?? (await newResourceId(world, aggregates, definition, request, commandId));
  return {
    request,
    definition,
    commandId,
    attemptId: world.ids.uuid(),
    resourceId,
    stream: streamOf(definition.category, request.site, resourceId),
    claimStream,
    claimed,
    fingerprint,
    fpv,
    deadlineMs,
  };
}

async function newResourceId(world: World, aggregates: Aggregates, definition: AnyCommandDefinition, request: CommandRequest, commandId: string): Promise<string> {
  const located = await definition.locate?.({ request, commandId, world, aggregates, nowMs: world.clock.now(), overridesGate: false });
  if (located !== undefined) return located;
  const given = request.payload[definition.idMember];
  if (typeof given === 'string') return given;
  if (definition.idPrefix === undefined) throw new TypeError(`${definition.type} without ${definition.idMember}`);
  return derivedId(definition.idPrefix, commandId);
}

