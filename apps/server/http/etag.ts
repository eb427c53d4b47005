import { invalid } from './problem.ts';

/** The entity tag of a resource at a revision. Strong: the same revision is the same content. RFC 9110, section 8.8.3. */
export const etag = (revision: number): string => `"${revision}"`;

const opaque = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"';
const tagList = new RegExp(`^[ \\t,]*${opaque}(?:[ \\t]*,[ \\t,]*${opaque})*[ \\t,]*$`);

/**
 * The revisions that `If-Match` lets a change happen at; undefined when it lets it happen at any (no header, or `*`: a change
 * of what does not exist is 404 anyway). Tags are compared strongly, so a weak one, or one that is no revision, matches none.
 * RFC 9110, section 13.1.1.
 */
export function ifMatch(header: string | readonly string[] | undefined): readonly number[] | undefined {
  const text = header === undefined ? undefined : String(header).trim();
  if (text === undefined || text === '*') return undefined;
  if (!tagList.test(text)) throw invalid('If-Match', 'must be * or entity tags as an answer gave them in ETag: "3", or "3", "4"');
  return [...text.matchAll(/(W\/)?"([^"]*)"/g)].flatMap(([, weak, tag = '']) => (weak === undefined && /^(?:0|[1-9]\d{0,14})$/.test(tag) ? [Number(tag)] : []));
}
