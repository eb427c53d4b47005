import { getMetadataStorage } from 'class-validator';
import { didYouMean } from '#kernel';
import { type Dto, type FieldContext, isLeftOut } from './field.ts';
import { limits } from './limits.ts';
import type { FieldError } from './problems.ts';

const contexts = new WeakMap<Dto, ReadonlyMap<string, FieldContext>>();

/** The fields of a class as its class-validator metadata tells them, in the order of their declaration. */
export function fieldsOf(dto: Dto): ReadonlyMap<string, FieldContext> {
  const known = contexts.get(dto);
  if (known !== undefined) return known;
  const fields = new Map<string, FieldContext>();
  for (const { propertyName, context } of getMetadataStorage().getTargetValidationMetadatas(dto, '', false, false)) {
    if (context !== undefined) fields.set(propertyName, context as FieldContext);
  }
  contexts.set(dto, fields);
  return fields;
}

export type ReadResult<T> = { readonly value: T } | { readonly errors: readonly FieldError[] };

/**
 * Reads parsed JSON as an instance of a class with `Field`s, or says everything that is wrong with it: what is missing,
 * unknown (with the nearest name that exists; the first hundred of these) or of another form. `at` is the path of the
 * value in the request.
 */
export function readDto<T extends object>(dto: Dto<T>, json: unknown, at = ''): ReadResult<T> {
  if (!isRecord(json)) return { errors: [{ path: at, message: 'must be a JSON object' }] };
  const unknown: FieldError[] = [];
  const instance = asInstance(dto, json, at, unknown);
  const errors = [...unknown, ...wrongIn(dto, instance, at)];
  return errors.length === 0 ? { value: instance } : { errors };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Only known fields are copied, so a member called `__proto__` is an unknown field and nothing more. */
function asInstance<T extends object>(dto: Dto<T>, json: Readonly<Record<string, unknown>>, at: string, unknown: FieldError[]): T {
  const fields = fieldsOf(dto);
  const instance = new dto();
  for (const name of Object.keys(json)) {
    const field = fields.get(name);
    if (field === undefined) note(unknown, join(at, shown(name)), () => `is not a known field.${didYouMean(name, fields.keys())}`);
    else Reflect.set(instance, name, field.dto === undefined ? json[name] : nested(field, field.dto, json[name], join(at, name), unknown));
  }
  return instance;
}

function nested({ many, maxItems = Infinity }: FieldContext, dto: () => Dto, value: unknown, path: string, unknown: FieldError[]): unknown {
  if (many === true && Array.isArray(value)) {
    if (value.length > maxItems) {
      note(unknown, path, () => `must be a list of at most ${maxItems} JSON objects`);
      return [];
    }
    return value.map((item: unknown, index) => (isRecord(item) ? asInstance(dto(), item, `${path}[${index}]`, unknown) : item));
  }
  return isRecord(value) ? asInstance(dto(), value, path, unknown) : value;
}

/** Telling some of what is wrong must cost no more than that. */
function note(errors: FieldError[], path: string, message: () => string): void {
  if (errors.length < limits.toldErrors) errors.push({ path, message: message() });
}

const shown = (name: string): string => (name.length > 80 ? `${name.slice(0, 80)}…` : name);

const join = (at: string, name: string): string => {
  if (/^\d+$/.test(name)) return `${at}[${name}]`;
  return at === '' ? name : `${at}.${name}`;
};

/**
 * What is wrong with the fields of an instance, in the order of their declaration. The checks are those that class-validator has in its
 * metadata; it collects these anew for each object, which made a tenth of a command's time and a quarter of its garbage.
 */
function* wrongIn(dto: Dto, instance: object, at: string): Generator<FieldError> {
  for (const [name, field] of fieldsOf(dto)) {
    const value: unknown = Reflect.get(instance, name);
    if (isLeftOut(field.doc, value)) continue;
    const message = field.wrong(value);
    if (message !== undefined) yield { path: join(at, name), message: value === undefined ? `is required; it ${message}` : message };
    else if (field.dto !== undefined) yield* wrongInside(field.dto(), value, join(at, name));
  }
}

function* wrongInside(dto: Dto, value: unknown, at: string): Generator<FieldError> {
  const items: readonly (readonly [unknown, string])[] = Array.isArray(value) ? value.map((item: unknown, index) => [item, `${at}[${index}]`]) : [[value, at]];
  for (const [item, path] of items) {
    if (isRecord(item)) yield* wrongIn(dto, item, path);
    else yield { path, message: 'must be a JSON object' };
  }
}
