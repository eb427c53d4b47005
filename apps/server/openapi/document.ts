import type { INestApplication, Type } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBody, ApiHeader, ApiOperation, ApiQuery, ApiResponse, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { stringify } from 'yaml';
import { type ProblemSlug, refTo } from '#contracts';
import { type Access, readAccess } from '../access/routes.ts';
import { describedBy, type RouteDoc } from '../http/describe.ts';
import { parametersOf } from '../http/parameters.ts';
import { commandPaths } from './command-paths.ts';
import { exampleOfSchema, problemExamples } from './examples.ts';
import { answerHeaders, jsonContent, problemResponses, successOf } from './responses.ts';
import { schemas } from './schemas.ts';
import { needsText } from './words.ts';

type Handler = () => unknown;

const about = `Webhooks where a change is commanded, approved, recorded and provable.

Every change is a command with an idempotency key: sent again with the same key it takes effect at most once, and answers the same.
Risky commands wait for another person's approval. Errors are \`application/problem+json\` (RFC 9457).`;

/** The OpenAPI 3.1 document of the running application, as YAML: made of its routes and of the class-validator metadata. */
export function openApiYaml(app: INestApplication, controllers: readonly Type[], version: string): string {
  const reflector = app.get(Reflector);
  const handlers = controllers.flatMap((controller) => [...handlersOf(controller)]);
  for (const { target, name, handler } of handlers) annotate(reflector, target, name, handler);
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Countersign')
    .setDescription(about)
    .setVersion(version)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'kf_<id>_<secret>', description: 'An API key.' }, 'apiKey')
    .build();
  const document = SwaggerModule.createDocument(app, config, { autoTagControllers: false });
  document.paths = commandPaths(withBodyExamples(document.paths, handlers.map(({ handler }) => reflector.get<RouteDoc>(describedBy, handler))));
  return stringify(sorted(document), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Beside each body how one looks. */
function withBodyExamples(paths: OpenAPIObject['paths'], docs: readonly RouteDoc[]): OpenAPIObject['paths'] {
  for (const { operationId, body, example } of docs) {
    const operation = Object.values(paths).flatMap((methods) => Object.values(methods) as Operation[]).find((one) => one.operationId === operationId);
    if (body !== undefined && operation !== undefined) operation.requestBody = { ...operation.requestBody, content: { 'application/json': { schema: body, example: example ?? exampleOfSchema(body, schemas()) } } };
  }
  return paths;
}

interface Operation {
  readonly operationId?: string;
  requestBody?: object;
}

/** Paths in alphabetical order, so that the order of modules and files does not matter. */
const sorted = ({ paths, openapi, info: { contact: _contact, ...info }, components }: OpenAPIObject): object => ({
  openapi,
  info,
  components: { ...components, schemas: schemas(), headers: answerHeaders, examples: problemExamples() },
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
  const { summary, operationId, tag, description, headers = [] } = doc;
  const decorators: MethodDecorator[] = [
    ApiOperation({ summary, operationId, tags: [tag], description: [description, needsText(access)].filter(Boolean).join('\n\n'), security: access?.to === 'everybody' ? [] : [{ apiKey: [] }] }),
    ApiResponse({ status: doc.status ?? 200, ...(successOf(doc, contentOf(doc.answer)) as object) }),
    ...Object.entries(problemResponses([...(doc.problems ?? []), ...usual(access)])).map(([status, response]) => ApiResponse({ status: Number(status), ...(response as object) })),
    ...parametersOf(reflector, handler).map(queryParameter),
    ...headers.map((header) => ApiHeader(headerDocs[header])),
    ...bodyOf(doc),
  ];
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  if (descriptor === undefined) throw new TypeError(`${name} has no descriptor`);
  for (const decorate of decorators) decorate(target, name, descriptor);
}

const queryParameter = ({ schema, example, required, ...parameter }: ReturnType<typeof parametersOf>[number]): MethodDecorator =>
  ApiQuery({ ...parameter, required: required === true, schema: { ...schema, ...(example === undefined ? {} : { examples: [example] }) } as object });

const bodyOf = ({ body, bodyOptional }: RouteDoc): MethodDecorator[] => (body === undefined ? [] : [ApiBody({ required: bodyOptional !== true, schema: body })]);

const headerDocs = {
  'Idempotency-Key': { name: 'Idempotency-Key', required: false, description: '1 to 255 visible ASCII characters, plain or as one quoted string.', schema: { type: 'string', minLength: 1, maxLength: 255 } },
  'If-Match': { name: 'If-Match', required: false, description: 'The `ETag` of what was looked at (or several, or `*`): when it is at another revision by now, nothing is changed and the answer is 412.', schema: { type: 'string' }, example: '"3"' },
  'Kf-Actor': { name: 'Kf-Actor', required: false, description: '`TYPE:id`: for whom an any-actor key speaks; its default actor when left out.', schema: { type: 'string' } },
  'Kf-On-Behalf-Of': { name: 'Kf-On-Behalf-Of', required: false, description: '`TYPE:id, …`: who asked for it, nearest first.', schema: { type: 'string' } },
  'Last-Event-ID': { name: 'Last-Event-ID', required: false, description: 'The `id:` of the last message that was seen; wins over `from`.', schema: { type: 'string' }, example: '4711' },
} as const;

/** Problems that every route of a kind can have. */
function usual(access: Access | undefined): readonly ProblemSlug[] {
  switch (access?.to) {
    case 'everybody':
    case undefined:
      return ['internal-error'];
    case 'keys':
      return ['unauthenticated', 'internal-error', 'store-unavailable'];
    case 'administrators':
      return ['validation-failed', 'unauthenticated', 'forbidden', 'internal-error', 'store-unavailable'];
    case 'site':
      return ['validation-failed', 'site-required', 'unauthenticated', 'forbidden', 'not-found', 'internal-error', 'store-unavailable'];
  }
}

function contentOf(answer: RouteDoc['answer']): Readonly<Record<string, object>> {
  if (typeof answer === 'function') return jsonContent(refTo(answer));
  return 'schema' in answer ? jsonContent(answer.schema) : { [answer.mediaType]: { schema: { type: 'string' } } };
}
