import { isProblemSlug, type JsonSchema, type ProblemSlug } from '#contracts';
import type { RouteDoc } from '../http/describe.ts';
import { exampleOfSchema } from './examples.ts';
import { schemas } from './schemas.ts';
import { describeProblems, problemsByStatus } from './words.ts';

interface Header {
  readonly description: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
  readonly example: string;
}

/** Headers of answers, by name. A required one is in every answer that names it. */
export const answerHeaders = {
  'X-Correlation-Id': { description: 'Finds the request in the log: the one that was sent, when it is 1 to 128 of `A-Za-z0-9_.:-`, else a new one.', required: true, schema: { type: 'string' }, example: '0f6a3f0b-7f0e-4d6b-9a55-3f1c9c1e8f5e' },
  ETag: { description: 'The revision of what is answered, for `If-Match`.', required: true, schema: { type: 'string', pattern: '^"[0-9]+"$' }, example: '"3"' },
  Location: { description: 'Where what was created can be read.', required: true, schema: { type: 'string' }, example: '/api/webhooks/orders-receiver?siteId=acme' },
  'Idempotency-Key': { description: 'The key of this change: the one that was sent, else one made here. Send it again, and the change takes effect at most once.', required: true, schema: { type: 'string' }, example: '0f6a3f0b-7f0e-4d6b-9a55-3f1c9c1e8f5e' },
  'Idempotency-Replayed': { description: '`true`: the change had taken effect before, and this is its answer again, without a secret.', required: false, schema: { type: 'string', enum: ['true'] }, example: 'true' },
  'Retry-After': { description: 'Seconds after which it makes sense to try again.', required: false, schema: { type: 'string', pattern: '^[0-9]+$' }, example: '1' },
  'WWW-Authenticate': { description: 'How to say who you are.', required: true, schema: { type: 'string', enum: ['Bearer'] }, example: 'Bearer' },
} as const satisfies Readonly<Record<string, Header>>;

type HeaderName = keyof typeof answerHeaders;

export const headersNamed = (...names: readonly HeaderName[]): Readonly<Record<string, { readonly $ref: string }>> =>
  Object.fromEntries([...new Set<HeaderName>(['X-Correlation-Id', ...names])].map((name) => [name, { $ref: `#/components/headers/${name}` }]));

/** One answer of a route. */
export interface Response {
  readonly description: string;
  readonly headers: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content: Readonly<Record<string, object>>;
}

/** The answer of a success, and how it looks. */
export const successOf = (doc: RouteDoc, content: Readonly<Record<string, object>>): Response => ({
  description: doc.status === 201 ? 'Created' : 'Success',
  headers: headersNamed(...(doc.answerHeaders ?? [])),
  content: { ...content, ...(doc.stream === undefined ? {} : streamContent(doc.stream)) },
});

const streamContent = (description: string): object => ({ 'text/event-stream': { schema: { type: 'string', description } } });

export function jsonContent(schema: JsonSchema): Readonly<Record<string, object>> {
  const example = exampleOfSchema(schema, schemas());
  return { 'application/json': { schema, example } };
}

/** One answer per status that is not a success, by reference: the name of each is the problems it can be. */
export const problemResponses = (slugs: readonly ProblemSlug[]): Readonly<Record<number, { readonly $ref: string }>> =>
  Object.fromEntries([...problemsByStatus(slugs)].map(([status, list]) => [status, { $ref: `${toResponses}${list.toSorted().join('.')}` }]));

const toResponses = '#/components/responses/';

/** The answers that are not a success which a part of the document refers to, by name. */
export function problemResponsesOf(part: unknown): Readonly<Record<string, Response>> {
  const names = new Set([...JSON.stringify(part).matchAll(new RegExp(`"${toResponses}([^"]+)"`, 'g'))].map(([, name = '']) => name));
  return Object.fromEntries([...names].sort().map((name) => [name, problemResponse(name.split('.').filter(isProblemSlug))]));
}

function problemResponse(slugs: readonly ProblemSlug[]): Response {
  const [status = 0] = problemsByStatus(slugs).keys();
  return { description: describeProblems(slugs), headers: headersNamed(...headersOf(status)), content: problemContent(slugs) };
}

const problemContent = (slugs: readonly ProblemSlug[]): Readonly<Record<string, object>> => ({
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' }, examples: Object.fromEntries(slugs.map((slug) => [slug, { $ref: `#/components/examples/${slug}` }])) },
});

function headersOf(status: number): readonly HeaderName[] {
  if (status === 401) return ['WWW-Authenticate'];
  return status === 409 || status === 429 || status === 503 ? ['Retry-After'] : [];
}
