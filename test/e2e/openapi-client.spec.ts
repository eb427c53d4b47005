import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What somebody would write who has nothing of Countersign but its openapi.yaml. */
const program = `
import { client } from './client/client.gen.js';
import { createWebhook, getDelivery, listDeliveries, publishEvents, retryDelivery, type Delivery, type Problem } from './client/index.js';

const [, , baseUrl = '', auth = '', url = ''] = process.argv;
client.setConfig({ baseUrl, auth });
const query = { siteId: 'acme' };

const taken = <T>({ data, error }: { readonly data?: T; readonly error?: Problem }): T => {
  if (data === undefined) throw new Error(error === undefined ? 'no answer' : \`\${error.type}: \${error.detail}\`);
  return data;
};

async function waitsFor(id: string, status: Delivery['status']): Promise<Delivery> {
  for (let looks = 0; looks < 500; looks += 1) {
    const { items } = taken(await listDeliveries({ path: { subscriptionId: id }, query: { ...query, status } }));
    const [delivery] = items;
    if (delivery !== undefined) return delivery;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(\`no delivery is \${status}\`);
}

const created = await createWebhook({ query, body: { url, events: ['version.*'], description: 'made by a generated client' } });
const { subscription, secret } = taken(created);
const refused = await createWebhook({ query, body: { url: 'https://10.0.0.1/', events: ['version.*'] } });
const published = taken(await publishEvents({ query, body: { eventId: 'evt-1', type: 'version.published', data: { version: '1.2.0' } } }));
const dead = await waitsFor(subscription.id, 'DEAD_LETTERED');
const retried = taken(await retryDelivery({ path: { subscriptionId: subscription.id, deliveryId: dead.id }, query, body: { resetAttempts: true } }));
await waitsFor(subscription.id, 'DELIVERED');
const detail = taken(await getDelivery({ path: { subscriptionId: subscription.id, deliveryId: dead.id }, query }));
const statuses: readonly (number | undefined)[] = detail.transcripts.map(({ response }) => response?.status);
const mode: 'AT_LEAST_ONCE' | 'ORDERED' | 'BEST_EFFORT' = subscription.deliveryMode;

// @ts-expect-error: the types are those of the document, and it has no such member.
const nothing: unknown = subscription.signingSecret;
// @ts-expect-error: nor such a status.
const never = (): Promise<unknown> => waitsFor(subscription.id, 'LOST');

console.log(JSON.stringify({
  created: created.response?.status,
  etag: created.response?.headers.get('etag'),
  secret: secret?.slice(0, 6),
  status: subscription.status,
  mode,
  refused: [refused.response?.status, refused.error?.type, refused.error?.setting],
  published: published.items.map(({ eventId, status }) => [eventId, status]),
  retried: [retried.outcome, retried.delivery.status],
  statuses,
  nothing: nothing === undefined && typeof never === 'function',
}));
`;

const run = (file: string, args: readonly string[], cwd: string): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(file, args, { cwd, timeout: 60_000, env: { PATH: process.env['PATH'] } }, (error, out, err) => (error === null ? resolve(out) : reject(new Error(`${args.join(' ')}\n${out}\n${err}`))));
  });

describe('a client that a generator made of openapi.yaml', () => {
  let folder: string;
  let installation: Installation;
  let inbox: Inbox;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-client-'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    inbox = await Inbox.start();
    installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s' });
  }, 60_000);
  afterAll(async () => {
    await inbox?.close();
    await installation?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it('compiles, and creates a subscription, publishes, finds the dead delivery and retries it', async () => {
    const generate = `await (await import('@hey-api/openapi-ts')).createClient(${JSON.stringify({
      input: join(root, 'openapi.yaml'),
      output: { path: join(folder, 'client'), module: { extension: '.js' } },
      plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
      logs: { level: 'silent', file: false },
    })});`;
    writeFileSync(join(folder, 'generate.mjs'), generate);
    await run(process.execPath, ['generate.mjs'], folder);
    mkdirSync(join(folder, 'built'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'program.ts'), program);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2024', lib: ['es2024', 'dom', 'dom.iterable'], module: 'nodenext', strict: true, types: ['node'], outDir: 'built', rootDir: '.' }, include: ['client', 'program.ts'] }));
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], folder);

    let answers = 0;
    const url = inbox.url('generated', () => ({ status: (answers += 1) === 1 ? 500 : 200 }));
    const out = await run(process.execPath, ['built/program.js', installation.url, installation.server.rootKey, url], folder);
    expect(JSON.parse(out)).toEqual({
      created: 201,
      etag: '"1"',
      secret: 'whsec_',
      status: 'ACTIVE',
      mode: 'AT_LEAST_ONCE',
      refused: [422, 'https://countersign.dev/problems/target-url-refused', expect.stringContaining('KF_ALLOW_')],
      published: [['evt-1', 'ACCEPTED']],
      retried: ['APPLIED', 'PENDING'],
      statuses: [500, 200],
      nothing: true,
    });
  }, 120_000);
});
