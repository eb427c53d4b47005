import { Failure, tooMuch, type Work } from './work.ts';

// The values are those of JSON. What an operator does with them: https://github.com/google/cel-spec/blob/master/doc/langdef.md

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The name of a value's type, as the language has it. */
function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  if (isFields(value)) return 'map';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Comparing or searching a text costs by its length. */
const lengthSteps = (text: string): number => text.length >>> 3;

export function field(of: unknown, name: string): unknown {
  if (!isFields(of)) return new Failure(`${typeOf(of)} has no fields, so no "${name}"`);
  return Object.hasOwn(of, name) ? of[name] : new Failure(`there is no field "${name}"`);
}

export const hasField = (of: unknown, name: string): boolean => isFields(of) && Object.hasOwn(of, name);

/** `list[0]`, `map["key"]`. */
export function item(of: unknown, key: unknown): unknown {
  if (!Array.isArray(of)) return typeof key === 'string' ? field(of, key) : new Failure(`${typeOf(of)} has no element ${typeOf(key)}`);
  if (!Number.isInteger(key)) return new Failure(`the index of a list is a whole number, not ${typeof key === 'number' ? key : typeOf(key)}`);
  const found: unknown = of[key as number];
  return found === undefined ? new Failure(`there is no element ${String(key)} in a list of ${of.length}`) : found;
}

/** Equality of JSON values; those of different types are not equal. */
export function equal(a: unknown, b: unknown, work: Work): boolean {
  if (typeof a === 'string') return typeof b === 'string' && equalTexts(a, b, work);
  if (Array.isArray(a)) return Array.isArray(b) && equalLists(a, b, work);
  return isFields(a) && isFields(b) ? equalFields(a, b, work) : a === b;
}

const equalTexts = (a: string, b: string, work: Work): boolean => a.length === b.length && work.spend(lengthSteps(a)) && a === b;

const equalLists = (a: readonly unknown[], b: readonly unknown[], work: Work): boolean => a.length === b.length && a.every((one, index) => work.spend(1) && equal(one, b[index], work));

function equalFields(a: Fields, b: Fields, work: Work): boolean {
  const names = keysOf(a, work);
  return names !== undefined && names.length === keysOf(b, work)?.length && names.every((name) => work.spend(1) && Object.hasOwn(b, name) && equal(a[name], b[name], work));
}

/** Negative when `a` is the smaller, positive when it is the greater one. Texts by their UTF-16 code units. */
export function order(a: unknown, b: unknown, work: Work): number | Failure {
  if (typeof a === 'string' && typeof b === 'string') return orderTexts(a, b, work);
  if (typeof a === typeof b && (typeof a === 'number' || typeof a === 'boolean')) return Number(a) - Number(b);
  return new Failure(`${typeOf(a)} and ${typeOf(b)} have no order`);
}

function orderTexts(a: string, b: string, work: Work): number | Failure {
  if (!work.spend(Math.min(lengthSteps(a), lengthSteps(b)))) return tooMuch;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Whether a list has an element, or a map a key. */
export function isIn(one: unknown, all: unknown, work: Work): unknown {
  if (Array.isArray(all)) return all.some((each) => !work.spend(1) || equal(one, each, work));
  return isFields(all) ? typeof one === 'string' && Object.hasOwn(all, one) : new Failure(`nothing is in a ${typeOf(all)}`);
}

/** Elements of a list, keys of a map, characters (code points) of a text. */
export function size(of: unknown, work: Work): unknown {
  if (Array.isArray(of)) return of.length;
  if (isFields(of)) return keysOf(of, work)?.length ?? tooMuch;
  return typeof of === 'string' ? characters(of, work) : new Failure(`${typeOf(of)} has no size`);
}

function characters(text: string, work: Work): number | Failure {
  if (!work.spend(lengthSteps(text))) return tooMuch;
  let count = 0;
  for (let at = 0; at < text.length; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) count += 1;
  return count;
}

/** What `exists` and `all` go through. */
export function elements(of: unknown, work: Work): readonly unknown[] | Failure {
  if (Array.isArray(of)) return of as readonly unknown[];
  return isFields(of) ? (keysOf(of, work) ?? tooMuch) : new Failure(`${typeOf(of)} has no elements`);
}

/** To list a key takes as long as ten other steps. */
function keysOf(of: Fields, work: Work): readonly string[] | undefined {
  const keys = Object.keys(of);
  return work.spend(10 * keys.length) ? keys : undefined;
}

export type TextTest = 'startsWith' | 'endsWith' | 'contains';

/** The worst search looks at each character of the one for each of the other. */
const searchSteps = (text: string, part: string): number => lengthSteps(text) + Math.floor((text.length * part.length) / 1_024);

export function testText(test: TextTest, text: unknown, part: unknown, work: Work): unknown {
  if (typeof text !== 'string' || typeof part !== 'string') return new Failure(`${test} takes two texts, not ${typeOf(text)} and ${typeOf(part)}`);
  if (!work.spend(test === 'contains' ? searchSteps(text, part) : lengthSteps(part))) return tooMuch;
  if (test === 'contains') return text.includes(part);
  return test === 'startsWith' ? text.startsWith(part) : text.endsWith(part);
}
