import { sha256Hex } from './digest.ts';
import { type Site, siteKey } from './site.ts';

/** Everything before the first dash of a stream's name. Sealed and exported unless the audit design says otherwise. */
export type Category =
  | 'webhooksubscription'
  | 'webhookdelivery'
  | 'event'
  | 'approval'
  | 'approvalpolicy'
  | 'command'
  | 'recovery'
  | 'apikey'
  | 'probe'
  | 'signingsecret'
  | 'fingerprintkey'
  | 'transcript'
  | 'sagacheckpoint'
  | 'processclaim'
  | 'masterkey'
  | 'refusal'
  | 'auditlog';

/** The stream of one resource of a site. `id` is used in lower case (command types are the only ids with capitals). */
export const streamOf = (category: Category, site: Site, id: string): string =>
  `${category}-${siteKey(site)}.${id.toLowerCase()}`;

/** The prefix of all streams of a category: what a filter takes. */
export const prefixOf = (category: Category): string => `${category}-`;

/** What a resource's stream name says; undefined when the name is of another form. */
export function parseStream(stream: string): { category: string; site: Site; id: string } | undefined {
  const match = /^([a-z]+)-([a-z0-9_-]+)\.([a-z0-9_-]+)\.(.+)$/.exec(stream);
  if (match === null) return undefined;
  const [, category = '', tenant = '', environment = '', id = ''] = match;
  return { category, site: { tenant, environment }, id };
}

/** The site and id that a resource's stream name says. Throws when the name is of another form. */
export function placeOf(stream: string): { readonly site: Site; readonly id: string } {
  const parsed = parseStream(stream);
  if (parsed === undefined) throw new TypeError(`${stream} is no resource's stream`);
  return parsed;
}

/**
 * The stream of a published event. Its id is 1–255 visible ASCII of the publisher's choice; one that is not a safe
 * stream name (or looks like a hashed one) stands there as its hash.
 */
export function eventStream(site: Site, eventId: string): string {
  const plain = /^[a-z0-9_-]{1,64}$/.test(eventId) && !eventId.startsWith('h_');
  return streamOf('event', site, plain ? eventId : `h_${sha256Hex(eventId).slice(0, 32)}`);
}
