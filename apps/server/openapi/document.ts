import type { INestApplication, Type } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiHeader, ApiOperation, ApiQuery, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { stringify } from 'yaml';
import { readAccess } from '../access/routes.ts';
import { describedBy, type RouteDoc } from '../http/describe.ts';
import { parametersOf } from '../http/parameters.ts';
import { bodiesAndAnswers, type DescribedRoute } from './bodies-and-answers.ts';
import { commandPaths } from './command-paths.ts';
import { problemExamples } from './examples.ts';
import { answerHeaders, problemResponsesOf } from './responses.ts';
import { schemasOf } from './schemas.ts';
import { needsText } from './words.ts';

type Handler = () => unknown;

/** A method of a controller that answers a route. */
interface Route extends DescribedRoute {
  readonly target: object;
  readonly name: string;
  readonly handler: Handler;
}

const about = `Webhooks where a change is commanded, approved, recorded and provable.

Every change is a command with an idempotency key: sent again with the same key it takes effect at most once, and answers the same.
Risky commands wait for another person's approval. Errors are \`application/problem+json\` (RFC 9457).

Before any operation is looked for, headers of more than 16 KiB are answered with 431 \`headers-too-large\`.`;

/** The OpenAPI 3.1 document of the running application, as YAML: made of its routes and of the class-validator metadata. */
export function openApiYaml(app: INestApplication, controllers: readonly Type[], version: string): string {
  const reflector = app.get(Reflector);
  const routes = controllers.flatMap((controller) => [...routesOf(controller, reflector)]);
  for (const route of routes) annotate(reflector, route);
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Countersign')
    .setDescription(about)
    .setVersion(version)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'kf_<id>_<secret>', description: 'An API key.' }, 'apiKey')
    .build();
  const document = SwaggerModule.createDocument(app, config, { autoTagControllers: false });
  document.paths = commandPaths(bodiesAndAnswers(document.paths, routes));
  return stringify(sorted(document), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Paths in alphabetical order, so that the order of modules and files does not matter. */
const sorted = ({ paths, openapi, info: { contact: _contact, ...info }, components }: OpenAPIObject): object => {
  const responses = problemResponsesOf(paths);
  return {
    openapi,
    info,
    components: { ...components, schemas: schemasOf({ paths, responses }), responses, headers: answerHeaders, examples: problemExamples() },
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
};

function* routesOf(controller: Type, reflector: Reflector): Generator<Route> {
  const target = controller.prototype as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(target)) {
    const handler = target[name];
    if (name === 'constructor' || typeof handler !== 'function' || !Reflect.hasMetadata(describedBy, handler)) continue;
    const doc = reflector.get<RouteDoc>(describedBy, handler as Handler);
    yield { target, name, handler: handler as Handler, doc, access: readAccess(reflector, handler as Handler), takes: parametersOf(reflector, handler as Handler).map((parameter) => parameter.name) };
  }
}

/** Turns what a route says of itself into the framework's own annotations, as far as it has words for it. */
function annotate(reflector: Reflector, { target, name, handler, doc, access }: Route): void {
  const { summary, operationId, tag, description, headers = [] } = doc;
  const decorators: MethodDecorator[] = [
    ApiOperation({ summary, operationId, tags: [tag], description: [description, needsText(access)].filter(Boolean).join('\n\n'), security: access?.to === 'everybody' ? [] : [{ apiKey: [] }] }),
    ...parametersOf(reflector, handler).map(queryParameter),
    ...headers.map((header) => ApiHeader(headerDocs[header])),
  ];
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  if (descriptor === undefined) throw new TypeError(`${name} has no descriptor`);
  for (const decorate of decorators) decorate(target, name, descriptor);
}

const queryParameter = ({ schema, example, required, ...parameter }: ReturnType<typeof parametersOf>[number]): MethodDecorator =>
  ApiQuery({ ...parameter, required: required === true, schema: { ...schema, ...(example === undefined ? {} : { examples: [example] }) } as object });

const headerDocs = {
  'Idempotency-Key': { name: 'Idempotency-Key', required: false, description: '1 to 255 visible ASCII characters, plain or as one quoted string.', schema: { type: 'string', minLength: 1, maxLength: 255 } },
  'If-Match': { name: 'If-Match', required: false, description: 'The `ETag` of what was looked at (or several, or `*`): when it is at another revision by now, nothing is changed and the answer is 412.', schema: { type: 'string' }, example: '"3"' },
  'Kf-Actor': { name: 'Kf-Actor', required: false, description: '`TYPE:id`: for whom an any-actor key speaks; its default actor when left out.', schema: { type: 'string' } },
  'Kf-On-Behalf-Of': { name: 'Kf-On-Behalf-Of', required: false, description: '`TYPE:id, …`: who asked for it, nearest first.', schema: { type: 'string' } },
  'Last-Event-ID': { name: 'Last-Event-ID', required: false, description: 'The `id:` of the last message that was seen; wins over `from`.', schema: { type: 'string' }, example: '4711' },
} as const;
