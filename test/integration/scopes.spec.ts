import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Contract, readContract } from '../support/e2e/contract.ts';
import { rootKeyText, type SendOptions, type Sent, type Shell, startShell } from '../support/http-shell.ts';
import { type Admitted, routes } from '../support/routes.ts';

interface Documented {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: { readonly examples?: readonly unknown[] } }[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly example: object } } };
}
const contract = readContract() as Contract & { readonly paths: Readonly<Record<string, Readonly<Record<string, Documented>>>> };

/** A request that the route takes, about a site. */
interface Ready {
  readonly name: string;
  readonly method: string;
  readonly to: Admitted;
  readonly url: (siteId: string) => string;
  readonly options: (siteId: string) => SendOptions;
}

const named: Readonly<Record<string, string>> = { commandType: 'PauseWebhookSubscription', name: 'api-keys', file: 'start.js', commandId: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e' };

function ready([route, to]: [string, Admitted]): Ready {
  const [method = '', path = ''] = route.split(' ');
  const { parameters = [], requestBody } = contract.paths[path]?.[method.toLowerCase()] ?? {};
  const required = Object.fromEntries(parameters.filter((parameter) => parameter.in === 'query' && parameter.required).map(({ name, schema }) => [name, String(schema.examples?.[0])]));
  const example = requestBody?.content['application/json'].example;
  const filled = path.replaceAll(/\{(\w+)\}/g, (_whole, parameter: string) => named[parameter] ?? 'orders');
  const isCommand = path.startsWith('/api/commands/') && method === 'POST';
  const siteIn = (siteId: string): object => (isCommand ? { tenant: siteId.split('.')[0], environment: siteId.split('.')[1] ?? 'production' } : {});
  return {
    name: route,
    method,
    to,
    url: (siteId) => `${filled}?${new URLSearchParams({ ...(isCommand || typeof to === 'string' ? {} : { siteId }), ...required }).toString()}`.replace(/\?$/, ''),
    options: (siteId) => ({ ...(isCommand ? { headers: { 'idempotency-key': path.endsWith('PublishEvent') ? 'evt-4711' : 'k1' } } : {}), ...(example === undefined ? {} : { body: { ...example, ...siteIn(siteId) } }) }),
  };
}

const all = Object.entries(routes).map(ready).map((route): [string, Ready] => [route.name, route]);
const closed = all.filter(([, { to }]) => to !== 'everybody');
const ofSites = closed.filter(([, { to }]) => typeof to !== 'string');
const rights = ['read', 'write', 'approve', 'audit', 'admin'] as const;
type Right = (typeof rights)[number];

const scope = (right: Right, site: string): string => (right === 'admin' ? 'admin' : `site:${site}:${right}`);
const opens = (to: Admitted, right: Right): boolean => to === 'any key' || to === right || (typeof to !== 'string' && to.includes(right));

/** A port of which every question is rejected: whoever got past the door meets that, and nobody a 404 of what is not there. */
const refusing = (own: object = {}): never =>
  new Proxy(own, { get: (answered, name) => (name in answered ? (Reflect.get(answered, name) as unknown) : /^(then|on|before)/.test(String(name)) ? undefined : () => Promise.reject(new Error('past the door'))) }) as never;

let shell: Shell;
beforeAll(async () => {
  shell = await startShell({ current: refusing(), logReader: refusing(), backups: refusing(), reads: refusing({ apiKeyById: (id: string) => Promise.resolve(shell.keys.get(id)) }) });
});
afterAll(() => shell.close());
beforeEach(() => {
  shell.commands.length = 0;
  shell.published.length = 0;
});

const send = (route: Ready, key: string | null, siteId = 'acme'): Promise<Sent> => shell.send(route.method, route.url(siteId), { ...route.options(siteId), key });
const slugOf = ({ body }: Sent): string => String(body['type']).replace('https://countersign.dev/problems/', '');

/** Where a request ended: past the door, or why not. */
async function ended(route: Ready, key: string | null, siteId?: string): Promise<string> {
  const answer = await send(route, key, siteId);
  return [401, 403, 404].includes(answer.status) ? `${answer.status} ${slugOf(answer)}` : 'in';
}
const nothingHappened = (): void => expect([shell.commands, shell.published]).toEqual([[], []]);

describe('the table of routes', () => {
  it('has every route of the document, and no other', () => {
    const documented = Object.entries(contract.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    expect(Object.keys(routes).sort()).toEqual(documented.sort());
  });
});

describe.each(all.filter(([, { to }]) => to === 'everybody'))('%s', (_name, route) => {
  it('is open without a key, and does not care for a wrong one', async () => {
    expect([await ended(route, null), await ended(route, 'nonsense')]).toEqual(['in', 'in']);
  });
});

describe.each(closed)('%s', (_name, route) => {
  const siteKnown = typeof route.to !== 'string';

  it('without a key is 401, and so is an unknown, malformed or expired one', async () => {
    const { status, headers } = await send(route, null);
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
    const everything = rights.map((right) => scope(right, '*'));
    const good = shell.key(everything);
    for (const key of [`${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`, 'kf_root_x', 'x'.repeat(300), shell.key(everything, { expiresOnMs: shell.clock.now() })]) expect(await ended(route, key)).toBe('401 unauthenticated');
    nothingHappened();
  });

  it('with a key revoked a moment ago is 401', async () => {
    const key = shell.key(rights.map((right) => scope(right, '*')));
    expect(await ended(route, key)).toBe('in');
    const [id, record] = [...shell.keys].at(-1) ?? [];
    if (id === undefined || record === undefined) throw new Error('no key');
    shell.keys.set(id, { ...record, revokedAtMs: shell.clock.now() });
    shell.commit({ position: '11', events: [{ stream: `apikey-acme.production.${id}`, revision: 1, position: '11', id: 'r', type: 'ApiKeyRevoked', data: '{}', metadata: {} }] });
    expect(await ended(route, key)).toBe('401 unauthenticated');
  });

  it.each(rights)('with the scope %s alone: as the table says', async (right) => {
    const refused = siteKnown && right === 'admin' ? '404 not-found' : '403 forbidden';
    expect(await ended(route, shell.key([scope(right, 'acme')]))).toBe(opens(route.to, right) ? 'in' : refused);
    if (!opens(route.to, right)) nothingHappened();
  });

  it('with every scope but those of the table is refused', async () => {
    const others = rights.filter((right) => !opens(route.to, right)).map((right) => scope(right, 'acme'));
    if (others.length > 0) expect(await ended(route, shell.key(others))).toBe('403 forbidden');
    nothingHappened();
  });

  it('opens with the root key', async () => expect(await ended(route, rootKeyText)).toBe('in'));
});

describe.each(ofSites)('%s', (_name, route) => {
  const ofASite = rights.filter((right) => right !== 'admin');

  it('of another site than the key’s is 404, the same as of one that nobody uses', async () => {
    const key = shell.key(ofASite.map((right) => scope(right, 'other')));
    const [foreign, nowhere] = [await send(route, key, 'acme'), await send(route, key, 'nowhere.staging')];
    expect([foreign.status, nowhere.status, slugOf(foreign)]).toEqual([404, 404, 'not-found']);
    const { correlationId: _a, ...first } = foreign.body;
    const { correlationId: _b, ...second } = nowhere.body;
    expect(first).toEqual(second);
    nothingHappened();
  });

  it.each([
    ['acme', 'in', '404 not-found', '404 not-found'],
    ['acme.production', 'in', '404 not-found', '404 not-found'],
    ['acme.staging', '404 not-found', 'in', '404 not-found'],
    ['acme.*', 'in', 'in', '404 not-found'],
    ['*', 'in', 'in', 'in'],
  ])('with its right in %s: acme %s, acme.staging %s, another tenant %s', async (site, production, staging, other) => {
    for (const right of ofASite.filter((one) => opens(route.to, one))) {
      const key = shell.key([scope(right, site)]);
      expect([await ended(route, key, 'acme'), await ended(route, key, 'acme.staging'), await ended(route, key, 'acmes')]).toEqual([production, staging, other]);
    }
  });

  it.each(['acme', 'acme.*', '*'])('with the other rights in %s is 403', async (site) => {
    const key = shell.key(ofASite.filter((right) => !opens(route.to, right)).map((right) => scope(right, site)));
    expect(await ended(route, key)).toBe('403 forbidden');
    nothingHappened();
  });
});
