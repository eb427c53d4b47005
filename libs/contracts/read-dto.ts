import { getMetadataStorage, validateSync, type ValidationError } from 'class-validator';
import { didYouMean } from '#kernel';
import type { Dto, FieldContext } from './field.ts';
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
  const invalid = validateSync(instance, { stopAtFirstError: true, forbidUnknownValues: false }).flatMap((error) => fieldErrors(error, at));
  const errors = [...unknown, ...invalid];
  return errors.length === 0 ? { value: instance } : { errors };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Only known fields are copied, so a member called `__proto__` is an unknown field and nothing more. */
function asInstance<T extends object>(dto: Dto<T>, json: Readonly<Record<string, unknown>>, at: string, unknown: FieldError[]): T {
  const fields = fieldsOf(dto);
  const instance = new dto();
  for (const name of Object.keys(json)) {
    const field = fields.get(name);
    const path = join(at, shown(name));
    if (field === undefined) note(unknown, path, () => `is not a known field.${didYouMean(name, fields.keys())}`);
    else Reflect.set(instance, name, nested(field, json[name], path, unknown));
  }
  return instance;
}

function nested({ dto, many, maxItems = Infinity }: FieldContext, value: unknown, path: string, unknown: FieldError[]): unknown {
  if (dto === undefined) return value;
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

function fieldErrors(error: ValidationError, at: string): FieldError[] {
  const path = join(at, error.property);
  const children = (error.children ?? []).flatMap((child) => fieldErrors(child, path));
  const [message] = Object.entries(error.constraints ?? {}).flatMap(([constraint, text]) => (constraint === 'nestedValidation' ? [] : [text]));
  if (message !== undefined) return [{ path, message: error.value === undefined ? `is required; it ${message}` : message }, ...children];
  return children.length > 0 ? children : [{ path, message: 'must be a JSON object' }];
}
