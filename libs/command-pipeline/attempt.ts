import { derivedId, type Refusal, type Site, streamOf } from '#kernel';
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

/** What is known of a command before it is begun. */
export interface Recalled {
  /** What its key is bound to; undefined: it is not, as far as anybody has looked. */
  readonly claimed: Claim | undefined;
  /** Of the monotonic clock: until when appends are repeated. */
  readonly deadlineMs: number;
}

/** A command whose claim nobody has read yet. */
export const unread = (world: World): Recalled => ({ claimed: undefined, deadlineMs: world.clock.monotonicMs() + appendsWithinMs });

export const recall = async (world: World, { site }: CommandRequest, commandId: string, { deadlineMs }: Recalled): Promise<Recalled> => ({ claimed: await readClaim(world.store, claimStreamOf(site, commandId)), deadlineMs });

const claimStreamOf = (site: Site, commandId: string): string => streamOf('command', site, commandId);

/** Identify: which command this is, which resource it changes, and whether its key means this request. */
export async function begin(world: World, aggregates: Aggregates, definition: AnyCommandDefinition, request: CommandRequest, commandId: string, { claimed, deadlineMs }: Recalled): Promise<Attempt | Refusal> {
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
    claimStream: claimStreamOf(request.site, commandId),
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

