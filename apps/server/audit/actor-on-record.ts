import type { CommandRequest } from '#command-pipeline';
import type { Actor } from '#kernel';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { Problem } from '../http/problem.ts';
import type { Refusals } from '../parts.ts';

/**
 * The actor of a command, as the key allows. An attempt to speak for an actor that the key may not speak for is recorded,
 * under the key's own, before it ends the request.
 */
export function actorOnRecord(refusals: Pick<Refusals, 'record'>, key: AuthenticatedKey, request: Omit<CommandRequest, 'actor'>, bind: () => Actor): Actor {
  try {
    return bind();
  } catch (error) {
    if (error instanceof Problem && error.slug === 'actor-not-allowed') refusals.record({ ...request, actor: key.boundTo ?? key.defaultActor }, { refused: error.slug, detail: error.detail });
    throw error;
  }
}
