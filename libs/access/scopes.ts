import { isName, parseSite, type Site } from '#kernel';

export const rights = ['read', 'write', 'approve', 'audit'] as const;
/** What a key may do in a site. No right includes another: a key that writes and reads carries both scopes. */
export type Right = (typeof rights)[number];

export type Scope =
  /** Keys, policies and projections of the whole installation. It includes no right in any site. */
  | { readonly kind: 'admin' }
  /** `*` as the tenant: every site; as the environment: every environment of the tenant. */
  | { readonly kind: 'site'; readonly tenant: string; readonly environment: string; readonly right: Right };

/**
 * Reads `admin` or `site:<siteId>:<right>`. The site id is `t` (production only), `t.env`, `t.*` (every environment of t)
 * or `*` (every site). Undefined when malformed.
 */
export function parseScope(text: string): Scope | undefined {
  if (text === 'admin') return { kind: 'admin' };
  const [site, siteId = '', rightText, ...rest] = text.split(':');
  const right = rights.find((known) => known === rightText);
  if (site !== 'site' || right === undefined || rest.length > 0) return undefined;
  const where = parseWhere(siteId);
  return where === undefined ? undefined : { kind: 'site', ...where, right };
}

function parseWhere(siteId: string): Site | undefined {
  if (siteId === '*') return { tenant: '*', environment: '*' };
  if (!siteId.endsWith('.*')) return parseSite(siteId);
  const tenant = siteId.slice(0, -2);
  return isName(tenant) ? { tenant, environment: '*' } : undefined;
}

const covers = (scope: Scope, site: Site): boolean =>
  scope.kind === 'site' && (scope.tenant === '*' || scope.tenant === site.tenant) && (scope.environment === '*' || scope.environment === site.environment);

/** Whether the scopes give a right in a site. */
export const grants = (scopes: readonly Scope[], site: Site, right: Right): boolean =>
  scopes.some((scope) => covers(scope, site) && scope.kind === 'site' && scope.right === right);

/** Whether one of the scopes gives a right in every site there is or will be. */
export const grantsEverywhere = (scopes: readonly Scope[], right: Right): boolean => scopes.some((scope) => scope.kind === 'site' && scope.tenant === '*' && scope.right === right);

/** Whether the scopes give any right in a site: whether the caller may know that the site exists. */
export const knowsSite = (scopes: readonly Scope[], site: Site): boolean => scopes.some((scope) => covers(scope, site));

export const isAdmin = (scopes: readonly Scope[]): boolean => scopes.some((scope) => scope.kind === 'admin');

/** The one site that all site scopes name; undefined when there is none, several, or a wildcard. */
export function onlySite(scopes: readonly Scope[]): Site | undefined {
  const sites = scopes.flatMap((scope) => (scope.kind === 'site' ? [scope] : []));
  const [first] = sites;
  if (first === undefined || sites.some(({ tenant, environment }) => tenant !== first.tenant || environment !== first.environment)) return undefined;
  return first.tenant === '*' || first.environment === '*' ? undefined : { tenant: first.tenant, environment: first.environment };
}
