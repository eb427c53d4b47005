import type { StreamFilter } from './port.ts';

const prefixForm = /^[a-z][a-z0-9]*-[a-z0-9._-]*$/;

/** The prefixes of a filter, none of them covering another; undefined where there is no filter. Throws `TypeError` on another form. */
export function prefixesOf(filter: StreamFilter | undefined): readonly string[] | undefined {
  if (filter === undefined) return undefined;
  const unfit = filter.prefixes.find((prefix) => !prefixForm.test(prefix));
  if (unfit !== undefined) throw new TypeError(`"${unfit}" is not a stream prefix: lower case, a category and its dash first`);
  const prefixes = [...new Set(filter.prefixes)];
  return prefixes.filter((prefix) => !prefixes.some((other) => other !== prefix && prefix.startsWith(other)));
}

export const passes = (prefixes: readonly string[] | undefined, stream: string): boolean =>
  prefixes === undefined || prefixes.some((prefix) => stream.startsWith(prefix));

/** The category of a stream, or of a prefix: what stands before the first dash. */
export const categoryOf = (stream: string): string => stream.slice(0, stream.indexOf('-'));
