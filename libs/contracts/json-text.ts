import { limits } from './limits.ts';

/** Where a text stops being JSON. `offset` counts UTF-16 code units from 0; line and column count from 1. */
export class MalformedJson extends Error {
  override readonly name = 'MalformedJson';
  readonly offset: number;
  constructor(text: string, offset: number, expected: string) {
    const before = text.slice(0, offset).split('\n');
    const found = offset >= text.length ? 'the end' : JSON.stringify(String.fromCodePoint(text.codePointAt(offset) ?? 0));
    super(`expected ${expected}, found ${found} at line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`);
    this.offset = offset;
  }
}

/** A stretch of the text: one JSON value without the white space around it. */
export interface Slice {
  readonly start: number;
  readonly end: number;
}

/** A JSON value and where its parts stand: the members of an object, the items of an array, one level deep. */
export interface JsonOutline extends Slice {
  readonly kind: 'object' | 'array' | 'other';
  /** Of an object: name and value of every member, in order; a name that is there twice stands here twice. */
  readonly members: readonly { readonly name: string; readonly value: Slice }[];
  readonly items: readonly Slice[];
}

/**
 * Reads a whole text as exactly one JSON value and tells where its parts stand, so that a part can be kept byte for byte.
 * Throws `MalformedJson` at the first character that breaks the grammar or goes deeper than 128 levels. RFC 8259.
 */
export function outlineJson(text: string, within: Slice = { start: 0, end: text.length }): JsonOutline {
  const members: { name: string; value: Slice }[] = [];
  const items: Slice[] = [];
  const scanner = new Scanner(text, within.end);
  const start = scanner.skipSpace(within.start);
  const kind = ({ '{': 'object', '[': 'array' } as const)[text[start] ?? ''] ?? 'other';
  const end = scanner.value(start, 0, (name, value) => (name === undefined ? items.push(value) : members.push({ name, value })));
  const after = scanner.skipSpace(end);
  if (after < within.end) throw new MalformedJson(text, after, 'nothing more');
  return { kind, start, end, members, items };
}

/**
 * The paths of members that stand twice in their object, at any depth: `payload.actor.id`. What such an object means would
 * depend on who reads it. At most the first hundred. Throws `MalformedJson` like `outlineJson`. RFC 8259, section 4.
 */
export function repeatedMembers(text: string): readonly string[] {
  const names = new MemberNames();
  const scanner = new Scanner(text, text.length, names);
  scanner.value(scanner.skipSpace(0), 0);
  return names.repeated;
}

/** Follows a scan down the objects and lists it is in, and notes the names that it has met in each object. */
class MemberNames {
  readonly repeated: string[] = [];
  readonly #within: { step: string; items: number; seen?: Set<string> }[] = [];

  open(): void {
    this.#within.push({ step: '', items: 0 });
  }

  member(name: string): void {
    const here = this.#within.at(-1);
    if (here === undefined) return;
    here.step = `.${name.slice(0, 80)}`;
    here.seen ??= new Set();
    if (here.seen.has(name) && this.repeated.length < limits.toldErrors) this.repeated.push(this.#within.map(({ step }) => step).join('').replace(/^\./, ''));
    here.seen.add(name);
  }

  item(): void {
    const here = this.#within.at(-1);
    if (here === undefined) return;
    here.step = `[${here.items}]`;
    here.items += 1;
  }

  close(): void {
    this.#within.pop();
  }
}

type OnPart = (name: string | undefined, value: Slice) => void;

const quote = 0x22;
const backslash = 0x5c;
const numberForm = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const escapeForm = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

class Scanner {
  readonly #text: string;
  readonly #end: number;
  readonly #names: MemberNames | undefined;

  constructor(text: string, end: number, names?: MemberNames) {
    this.#text = text;
    this.#end = end;
    this.#names = names;
  }

  /** The place after the value that starts at `at`. Recursion is bounded by the depth limit. */
  value(at: number, depth: number, onPart?: OnPart): number {
    switch (this.#at(at)) {
      case '{':
        return this.#list(at, depth, '}', (item) => this.#member(item, depth, onPart));
      case '[':
        return this.#list(at, depth, ']', (item) => this.#item(item, depth, onPart));
      case '"':
        return this.#string(at);
      case 't':
        return this.#word(at, 'true');
      case 'f':
        return this.#word(at, 'false');
      case 'n':
        return this.#word(at, 'null');
      default:
        return this.#matching(numberForm, at, 'a JSON value');
    }
  }

  skipSpace(from: number): number {
    let at = from;
    while (at < this.#end && isSpace(this.#text.charCodeAt(at))) at += 1;
    return at;
  }

  #list(open: number, depth: number, close: string, item: (at: number) => number): number {
    if (depth >= limits.jsonDepth) throw new MalformedJson(this.#text, open, `at most ${limits.jsonDepth} levels of nesting`);
    let at = this.skipSpace(open + 1);
    if (this.#at(at) === close) return at + 1;
    this.#names?.open();
    for (;;) {
      at = this.skipSpace(item(at));
      if (this.#at(at) === close) {
        this.#names?.close();
        return at + 1;
      }
      if (this.#at(at) !== ',') throw new MalformedJson(this.#text, at, `"," or "${close}"`);
      at = this.skipSpace(at + 1);
    }
  }

  #member(at: number, depth: number, onPart?: OnPart): number {
    if (this.#at(at) !== '"') throw new MalformedJson(this.#text, at, 'a member name in double quotes');
    const nameEnd = this.#string(at);
    const colon = this.skipSpace(nameEnd);
    if (this.#at(colon) !== ':') throw new MalformedJson(this.#text, colon, '":"');
    const name = onPart === undefined && this.#names === undefined ? '' : (JSON.parse(this.#text.slice(at, nameEnd)) as string);
    this.#names?.member(name);
    return this.#part(name, this.skipSpace(colon + 1), depth, onPart);
  }

  #item(at: number, depth: number, onPart?: OnPart): number {
    this.#names?.item();
    return this.#part(undefined, at, depth, onPart);
  }

  #part(name: string | undefined, start: number, depth: number, onPart?: OnPart): number {
    const end = this.value(start, depth + 1);
    onPart?.(name, { start, end });
    return end;
  }

  #string(open: number): number {
    let at = open + 1;
    for (;;) {
      const code = at < this.#end ? this.#text.charCodeAt(at) : 0;
      if (code === quote) return at + 1;
      if (code < 0x20) throw new MalformedJson(this.#text, at, 'the rest of a string, or its closing quote');
      at = code === backslash ? this.#matching(escapeForm, at, 'a valid escape') : at + 1;
    }
  }

  #word(at: number, word: string): number {
    if (!this.#text.startsWith(word, at) || at + word.length > this.#end) throw new MalformedJson(this.#text, at, 'a JSON value');
    return at + word.length;
  }

  #matching(form: RegExp, at: number, expected: string): number {
    form.lastIndex = at;
    if (!form.test(this.#text) || form.lastIndex > this.#end) throw new MalformedJson(this.#text, at, expected);
    return form.lastIndex;
  }

  #at(at: number): string {
    return at < this.#end ? (this.#text[at] ?? '') : '';
  }
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
