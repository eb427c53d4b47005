export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: Json;
}

/**
 * The JSON Canonicalization Scheme: one text for every JSON value that means the same (members sorted by UTF-16 code
 * units, no white space, numbers as ECMAScript prints them). Members that are `undefined` are left out.
 * Throws on a number that is not finite. RFC 8785, sections 3.2.2 and 3.2.3.
 */
export function canonicalJson(value: Json | undefined): string {
  if (value === undefined) throw new TypeError('undefined has no canonical JSON form');
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isJsonArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  const members = Object.keys(value)
    .sort()
    .flatMap((name) => (value[name] === undefined ? [] : [`${JSON.stringify(name)}:${canonicalJson(value[name])}`]));
  return `{${members.join(',')}}`;
}

const isJsonArray = (value: readonly Json[] | JsonObject): value is readonly Json[] => Array.isArray(value);
