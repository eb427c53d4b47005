/** Who owns the data, and the deployment stage it belongs to. */
export interface Site {
  readonly tenant: string;
  readonly environment: string;
}

const name = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** The form of tenants, environments and resource ids: lower case only, so no two stream names differ by case alone. */
export const isName = (text: string): boolean => name.test(text);

/** `tenant.environment`: the part of a stream name that says whose stream it is. */
export const siteKey = (site: Site): string => `${site.tenant}.${site.environment}`;

/** A site's id as people write it: the environment is left out when it is `production`. */
export const formatSite = (site: Site): string => (site.environment === 'production' ? site.tenant : siteKey(site));

/** The site of an id (`t`, `t.production` and `t.staging`), or undefined when it is malformed. */
export function parseSite(text: string): Site | undefined {
  const [tenant = '', environment = 'production', ...rest] = text.split('.');
  return rest.length === 0 && isName(tenant) && isName(environment) ? { tenant, environment } : undefined;
}
