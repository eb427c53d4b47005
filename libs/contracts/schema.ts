import type { Dto, FieldContext } from './field.ts';
import type { JsonSchema } from './kinds.ts';
import { refTo } from './answers.ts';
import { fieldsOf } from './read-dto.ts';

/** The JSON schema of a class, from its class-validator metadata. `closed`: other members are refused. */
export function schemaOf(dto: Dto, { closed }: { readonly closed: boolean }): JsonSchema {
  const fields = [...fieldsOf(dto)];
  const required = fields.flatMap(([name, { doc }]) => (doc.optional === true ? [] : [name]));
  return {
    type: 'object',
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries(fields.map(([name, field]) => [name, fieldSchema(field)])),
    ...(closed ? { additionalProperties: false } : {}),
  };
}

function fieldSchema({ schema = {}, dto, many, maxItems, doc }: FieldContext): JsonSchema {
  const { description, example, nullable } = doc;
  const bare = dto === undefined ? schema : many === true ? { type: 'array', items: refTo(dto()), ...(maxItems === undefined ? {} : { maxItems }) } : refTo(dto());
  return {
    ...(nullable === true ? orNull(bare) : bare),
    ...(description === undefined ? {} : { description }),
    ...(example === undefined ? {} : { examples: [example] }),
  };
}

function orNull(schema: JsonSchema): JsonSchema {
  const { type, enum: values } = schema;
  if (typeof type !== 'string') return { anyOf: [schema, { type: 'null' }] };
  return { ...schema, type: [type, 'null'], ...(Array.isArray(values) ? { enum: [...(values as readonly unknown[]), null] } : {}) };
}

/** An example of a request, made of the examples of its required fields and of the optional ones that have one. */
export const exampleOf = (dto: Dto): JsonSchema =>
  Object.fromEntries([...fieldsOf(dto)].flatMap(([name, field]): (readonly [string, unknown])[] => {
    const example = exampleFor(field);
    return example === undefined ? [] : [[name, example]];
  }));

function exampleFor({ dto, many, doc, schema }: FieldContext): unknown {
  if (doc.example !== undefined || doc.optional === true) return doc.example;
  if (dto !== undefined) return many === true ? [exampleOf(dto())] : exampleOf(dto());
  return schema === undefined ? undefined : exampleValue(schema);
}

function exampleValue({ type, enum: values }: JsonSchema): unknown {
  if (Array.isArray(values)) return values[0] as unknown;
  return { string: 'text', boolean: true, integer: 1, object: {} }[String(type)];
}
