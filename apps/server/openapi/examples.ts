import { type JsonSchema, problems, type ProblemSlug, problemType } from '#contracts';

type Schemas = Readonly<Record<string, JsonSchema>>;

/** A value that a schema allows: made of the examples that its fields give, else the plainest value of the kind. What may be left out and has no example is left out. */
export function exampleOfSchema(schema: JsonSchema, schemas: Schemas): unknown {
  const { examples, enum: values, $ref: reference, anyOf = [], oneOf = anyOf } = schema;
  const given = examples ?? values;
  if (Array.isArray(given)) return given[0] as unknown;
  if (typeof reference === 'string') return exampleOfSchema(schemas[reference.slice(reference.lastIndexOf('/') + 1)] ?? {}, schemas);
  const [first] = oneOf as readonly JsonSchema[];
  return first === undefined ? ofType(schema, schemas) : exampleOfSchema(first, schemas);
}

function ofType(schema: JsonSchema, schemas: Schemas): unknown {
  const type = Array.isArray(schema['type']) ? (schema['type'] as readonly string[])[0] : schema['type'];
  switch (type) {
    case 'object':
      return ofObject(schema, schemas);
    case 'array':
      return [exampleOfSchema((schema['items'] ?? {}) as JsonSchema, schemas)];
    case 'string':
      return schema['format'] === 'date-time' ? '2026-11-03T14:00:00.000Z' : schema['pattern'] === positionPattern ? '4711' : 'text';
    case 'integer':
    case 'number':
      return schema['minimum'] ?? 1;
    case 'boolean':
      return true;
    default:
      return null;
  }
}

const positionPattern = '^(0|[1-9][0-9]{0,19})$';

function ofObject({ properties = {}, required = [] }: JsonSchema, schemas: Schemas): object {
  const wanted = Object.entries(properties as Schemas).filter(([name, field]) => (required as readonly string[]).includes(name) || Array.isArray(field['examples']));
  return Object.fromEntries(wanted.map(([name, field]) => [name, exampleOfSchema(field, schemas)]));
}

/** One example of every problem, by its slug. */
export const problemExamples = (): Readonly<Record<string, object>> =>
  Object.fromEntries((Object.keys(problems) as ProblemSlug[]).map((slug) => [slug, { summary: problems[slug].title, value: problemExample(slug) }]));

const problemExample = (slug: ProblemSlug): object => ({
  type: problemType(slug),
  title: problems[slug].title,
  status: problems[slug].status,
  detail: `${problems[slug].title}.`,
  instance: '/api/webhooks',
  correlationId: '0f6a3f0b-7f0e-4d6b-9a55-3f1c9c1e8f5e',
  ...(slug === 'validation-failed' ? { errors: [{ path: 'url', message: 'must be an absolute http or https URL, at most 2048 characters' }] } : {}),
});
