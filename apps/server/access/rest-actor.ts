import type { FastifyRequest } from 'fastify';
import { limits } from '#contracts';
import { type Actor, parsePrincipal, type Principal } from '#kernel';
import { invalid } from '../http/problem.ts';
import type { AuthenticatedKey } from './authenticated-key.ts';
import { actorOf } from './authorize.ts';

const form = 'must be TYPE:id with TYPE one of USER, SYSTEM, CONNECTOR, AGENT, SERVICE';

/** The actor of a request that has no actor in its body: `Kf-Actor` and `Kf-On-Behalf-Of`, else the key's own. */
export function restActor(key: AuthenticatedKey, headers: FastifyRequest['headers']): Actor {
  const onBehalfOf = principals(headers['kf-on-behalf-of']);
  const named = headers['kf-actor'];
  const claimed = named === undefined ? undefined : principal('Kf-Actor', named);
  const actor = actorOf(key, claimed);
  return onBehalfOf.length === 0 ? actor : { ...actor, onBehalfOf };
}

function principal(header: string, text: string | readonly string[]): Principal {
  const found = typeof text === 'string' ? parsePrincipal(text.trim()) : undefined;
  if (found === undefined) throw invalid(header, form);
  return found;
}

function principals(header: string | readonly string[] | undefined): readonly Principal[] {
  const items = header === undefined ? [] : String(header).split(',');
  if (items.length > limits.onBehalfOf) throw invalid('Kf-On-Behalf-Of', `must name at most ${limits.onBehalfOf} principals`);
  return items.map((item) => principal('Kf-On-Behalf-Of', item));
}
