import { applyDecorators } from '@nestjs/common';
import { ApiExtension, ApiOperation, ApiResponse } from '@nestjs/swagger';
import { type Dto, type JsonSchema, problems, type ProblemSlug, schemaName } from '#contracts';

export const refTo = (dto: Dto): { $ref: string } => ({ $ref: `#/components/schemas/${schemaName(dto)}` });

export interface RouteDoc {
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  readonly operationId: string;
  /** Of a success: a class, a schema, or a media type of its own. */
  readonly answer: Dto | { readonly schema: JsonSchema } | { readonly mediaType: string };
  /** Beside those that every route of its kind has. */
  readonly problems?: readonly ProblemSlug[];
}

/** What the OpenAPI document says about a route; slugs that a status can have stand in its description. */
export function Describe({ summary, description, tag, operationId, answer, problems: slugs = [] }: RouteDoc): MethodDecorator {
  const statuses = Map.groupBy(slugs, (slug) => problems[slug].status);
  return applyDecorators(
    ApiOperation({ summary, operationId, tags: [tag], ...(description === undefined ? {} : { description }) }),
    ApiResponse({ status: 200, description: 'Success', content: contentOf(answer) }),
    ...[...statuses].map(([status, list]) => ApiResponse({ status, ...problemResponse(list) })),
    ApiExtension('x-problems', slugs),
  );
}

export const problemResponse = (slugs: readonly ProblemSlug[]): { description: string; content: Record<string, { schema: { $ref: string } }> } => ({
  description: slugs.map((slug) => `\`${slug}\`: ${problems[slug].title}`).join('. '),
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
});

function contentOf(answer: RouteDoc['answer']): Record<string, { schema: Record<string, unknown> }> {
  if (typeof answer === 'function') return { 'application/json': { schema: refTo(answer) } };
  return 'schema' in answer ? { 'application/json': { schema: { ...answer.schema } } } : { [answer.mediaType]: { schema: { type: 'string' } } };
}
