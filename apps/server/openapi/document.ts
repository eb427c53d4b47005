import type { INestApplication, Type } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBody, ApiHeader, ApiOperation, ApiQuery, ApiResponse, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { stringify } from 'yaml';
import { type JsonSchema, type ProblemSlug, refTo } from '#contracts';
import { type Access, readAccess } from '../access/routes.ts';
import { describedBy, type RouteDoc } from '../http/describe.ts';
import { parametersOf } from '../http/parameters.ts';
import { commandPaths } from './command-paths.ts';
import { schemas } from './schemas.ts';
import { describeProblems, needsText, problemsByStatus } from './words.ts';

type Handler = () => unknown;

const about = `Webhooks where a change is commanded, approved, recorded and provable.

Every change is a command with an idempotency key: sent again with the same key it takes effect at most once, and answers the same.
Risky commands wait for another person's approval. Errors are \`application/problem+json\` (RFC 9457).`;

/** The OpenAPI 3.1 document of the running application, as YAML: made of its routes and of the class-validator metadata. */
export function openApiYaml(app: INestApplication, controllers: readonly Type[], version: string): string {
  for (const controller of controllers) for (const { target, name, handler } of handlersOf(controller)) annotate(app.get(Reflector), target, name, handler);
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Countersign')
    .setDescription(about)
    .setVersion(version)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'kf_<id>_<secret>', description: 'An API key.' }, 'apiKey')
    .build();
  const document = SwaggerModule.createDocument(app, config, { autoTagControllers: false });
  document.components = { ...document.components, schemas: schemas() };
  document.paths = commandPaths(document.paths);
  return stringify(sorted(document), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Paths in alphabetical order, so that the order of modules and files does not matter. */
const sorted = ({ paths, openapi, info: { contact: _contact, ...info }, components }: OpenAPIObject): object => ({
  openapi,
  info,
  components,
  paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
});

function* handlersOf(controller: Type): Generator<{ target: object; name: string; handler: Handler }> {
  const target = controller.prototype as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(target)) {
    const handler = target[name];
    if (name !== 'constructor' && typeof handler === 'function' && Reflect.hasMetadata(describedBy, handler)) yield { target, name, handler: handler as Handler };
  }
}

/** Turns what a route says of itself into the framework's own annotations. */
function annotate(reflector: Reflector, target: object, name: string, handler: Handler): void {
  const doc = reflector.get<RouteDoc>(describedBy, handler);
  const access = readAccess(reflector, handler);
  const { summary, operationId, tag, description, body, headers = [] } = doc;
  const decorators: MethodDecorator[] = [
    ApiOperation({ summary, operationId, tags: [tag], description: [description, needsText(access)].filter(Boolean).join('\n\n'), security: access?.to === 'everybody' ? [] : [{ apiKey: [] }] }),
    ApiResponse({ status: 200, description: 'Success', content: contentOf(doc.answer) }),
    ...problemResponses([...(doc.problems ?? []), ...usual(access)]),
    ...parametersOf(reflector, handler).map(({ schema, example, ...parameter }) => ApiQuery({ ...parameter, required: false, schema: { ...schema, ...(example === undefined ? {} : { examples: [example] }) } as object })),
    ...headers.map((header) => ApiHeader(headerDocs[header])),
    ...(body === undefined ? [] : [ApiBody({ required: true, schema: body })]),
  ];
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  if (descriptor === undefined) throw new TypeError(`${name} has no descriptor`);
  for (const decorate of decorators) decorate(target, name, descriptor);
}

const headerDocs = {
  'Idempotency-Key': { name: 'Idempotency-Key', required: false, description: '1 to 255 visible ASCII characters, plain or as one quoted string.', schema: { type: 'string', minLength: 1, maxLength: 255 } },
  'If-Match': { name: 'If-Match', required: false, description: 'The `ETag` of what was looked at (or several, or `*`): when it is at another revision by now, nothing is changed and the answer is 412.', schema: { type: 'string' }, example: '"3"' },
  'Kf-Actor': { name: 'Kf-Actor', required: false, description: '`TYPE:id`: for whom an any-actor key speaks; its default actor when left out.', schema: { type: 'string' } },
  'Kf-On-Behalf-Of': { name: 'Kf-On-Behalf-Of', required: false, description: '`TYPE:id, …`: who asked for it, nearest first.', schema: { type: 'string' } },
} as const;

/** Problems that every route of a kind can have. */
function usual(access: Access | undefined): readonly ProblemSlug[] {
  switch (access?.to) {
    case 'everybody':
    case undefined:
      return [];
    case 'keys':
      return ['unauthenticated', 'store-unavailable'];
    case 'administrators':
      return ['validation-failed', 'unauthenticated', 'forbidden', 'store-unavailable'];
    case 'site':
      return ['validation-failed', 'site-required', 'unauthenticated', 'forbidden', 'not-found', 'store-unavailable'];
  }
}

/** One response per status, which names the problems it can be. */
function problemResponses(slugs: readonly ProblemSlug[]): MethodDecorator[] {
  return [...problemsByStatus(slugs)].map(([status, list]) => ApiResponse({ status, description: describeProblems(list), content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } }));
}

function contentOf(answer: RouteDoc['answer']): Record<string, { schema: JsonSchema }> {
  if (typeof answer === 'function') return { 'application/json': { schema: refTo(answer) } };
  return 'schema' in answer ? { 'application/json': { schema: answer.schema } } : { [answer.mediaType]: { schema: { type: 'string' } } };
}

