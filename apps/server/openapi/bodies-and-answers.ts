import type { OpenAPIObject } from '@nestjs/swagger';
import { type JsonSchema, type ProblemSlug, refTo } from '#contracts';
import type { Access } from '../access/routes.ts';
import type { RouteDoc } from '../http/describe.ts';
import { exampleOfSchema } from './examples.ts';
import { jsonContent, problemResponses, successOf } from './responses.ts';
import { schemas } from './schemas.ts';

/** What a route says of itself. */
export interface DescribedRoute {
  readonly doc: RouteDoc;
  readonly access: Access | undefined;
  /** Names of its query parameters. */
  readonly takes: readonly string[];
}

interface Operation {
  readonly operationId: string;
  responses: object;
  requestBody?: object;
}

/** Puts beside each route of the document what it takes and what it answers, each with an example. */
export function bodiesAndAnswers(paths: OpenAPIObject['paths'], routes: readonly DescribedRoute[]): OpenAPIObject['paths'] {
  const byId = new Map(routes.map((route) => [route.doc.operationId, route]));
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods) as Operation[])) {
    const route = byId.get(operation.operationId);
    if (route === undefined) throw new TypeError(`${operation.operationId} does not describe itself`);
    const { doc } = route;
    operation.responses = { [doc.status ?? 200]: successOf(doc, contentOf(doc.answer)), ...problemResponses([...(doc.problems ?? []), ...usual(route.access), ...(route.takes.includes('waitFor') ? waiting : [])]) };
    if (doc.body !== undefined) operation.requestBody = bodyOf(doc, doc.body);
  }
  return paths;
}

const bodyOf = ({ bodyOptional, example }: RouteDoc, schema: JsonSchema): object => ({
  required: bodyOptional !== true,
  content: { 'application/json': { schema, example: example ?? exampleOfSchema(schema, schemas()) } },
});

/** Problems that every route with `waitFor` can have. */
const waiting: readonly ProblemSlug[] = ['position-unknown', 'projection-behind'];

/** Problems that every route of a kind can have. */
function usual(access: Access | undefined): readonly ProblemSlug[] {
  switch (access?.to) {
    case 'everybody':
    case undefined:
      return ['internal-error'];
    case 'keys':
      return ['unauthenticated', 'internal-error', 'store-unavailable'];
    case 'administrators':
    case 'whole-log':
      return ['validation-failed', 'unauthenticated', 'forbidden', 'internal-error', 'store-unavailable'];
    case 'site':
      return ['validation-failed', 'site-required', 'unauthenticated', 'forbidden', 'not-found', 'internal-error', 'store-unavailable'];
  }
}

function contentOf(answer: RouteDoc['answer']): Readonly<Record<string, object>> {
  if (typeof answer === 'function') return jsonContent(refTo(answer));
  return 'schema' in answer ? jsonContent(answer.schema) : Object.fromEntries([answer.mediaType].flat().map((type) => [type, { schema: { type: 'string' } }]));
}
