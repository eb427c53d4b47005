import { IsArray, ValidateBy, ValidateIf, ValidateNested } from 'class-validator';
import type { JsonSchema, Kind } from './kinds.ts';

export type Dto<T extends object = object> = new () => T;

/** What the OpenAPI document says about a field beside its kind. */
export interface FieldDoc {
  /** May be left out (in a request), or is not always there (in an answer). */
  readonly optional?: true;
  readonly nullable?: true;
  readonly description?: string;
  readonly example?: unknown;
}

/** Stands in the class-validator metadata of each field: what `schemaOf` and `readDto` read. */
export interface FieldContext {
  readonly schema?: JsonSchema;
  readonly dto?: () => Dto;
  readonly many?: boolean;
  /** Of a list of objects: more are refused before any of them is looked at. */
  readonly maxItems?: number;
  readonly doc: FieldDoc;
}

interface ListDoc extends FieldDoc {
  readonly minItems?: number;
  readonly maxItems?: number;
}

const presence = (doc: FieldDoc): PropertyDecorator =>
  ValidateIf((_object, value) => !(value === undefined && doc.optional === true) && !(value === null && doc.nullable === true));

const all =
  (...decorators: readonly PropertyDecorator[]): PropertyDecorator =>
  (target, property) => {
    for (const decorate of decorators) decorate(target, property);
  };

const mustBe = (right: string) => `must be ${right}`;

/** A field of one kind of value. */
export function Field(kind: Kind, doc: FieldDoc = {}): PropertyDecorator {
  const context: FieldContext = { schema: kind.schema, doc };
  return all(presence(doc), ValidateBy({ name: 'kind', validator: { validate: (value) => kind.matches(value), defaultMessage: (of) => kind.wrong?.(of?.value) ?? mustBe(kind.right) } }, { context }));
}

/** A field that holds several values of one kind, without repetition. */
export function Fields(kind: Kind, doc: ListDoc = {}): PropertyDecorator {
  const { minItems = 0, maxItems = 1_000, ...rest } = doc;
  const schema = { type: 'array', items: kind.schema, ...(minItems > 0 ? { minItems } : {}), maxItems, uniqueItems: true };
  const right = `a list of ${minItems} to ${maxItems} different values, each ${kind.right}`;
  const matches = (value: unknown): boolean =>
    Array.isArray(value) && value.length >= minItems && value.length <= maxItems && new Set(value).size === value.length && value.every((item) => kind.matches(item));
  return Field({ right, schema, matches }, rest);
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A field that holds an object of another class. */
export function Nested(dto: () => Dto, doc: FieldDoc = {}): PropertyDecorator {
  const context: FieldContext = { dto, doc };
  return all(
    presence(doc),
    ValidateNested(),
    ValidateBy({ name: 'object', validator: { validate: isObject, defaultMessage: () => mustBe('a JSON object') } }, { context }),
  );
}

/** A field that holds several objects of another class. */
export function NestedList(dto: () => Dto, { maxItems, ...doc }: Omit<ListDoc, 'minItems'> = {}): PropertyDecorator {
  const context: FieldContext = { dto, many: true, doc, ...(maxItems === undefined ? {} : { maxItems }) };
  return all(presence(doc), ValidateNested({ each: true }), IsArray({ message: mustBe('a list of JSON objects'), context }));
}
