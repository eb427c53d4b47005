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
