import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Installation } from '../support/e2e/installation.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await Installation.start();
}, 60_000);
afterAll(() => installation?.end());

const get = (path: string): Promise<Response> => fetch(new URL(path, installation.server.url));

/** Everything that the page at an address loads by itself, as absolute addresses. */
const loadedBy = (html: string, at: string): readonly URL[] => [...html.matchAll(/<(?:script|link|img|iframe)[^>]*?(?:src|href)="([^"]*)"/g)].map(([, address = '']) => new URL(address, at));

describe('/docs', () => {
  it('is a page that is open without a key and may load nothing but what this server serves', async () => {
    const answer = await get('/docs');
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('x-content-type-options'), answer.headers.get('referrer-policy')]).toEqual([200, 'text/html; charset=utf-8', 'nosniff', 'no-referrer']);
    const policy = Object.fromEntries((answer.headers.get('content-security-policy') ?? '').split('; ').map((directive): [string, string] => [directive.split(' ')[0] ?? '', directive.slice(directive.indexOf(' ') + 1)]));
    expect(policy).toMatchObject({ 'default-src': "'self'", 'script-src': "'self'", 'style-src': "'self'", 'connect-src': "'self'", 'object-src': "'none'", 'base-uri': "'none'", 'form-action': "'none'", 'frame-ancestors': "'none'" });
    expect(Object.values(policy).join(' ')).not.toMatch(/unsafe|http|\*/);
  });

  it('loads parts that are all here, each of its right type', async () => {
    const at = new URL('/docs', installation.server.url);
    const html = await (await get('/docs')).text();
    const parts = loadedBy(html, at.href);
    expect(parts.map(({ pathname }) => pathname)).toEqual(['/docs/favicon-32x32.png', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/docs/start.js']);
    for (const part of parts) {
      expect(part.origin).toBe(at.origin);
      const answer = await fetch(part);
      const bytes = (await answer.arrayBuffer()).byteLength;
      const type = part.pathname.endsWith('.css') ? 'text/css; charset=utf-8' : part.pathname.endsWith('.js') ? 'text/javascript; charset=utf-8' : 'image/png';
      expect([part.pathname, answer.status, answer.headers.get('content-type'), bytes > 200]).toEqual([part.pathname, 200, type, true]);
    }
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|\son\w+=|\sstyle=/);
  });

  it('reads the document of this server, and asks nobody on the internet about it', async () => {
    const start = await (await get('/docs/start.js')).text();
    const [, address = ''] = /url: '([^']*)'/.exec(start) ?? [];
    const document = await get(new URL(address, new URL('/docs', installation.server.url)).pathname);
    expect([document.status, document.headers.get('content-type')]).toEqual([200, 'application/yaml']);
    expect(start).toContain('validatorUrl: null');
    for (const text of [start, await (await get('/docs')).text()]) expect(text).not.toMatch(/https?:\/\//);
  });

  it('has a style sheet that loads nothing: its images stand in it', async () => {
    const sheet = await (await get('/docs/swagger-ui.css')).text();
    expect(sheet.length).toBeGreaterThan(100_000);
    expect([...sheet.matchAll(/url\(\s*["']?([^)"']{0,12})/g)].filter(([, address = '']) => !address.startsWith('data:'))).toEqual([]);
    expect(sheet).not.toContain('@import');
  });

  it.each(['/docs/', '/docs/index.html', '/docs/swagger-initializer.js', '/docs/package.json', '/docs/..%2f..%2fpackage.json', '/docs/__proto__'])('%s is not there', async (path) => {
    expect((await get(path)).status).toBe(404);
  });

  it('answers HEAD like GET without the page, and no other method', async () => {
    const head = await fetch(new URL('/docs', installation.server.url), { method: 'HEAD' });
    expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, 'text/html; charset=utf-8', '']);
    const posted = await fetch(new URL('/docs', installation.server.url), { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});
