import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { parse } from 'yaml';

/** An answer as it came. */
export interface SeenAnswer {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
}

type Schema = Readonly<Record<string, unknown>>;

interface Header {
  readonly required?: boolean;
}

interface Response {
  readonly headers?: object;
  readonly content?: Readonly<Record<string, { readonly examples?: object }>>;
}

/** As much of an OpenAPI document as is looked at here. */
export interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

/** A message of an event stream. */
export interface SeenMessage {
  readonly event: string;
  readonly data: string;
}

/** Compares answers with an OpenAPI document: `whatIsWrong` answers everything that the document does not say, in words. */
export interface ContractCheck {
  /** Of an answer as a whole; of one message of it, when it is a stream and the message is given. 431 comes before any path is read, and is only a problem. */
  whatIsWrong(answer: SeenAnswer, message?: SeenMessage): readonly string[];
  /** What a schema of the document (or one that refers to its schemas) finds wrong with a value. */
  errorsOf(schema: object, value: unknown): readonly string[];
}

/**
 * Later versions may add members to answers, so clients must let them be; a test must not: every object that the document
 * gives members is closed here.
 */
export function checkAgainst(contract: Contract): ContractCheck {
  const closed = closeObjects(contract);
  const schemas = new Schemas(closed);
  const routes = Object.keys(closed.paths).map((path) => ({ path, form: formOf(path) })).sort((a, b) => parameters(a.path) - parameters(b.path));
  return {
    errorsOf: (schema, value) => schemas.errorsOf(schema, value),
    whatIsWrong(answer, message) {
      if (answer.status === 431) return jsonErrors(schemas, '#/components/schemas/Problem', answer.text);
      const method = answer.method === 'HEAD' ? 'get' : answer.method.toLowerCase();
      const path = answer.url.split('?')[0] ?? '';
      const matching = routes.filter(({ form }) => form.test(path));
      const route = matching.find((one) => closed.paths[one.path]?.[method] !== undefined);
      if (route === undefined) return notRouted(answer, matching.length > 0);
      const documented = `#/paths/${escaped(route.path)}/${method}/responses`;
      return message === undefined ? answerErrors(schemas, documented, answer) : messageErrors(schemas, `${documented}/${answer.status}`, message);
    },
  };
}

/** The schemas of a document, by where they stand in it. */
class Schemas {
  readonly #document: object;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'date-time': fullFormats['date-time'], uri: fullFormats.uri } });
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(document: object) {
    this.#document = document;
    this.#ajv.addSchema(document, 'contract');
  }

