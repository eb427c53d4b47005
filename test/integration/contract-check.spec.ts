import { describe, expect, it } from '@jest/globals';
import { checkAgainst, type SeenAnswer } from '../support/e2e/contract.ts';

const thing = { type: 'object', required: ['id'], properties: { id: { type: 'string' }, size: { type: ['integer', 'null'] }, free: { type: 'object', additionalProperties: true } } };
const problem = { type: 'object', required: ['type', 'status'], properties: { type: { type: 'string' }, status: { type: 'integer' }, errors: { type: 'array' } } };

const check = checkAgainst({
  components: {
    schemas: { Thing: thing, Problem: problem },
    headers: { ETag: { required: true, schema: { type: 'string', pattern: '^"[0-9]+"$' } }, 'Retry-After': { required: false, schema: { type: 'string' } } },
    responses: { 'not-found': { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' }, examples: { 'not-found': {} } } } } },
  },
  paths: {
    '/things/{id}': {
      get: {
        responses: {
          200: { headers: { ETag: { $ref: '#/components/headers/ETag' }, 'Retry-After': { $ref: '#/components/headers/Retry-After' } }, content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } } },
          404: { $ref: '#/components/responses/not-found' },
        },
      },
    },
    '/things/all': { get: { responses: { 200: { content: { 'text/plain': { schema: { type: 'string' } } } } } } },
  },
} as object as Parameters<typeof checkAgainst>[0]);

const wrongWith = (change: Partial<Omit<SeenAnswer, 'header'>> & { readonly headers?: Readonly<Record<string, string>>; readonly body?: object }): readonly string[] => {
  const { headers = { etag: '"3"' }, body = { id: 'a' }, ...rest } = change;
  const all: Readonly<Record<string, string>> = { 'content-type': 'application/json; charset=utf-8', ...headers };
  return check.whatIsWrong({ method: 'GET', url: '/things/a?x=1', status: 200, text: JSON.stringify(body), header: (name) => all[name], ...rest });
};
const asProblem = { status: 404, headers: { 'content-type': 'application/problem+json' } };
const notFound = { type: 'https://countersign.dev/problems/not-found', status: 404 };

describe('the check of answers', () => {
  it('lets pass what the document says', () => {
    expect(wrongWith({})).toEqual([]);
    expect(wrongWith({ body: { id: 'a', size: null, free: { any: 1 } } })).toEqual([]);
    expect(wrongWith({ ...asProblem, body: notFound })).toEqual([]);
    expect(wrongWith({ url: '/things/all', text: 'a, b', headers: { 'content-type': 'text/plain' } })).toEqual([]);
    expect(wrongWith({ method: 'HEAD', text: '' })).toEqual([]);
  });

  it.each([
    ['a member that is not documented', { body: { id: 'a', extra: 1 } }, ['the body must NOT have additional properties: extra']],
    ['a member that is missing', { body: {} }, ["the body must have required property 'id'"]],
    ['a member of another type', { body: { id: 'a', size: '1' } }, ['/size must be integer,null']],
    ['a status that is not documented', { status: 418 }, ['the status is 418; documented: 200, 404']],
    ['another content type', { headers: { 'content-type': 'text/html', etag: '"3"' } }, ['the content type is text/html; documented: application/json']],
    ['a header that is missing', { headers: {} }, ['the header ETag is missing']],
    ['a header of another form', { headers: { etag: '3' } }, ['the header ETag is 3']],
    ['a problem that is not documented', { ...asProblem, body: { ...notFound, type: 'https://countersign.dev/problems/forbidden' } }, ['the problem is forbidden; documented with this status: not-found']],
    ['a member that the problem does not have', { ...asProblem, body: { ...notFound, hint: 1 } }, ['the body must NOT have additional properties: hint']],
    ['a path that is not documented', { url: '/others' }, ['GET /others is not documented, and yet it is answered']],
    ['a method that is not documented', { method: 'DELETE' }, ['DELETE /things/a?x=1 is not documented, and yet it is answered']],
    ['the literal path answering as the one with a parameter', { url: '/things/all' }, ['the content type is application/json; documented: text/plain']],
  ])('finds %s', (_what, change, wrong) => expect(wrongWith(change)).toEqual(wrong));

  it('expects 404 of what is at no path, and 405 of a method that its path does not have', () => {
    expect(wrongWith({ url: '/others', status: 404 })).toEqual([]);
    expect(wrongWith({ method: 'DELETE', status: 405 })).toEqual([]);
    expect(wrongWith({ url: '/others', status: 405 })).not.toEqual([]);
  });

  it('expects of 431, which comes before any path, that it is a problem', () => {
    expect(wrongWith({ status: 431, body: { type: 'a', status: 431 } })).toEqual([]);
    expect(wrongWith({ status: 431 })).not.toEqual([]);
  });
});
