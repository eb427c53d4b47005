import { bindActor, grants, grantsEverywhere, knowsSite, onlySite, type Right } from '#access';
import { type Actor, formatSite, isRefusal, parseSite, type Site } from '#kernel';
import { invalid, Problem, problemOf } from '../http/problem.ts';
import type { AuthenticatedKey } from './authenticated-key.ts';

/** What a route needs: one of these rights in the site, or to be an administrator. */
export type Need = Right | 'admin';

/**
 * Passes when the key has one of the rights in the site. A site that the key has no scope for does not exist for it (404,
 * with the same answer as any site that nobody uses); in one it knows, a missing right is 403.
 */
export function authorize(key: AuthenticatedKey, site: Site, needs: readonly Need[]): void {
  const passes = needs.some((need) => (need === 'admin' ? key.isAdmin : grants(key.scopes, site, need)));
  if (passes) return;
  if (!knowsSite(key.scopes, site)) throw noSuchThing();
  throw new Problem('forbidden', `This API key lacks the scope ${needs.map((need) => (need === 'admin' ? 'admin' : `site:${formatSite(site)}:${need}`)).join(' or ')}.`, { needs });
}

/** One answer for everything that does not exist, or not for this caller. */
export const noSuchThing = (): Problem => new Problem('not-found', 'There is no such thing, or this API key may not know of it.');

export function requireAdmin(key: AuthenticatedKey): void {
  if (!key.isAdmin) throw new Problem('forbidden', 'This API key lacks the scope admin.', { needs: ['admin'] });
}

/** To be an administrator includes no right in a site, so it is not enough for a copy of what happened in all of them. */
export function requireWholeLog(key: AuthenticatedKey): void {
  const auditsAll = grantsEverywhere(key.scopes, 'audit');
  if (key.isAdmin && auditsAll) return;
  const lacks = [...(key.isAdmin ? [] : ['admin']), ...(auditsAll ? [] : ['site:*:audit'])];
  throw new Problem('forbidden', `This API key lacks the scope ${lacks.join(' and ')}.`, { needs: ['admin', 'audit'] });
}

/** The site a request is about: `siteId` of the query, else the only site of the key. */
export function siteOf(key: AuthenticatedKey, siteId: unknown): Site {
  if (siteId === undefined) {
    return onlySite(key.scopes) ?? fail(new Problem('site-required', 'Say which site: ?siteId=<tenant> or ?siteId=<tenant>.<environment>.'));
  }
  const site = typeof siteId === 'string' ? parseSite(siteId) : undefined;
  return site ?? fail(invalid('siteId', 'must be a site: <tenant> or <tenant>.<environment>'));
}

/** The actor a request speaks for, as the key allows. */
export function actorOf(key: AuthenticatedKey, claimed: Actor | undefined): Actor {
  const actor = bindActor(key, claimed);
  if (isRefusal(actor)) throw problemOf(actor);
  return actor;
}

function fail(problem: Problem): never {
  throw problem;
}