  /** The part at a pointer, and where it really stands when that is a reference. */
  at<T extends object>(pointer: string): { readonly part: T | undefined; readonly pointer: string } {
    const part = pointer.split('/').slice(1).reduce<unknown>((whole, name) => (whole as Schema | undefined)?.[unescaped(name)], this.#document) as (T & { readonly $ref?: string }) | undefined;
    return part?.$ref === undefined ? { part, pointer } : this.at<T>(part.$ref);
  }

  errors(pointer: string, value: unknown): readonly string[] {
    const validate = this.#compiled.get(pointer) ?? this.#ajv.compile({ $ref: `contract${pointer}` });
    this.#compiled.set(pointer, validate);
    return validate(value) ? [] : (validate.errors ?? []).map(said);
  }

  errorsOf(schema: object, value: unknown): readonly string[] {
    const rooted = JSON.parse(JSON.stringify(closeObjects(schema)).replaceAll('"#/', '"contract#/')) as object;
    return this.#ajv.validate(rooted, value) ? [] : (this.#ajv.errors ?? []).map(said);
  }
}

const said = ({ instancePath, message = '', params }: ErrorObject): string => {
  const { additionalProperty } = params as { readonly additionalProperty?: string };
  return `${instancePath === '' ? 'the body' : instancePath} ${message}${additionalProperty === undefined ? '' : `: ${additionalProperty}`}`;
};

function answerErrors(schemas: Schemas, documented: string, answer: SeenAnswer): readonly string[] {
  const { part: response, pointer } = schemas.at<Response>(`${documented}/${answer.status}`);
  if (response === undefined) return [`the status is ${answer.status}; documented: ${Object.keys(schemas.at(documented).part ?? {}).join(', ')}`];
  const headers = Object.keys(response.headers ?? {}).flatMap((name) => headerErrors(schemas, `${pointer}/headers/${name}`, name, answer));
  return [...headers, ...(answer.method === 'HEAD' ? [] : bodyErrors(schemas, response, pointer, answer))];
}

/** An `event` of a stream that is also answered as pages is an item of them. The document has no schema for other messages. */
function messageErrors(schemas: Schemas, documented: string, { event, data }: SeenMessage): readonly string[] {
  const item = `${schemas.at(documented).pointer}/content/${escaped('application/json')}/schema/properties/items/items`;
  return event === 'event' && schemas.at(item).part !== undefined ? jsonErrors(schemas, item, data) : [];
}

function jsonOf(text: string): Schema | undefined {
  try {
    return JSON.parse(text) as Schema;
  } catch {
    return undefined;
  }
}

function headerErrors(schemas: Schemas, described: string, name: string, { header }: SeenAnswer): readonly string[] {
  const { part, pointer } = schemas.at<Header>(described);
  const value = header(name.toLowerCase());
  if (value === undefined) return part?.required === true ? [`the header ${name} is missing`] : [];
  return schemas.errors(`${pointer}/schema`, value).map(() => `the header ${name} is ${value}`);
}

function bodyErrors(schemas: Schemas, { content = {} }: Response, pointer: string, { header, text }: SeenAnswer): readonly string[] {
  const [type = ''] = (header('content-type') ?? 'none').split(';');
  const described = content[type];
  if (described === undefined) return [`the content type is ${type}; documented: ${Object.keys(content).join(', ')}`];
  if (!type.endsWith('json')) return [];
  const slugs = type === 'application/problem+json' ? slugErrors(text, Object.keys(described.examples ?? {})) : [];
  return [...jsonErrors(schemas, `${pointer}/content/${escaped(type)}/schema`, text), ...slugs];
}

function jsonErrors(schemas: Schemas, pointer: string, text: string): readonly string[] {
  const value = jsonOf(text);
  return value === undefined ? ['the body is not JSON'] : schemas.errors(pointer, value);
}

function slugErrors(text: string, documented: readonly string[]): readonly string[] {
  const slug = String(jsonOf(text)?.['type']).replace('https://countersign.dev/problems/', '');
  return documented.includes(slug) ? [] : [`the problem is ${slug}; documented with this status: ${documented.join(', ')}`];
}

/** What is at no path of the document is 404; a method that its path does not have is 405. */
function notRouted({ method, url, status }: SeenAnswer, pathIsThere: boolean): readonly string[] {
  const expected = pathIsThere ? [404, 405] : [404];
  return expected.includes(status) ? [] : [`${method} ${url} is not documented, and yet it is answered`];
}

const parameters = (path: string): number => path.split('{').length;
const formOf = (path: string): RegExp => new RegExp(`^${path.split('/').map((part) => (part.startsWith('{') ? '[^/]+' : part.replaceAll('.', '\\.'))).join('/')}$`);

/** A name within a JSON pointer within a URI fragment. RFC 6901, section 6. */
const escaped = (name: string): string => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'));
const unescaped = (name: string): string => decodeURIComponent(name).replaceAll('~1', '/').replaceAll('~0', '~');

function closeObjects<T>(part: T): T {
  if (Array.isArray(part)) return part.map(closeObjects) as T;
  if (typeof part !== 'object' || part === null) return part;
  const copy: Record<string, unknown> = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, closeObjects<unknown>(value)]));
  const isOpen = copy['type'] === 'object' && typeof copy['properties'] === 'object' && copy['additionalProperties'] === undefined;
  return (isOpen ? { ...copy, additionalProperties: false } : copy) as T;
}

const document = import.meta.url.endsWith('.ts') ? '../../../openapi.yaml' : '../../../../openapi.yaml';

/** The committed document. */
export const readContract = (): Contract => parse(readFileSync(new URL(document, import.meta.url), 'utf8')) as Contract;

let committed: ContractCheck | undefined;

/** The check against the committed document. */
export const committedContract = (): ContractCheck => (committed ??= checkAgainst(readContract()));

/** In which way an answer, or a message of it, is not as openapi.yaml says; undefined when it is. */
export function complaintOf(contract: ContractCheck, answer: SeenAnswer, message?: SeenMessage): string | undefined {
  const wrong = contract.whatIsWrong(answer, message);
  if (wrong.length === 0) return undefined;
  return `${answer.method} ${answer.url} → ${answer.status} is not as openapi.yaml says (a new route? npm run openapi):\n  ${wrong.join('\n  ')}\n  ${(message?.data ?? answer.text).slice(0, 2_000)}`;
}

/** Throws when the committed openapi.yaml does not say that this may be answered: the test that asked fails. */
export function mustKeepContract(answer: SeenAnswer): void {
  const complaint = complaintOf(committedContract(), answer);
  if (complaint !== undefined) throw new Error(complaint);
}
