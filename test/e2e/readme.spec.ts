import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { readServerConfig } from '#config';
import { limits } from '#contracts';
import { Webhook } from 'standardwebhooks';
import { parse } from 'yaml';
import { textOf } from '../support/e2e/checkout.ts';
import { kf, leafVerbs } from '../support/kf.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const readme = textOf('README.md');

/** The text between a heading and the next one of its rank. */
const section = (heading: string): string => readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';

describe('the reference of the README', () => {
  const tableRows = (text: string): readonly (readonly string[])[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.replaceAll('\\|', '\u0000').split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('\u0000', '|')));
  const codes = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

  it('names every script of package.json', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
    const named = codes(section('Commands of the checkout')).flatMap((code) => /^npm (?:run )?([\w:]+)/.exec(code)?.[1] ?? []);
    expect(Object.keys(scripts).filter((name) => !named.includes(name))).toEqual([]);
    expect(named.filter((name) => !Object.hasOwn(scripts, name) && name !== 'ci')).toEqual([]);
  });

  it('names every variable of the server, and none that it does not know', () => {
    const named = tableRows(section('Configuration')).flatMap(([first = '']) => codes(first).filter((code) => /^KF_[A-Z_]+$/.test(code)));
    expect(() => readServerConfig(Object.fromEntries(named.map((name) => [name, ''])))).not.toThrow();
    const known = new Set([...textOf('libs/config/server.ts').matchAll(/'(KF_[A-Z_]+)'/g)].map(([, name = '']) => name));
    expect([...known].filter((name) => !section('Configuration').includes(`\`${name}\``))).toEqual([]);
  });

  it('names verbs and flags that kf has, and every verb', async () => {
    const rows = tableRows(section('kf')).filter(([verb = '']) => verb.startsWith('`kf '));
    const helps = await Promise.all(rows.flatMap(([verb = '', flags = '']) => codes(verb).map(async (line) => ({ line, flags: flags.match(/--[a-z-]+/g) ?? [], help: await kf([...line.split(' ').slice(1), '--help']) }))));
    expect(helps.filter(({ help }) => help.code !== 0).map(({ line }) => line)).toEqual([]);
    expect(helps.flatMap(({ line, flags, help }) => flags.filter((flag) => !new RegExp(`${flag}\\b`).test(help.out)).map((flag) => `${line} ${flag}`))).toEqual([]);
    expect((await leafVerbs()).filter((verb) => !helps.some(({ line }) => line === `kf ${verb}`))).toEqual([]);
  });

  it('names every route of openapi.yaml, and no other', () => {
    const { paths } = parse(textOf('openapi.yaml')) as { readonly paths: Readonly<Record<string, object>> };
    const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/^\/api\/commands\/[A-Z]\w+$/, '/api/commands/{commandType}')}`));
    const named = tableRows(section('HTTP')).flatMap(([route = '']) => codes(route).filter((code) => /^(GET|POST|PATCH|DELETE) \//.test(code)));
    expect([...new Set(named)].sort()).toEqual([...new Set(routes)].sort());
  });

  it('shows receivers a check that takes what is signed, and nothing else', async () => {
    const source = /^```js\n(.*?)^```$/ms.exec(section('For receivers'))?.[1] ?? '';
    const { verify } = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as { readonly verify: (secret: string, headers: object, body: string) => void };
    const [secret, other] = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`) as [string, string];
    const signedAt = (date: Date, by = secret): object => ({ 'webhook-id': 'dlv_1', 'webhook-timestamp': String(Math.floor(date.getTime() / 1_000)), 'webhook-signature': `v1,AAAA ${new Webhook(by).sign('dlv_1', date, '{"a":1}')}` });
    expect(() => verify(secret, signedAt(new Date()), '{"a":1}')).not.toThrow();
    expect(() => verify(secret, signedAt(new Date()), '{"a":2}')).toThrow('not signed');
    expect(() => verify(secret, signedAt(new Date(), other), '{"a":1}')).toThrow('not signed');
    expect(() => verify(secret, signedAt(new Date(Date.now() - 600_000)), '{"a":1}')).toThrow('too old');
    expect(() => verify(secret, { ...signedAt(new Date()), 'webhook-timestamp': 'soon' }, '{"a":1}')).toThrow('too old');
  });

  it('says the limits that the code has', () => {
    const said = section('Limits');
    for (const text of [`${limits.eventDataBytes / 1_024} KiB`, `${limits.requestBodyBytes / 1_024 ** 2} MiB`, limits.eventsPerRequest.toLocaleString('en'), `at most ${limits.pageSize}`]) expect(said).toContain(text);
    expect(said).toContain(`approvers a policy names | at most ${limits.onBehalfOf}; at most ${limits.approvers} |`);
    expect(said).toContain(`errors told of one request | at most ${limits.toldErrors} |`);
  });

  it('links to files that are there', () => {
    const links = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md'].flatMap((file) => [...textOf(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = '']) => link));
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  it('names files and folders that are there', () => {
    const paths = [...textOf('ARCHITECTURE.md').matchAll(/`((?:apps|libs|test|docs|bench)\/[\w./-]+)`/g)].map(([, path = '']) => path);
    expect(paths.length).toBeGreaterThan(40);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('names every lib and every category of streams', () => {
    const text = textOf('ARCHITECTURE.md');
    const libs = readdirSync(join(root, 'libs'));
    const categories = [...(textOf('libs/kernel/streams.ts').split('export type Category =')[1]?.split(';')[0] ?? '').matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
    expect(libs.filter((lib) => !text.includes(`\`${lib}\``))).toEqual([]);
    expect(categories.filter((category) => !text.includes(`\`${category}\``))).toEqual([]);
  });
});
