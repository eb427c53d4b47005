import { ValidateBy, ValidateIf, ValidateNested } from 'class-validator';
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
  /** What is wrong with a value, without regard to what is inside of it where it holds objects of a class; undefined: nothing. */
  wrong(value: unknown): string | undefined;
}

interface ListDoc extends FieldDoc {
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Whether a field without a value, or with null, is as it should be. */
export const isLeftOut = ({ optional, nullable }: FieldDoc, value: unknown): boolean => (value === undefined && optional === true) || (value === null && nullable === true);

const presence = (doc: FieldDoc): PropertyDecorator => ValidateIf((_object, value) => !isLeftOut(doc, value));

const all =
  (...decorators: readonly PropertyDecorator[]): PropertyDecorator =>
  (target, property) => {
    for (const decorate of decorators) decorate(target, property);
  };

const unless = (right: string, isRight: (value: unknown) => boolean) => (value: unknown): string | undefined => (isRight(value) ? undefined : `must be ${right}`);

const check = (name: string, context: FieldContext): PropertyDecorator =>
  ValidateBy({ name, validator: { validate: (value) => context.wrong(value) === undefined, defaultMessage: (of) => context.wrong(of?.value) ?? '' } }, { context });

/** A field of one kind of value. */
export function Field(kind: Kind, doc: FieldDoc = {}): PropertyDecorator {
  const wrong = (value: unknown): string | undefined => (kind.matches(value) ? undefined : (kind.wrong?.(value) ?? `must be ${kind.right}`));
  return all(presence(doc), check('kind', { schema: kind.schema, doc, wrong }));
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
  return all(presence(doc), ValidateNested(), check('object', { dto, doc, wrong: unless('a JSON object', isObject) }));
}

/** A field that holds several objects of another class. */
export function NestedList(dto: () => Dto, { maxItems, ...doc }: Omit<ListDoc, 'minItems'> = {}): PropertyDecorator {
  const context: FieldContext = { dto, many: true, doc, ...(maxItems === undefined ? {} : { maxItems }), wrong: unless('a list of JSON objects', Array.isArray) };
  return all(presence(doc), ValidateNested({ each: true }), check('list', context));
}
