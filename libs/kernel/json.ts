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
  return canonicalObject(value);
}

function canonicalObject(object: JsonObject): string {
  let members = '';
  for (const name of Object.keys(object).sort()) {
    const member = object[name];
    if (member !== undefined) members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`;
  }
  return `{${members}}`;
}

const isJsonArray = (value: readonly Json[] | JsonObject): value is readonly Json[] => Array.isArray(value);
