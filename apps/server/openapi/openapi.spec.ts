import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { problems } from '#contracts';
import { checkAgainst, type Contract } from '../../../test/support/e2e/contract.ts';
import { type Shell, startShell } from '../../../test/support/http-shell.ts';
import { routes } from '../../../test/support/routes.ts';

interface Media {
  readonly schema: object;
  readonly example?: unknown;
}

interface Response {
  readonly $ref?: string;
  readonly description: string;
  readonly content?: Readonly<Record<string, Media>>;
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, Response>>;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: { readonly content: { readonly 'application/json': Media } };
}

const root = new URL('../../../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { readonly version: string };

let shell: Shell;
let text: string;
let document: { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>; readonly components: { readonly schemas: Readonly<Record<string, object>>; readonly responses: Readonly<Record<string, Response>>; readonly examples: Readonly<Record<string, { readonly value: object }>> } };

beforeAll(async () => {
  shell = await startShell({ version });
  text = (await shell.send('GET', '/openapi.yaml', { key: null })).text;
  document = parse(text) as typeof document;
});
afterAll(() => shell.close());

const operations = (): [string, Operation][] => Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation]));

const answerOf = (response: Response | undefined): Response | undefined => (response?.$ref === undefined ? response : document.components.responses[response.$ref.split('/').at(-1) ?? '']);

describe('the OpenAPI document', () => {
  it('is the committed openapi.yaml (write it again with: npm run openapi)', () => {
    expect(text).toBe(readFileSync(new URL('openapi.yaml', root), 'utf8'));
  });

  it('has every route of the contract, each command type as a path of its own', () => {
    expect(operations().map(([route]) => route).sort()).toEqual(Object.keys(routes).sort());
  });

  it('refers only to schemas that it has, and has none that nothing refers to', () => {
    const referred = new Set([...text.matchAll(/"?#\/components\/schemas\/(\w+)"?/g)].map(([, name]) => name));
    expect([...referred].sort()).toEqual(Object.keys(document.components.schemas).sort());
  });

  it('says of every route what it does, what it needs and how it fails', () => {
    const ids = operations().map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [route, { summary, security, responses }] of operations()) {
      expect([route, typeof summary]).toEqual([route, 'string']);
      expect([route, security]).toEqual([route, routes[route] === 'everybody' ? [] : [{ apiKey: [] }]]);
      if (security.length > 0) expect([route, answerOf(responses['401'])?.description]).toEqual([route, expect.stringContaining('`unauthenticated`')]);
    }
  });

  it('shows how every body and every answer looks, each as its own schema would have it', () => {
    const check = checkAgainst(parse(text) as Contract);
    const shown = operations().flatMap(([route, { requestBody, responses }]) => [
      ...Object.entries(requestBody?.content ?? {}).map(([type, media]) => ({ at: `${route} request ${type}`, media })),
      ...Object.entries(responses).flatMap(([status, response]) => Object.entries(response.content ?? {}).map(([type, media]) => ({ at: `${route} ${status} ${type}`, media }))),
    ]).filter(({ at }) => at.endsWith('json'));
    expect(shown.length).toBeGreaterThan(60);
    for (const { at, media } of shown) expect([at, media.example === undefined ? ['has no example'] : check.errorsOf(media.schema, media.example)]).toEqual([at, []]);
    for (const [slug, { value }] of Object.entries(document.components.examples)) expect([slug, check.errorsOf({ $ref: '#/components/schemas/Problem' }, value)]).toEqual([slug, []]);
  });

  it('requires the idempotency key of a command, and gives an example that is taken', async () => {
    for (const [route, { parameters = [], requestBody }] of operations().filter(([route]) => route.startsWith('POST /api/commands/'))) {
      expect([route, parameters.find(({ name }) => name === 'Idempotency-Key')?.required]).toEqual([route, true]);
      const [, path = ''] = route.split(' ');
      const key = path.endsWith('PublishEvent') ? 'evt-4711' : 'k1';
      const { status, body } = await shell.send('POST', path, { headers: { 'idempotency-key': key }, body: requestBody?.content['application/json'].example });
      expect([route, status, body['errors']]).toEqual([route, 200, undefined]);
    }
  });

  it('says where to read what a published event came to, which is no command that can be read', () => {
    expect(document.paths['/api/commands/{commandId}']?.['get']?.description).toMatch(/PublishEvent.*404.*GET \/api\/events\/\{eventId\}/);
  });

  it.each(['GrantApproval', 'DenyApproval', 'WithdrawApproval', 'RevokeApproval'])('says that %s finds an approval that is over no longer pending', (type) => {
    const said = Object.values(document.paths[`/api/commands/${type}`]?.['post']?.responses ?? {}).map((response) => answerOf(response)?.description).join(' ');
    expect([said.includes('`approval-not-pending`'), said.includes('`approval-expired`')]).toEqual([true, false]);
  });

  it('names only problems of the catalogue', () => {
    for (const [, { responses }] of operations()) for (const [, slug = ''] of Object.values(responses).flatMap((response) => [...(answerOf(response)?.description ?? '').matchAll(/`([a-z-]+)`/g)])) expect(Object.keys(problems)).toContain(slug);
  });
});
