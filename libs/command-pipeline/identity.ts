import { type Actor, canonicalJson, formatInstant, formatPrincipal, type Json, type JsonObject, type Metadata, type NewEvent, sha256Hex, type Site, uuidV5 } from '#kernel';
import type { SecretVault } from '#secret-vault';
import type { CommandRequest } from './port.ts';

/** Commands of callers and of sagas never share an id, whatever a header says. */
const callers = '6f1f1a52-6a6f-5d1c-9d0e-0c2f6a1f8b11';
const sagas = 'a3c7f0de-17c2-5f0a-8f3b-5b9a4d2e7c42';

/** The id of a command: the same key in the same site is the same command, for ever. RFC 9562 section 5.5. */
export const commandIdOf = (site: Site, idempotencyKey: string, origin: 'caller' | 'saga'): string =>
  uuidV5(origin === 'caller' ? callers : sagas, `${site.tenant}|${site.environment}|${idempotencyKey}`);

/**
 * The id of the i-th event of one try of one attempt. It is stable over repeats of the same append and new on every
 * re-decide: a store that takes a known id for success would otherwise let a second attempt answer with what was never stored.
 */
export const eventIdOf = (commandId: string, attemptId: string, tries: number, index: number): string => uuidV5(commandId, `${attemptId}|${tries}|${index}`);

/** The version of the fingerprint recipe that new claims carry. */
export const currentRecipe = 1;

type Recipe = (request: CommandRequest) => Json;

/** Every recipe that a stored claim may name. Never edited: a retry is compared by the recipe of its claim. */
const recipes: Readonly<Record<number, Recipe>> = {
  1: ({ commandType, site, actor, payload }) => ({ commandType, tenant: site.tenant, environment: site.environment, actor: actorJson(actor), payload }),
};

const actorJson = ({ type, id, onBehalfOf }: Actor): JsonObject => ({ type, id, ...(onBehalfOf === undefined || onBehalfOf.length === 0 ? {} : { onBehalfOf: onBehalfOf.map(formatPrincipal) }) });

/** The keyed digest of what was asked: equal for a retry, different for another request under the same key. RFC 8785. */
export async function fingerprintOf(vault: SecretVault, request: CommandRequest, fpv: number): Promise<string> {
  const recipe = recipes[fpv];
  if (recipe === undefined) throw new TypeError(`fingerprint recipe ${fpv} is not known to this version`);
  return await vault.fingerprint(request.site, canonicalJson(recipe(request)));
}

/** The envelope of every event a command writes. */
export const metadataOf = (request: CommandRequest, commandId: string, attemptId: string, nowMs: number): Metadata => ({
  ...callerMetadata(request, nowMs),
  commandid: commandId,
  commandtype: request.commandType,
  attemptid: attemptId,
  idempotencykeyhash: sha256Hex(request.idempotencyKey),
});

/** The part of an envelope that says when, where, by whom and on what trace. */
export function callerMetadata({ actor, site, ...trace }: Pick<CommandRequest, 'site' | 'actor' | 'correlationId' | 'causationId' | 'traceparent'>, nowMs: number): Metadata {
  return {
    recordedat: formatInstant(nowMs),
    schemaversion: '1',
    tenant: site.tenant,
    environment: site.environment,
    actortype: actor.type,
    actorid: actor.id,
    correlationid: trace.correlationId,
    ...(actor.onBehalfOf === undefined || actor.onBehalfOf.length === 0 ? {} : { onbehalfof: actor.onBehalfOf.map(formatPrincipal).join(',') }),
    ...(trace.causationId === undefined ? {} : { causationid: trace.causationId }),
    ...(trace.traceparent === undefined ? {} : { traceparent: trace.traceparent }),
  };
}

/** Facts as they are written, each with its id and the command's envelope. */
export const toEvents = (facts: readonly { readonly type: string; readonly data: object }[], metadata: Metadata, idOf: (index: number) => string): readonly NewEvent[] =>
  facts.map(({ type, data }, index) => ({ id: idOf(index), type, data: JSON.stringify(data), metadata }));
