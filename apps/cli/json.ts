/** JSON text that is sent as it was given: parsing and printing it again would change `9007199254740993` and `1.0`. */
export class JsonText {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** The text without the white space around it, or undefined when it is not JSON. */
  static of(text: string): JsonText | undefined {
    try {
      JSON.parse(text);
    } catch {
      return undefined;
    }
    return new JsonText(text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''));
  }
}

export type Member = JsonText | string | number | boolean | null | readonly Member[] | Members | undefined;
export interface Members {
  readonly [name: string]: Member;
}

/** Members as JSON text; those that are `undefined` are left out, JSON texts stand in it byte for byte. */
export function writeJson(value: Exclude<Member, undefined>): string {
  if (value instanceof JsonText) return value.text;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map((item) => writeJson(item ?? null)).join(',')}]`;
  const written = Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [`${JSON.stringify(name)}:${writeJson(member)}`]));
  return `{${written.join(',')}}`;
}

const isList = (value: readonly Member[] | Members): value is readonly Member[] => Array.isArray(value);

/** What JSON text says; undefined when it is not JSON. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export type JsonRecord = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is JsonRecord => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The text of a scalar; undefined for everything that has no text of its own. */
export function scalar(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** A member of a JSON object as text, or undefined. */
export const textOf = (value: unknown, name: string): string | undefined => (isRecord(value) ? scalar(value[name]) : undefined);

export const recordOf = (value: unknown, name: string): JsonRecord | undefined => {
  const member = isRecord(value) ? value[name] : undefined;
  return isRecord(member) ? member : undefined;
};

export const listOf = (value: unknown, name: string): readonly unknown[] => {
  const member = isRecord(value) ? value[name] : undefined;
  return Array.isArray(member) ? (member as readonly unknown[]) : [];
};

// In V8 since 2023, in the type library from ES2026 on.
const exactJson = JSON as unknown as {
  parse(text: string, reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
};

/** Parses so that printing again gives every number as it was written. */
export const parseExactly = (text: string): unknown =>
  exactJson.parse(text, (_name, value, { source }) => (typeof value === 'number' && source !== undefined ? exactJson.rawJSON(source) : value));

/** An answer as lines: one per item when it is a list, else the whole in one line. */
export function jsonLines(text: string): readonly string[] {
  const value = parseExactly(text);
  const items = isRecord(value) && Array.isArray(value['items']) ? (value['items'] as readonly unknown[]) : [value];
  return items.map((item) => JSON.stringify(item));
}
