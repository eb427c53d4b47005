import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Api } from '../support/e2e/api.ts';
import { startServer } from '../support/server-process.ts';
import { type HttpReceiver, receiverCertificate, startTlsReceiver } from '../support/webhook-receivers.ts';

let receiver: HttpReceiver;
const folder = mkdtempSync(join(tmpdir(), 'countersign-ca-'));
const authority = join(folder, 'authority.pem');

beforeAll(async () => {
  writeFileSync(authority, receiverCertificate);
  receiver = await startTlsReceiver();
});
afterAll(async () => {
  await receiver?.close();
  await rm(folder, { recursive: true });
});

/** What a probe of the receiver comes to, from a server with these variables. */
async function probed(environment: Readonly<Record<string, string>>): Promise<unknown> {
  const server = await startServer({ dataDir: mkdtempSync(join(folder, 'data-')), environment });
  try {
    const url = receiver.url.replace('127.0.0.1', 'localhost');
    const { body } = await new Api(server.url, server.rootKey).ask('POST', '/api/webhooks/probe?siteId=acme', { body: { url, event: 'order.created' } });
    const { error, response } = body['transcript'] as { readonly error: string | null; readonly response: { readonly status: number } | null };
    return { error, status: response?.status };
  } finally {
    await server.stop();
  }
}

describe('a receiver whose certificate is from an authority of its own', () => {
  it('is not believed', async () => {
    expect(await probed({})).toEqual({ error: 'tls-failed', status: undefined });
  }, 30_000);

  it('is believed when NODE_EXTRA_CA_CERTS names a file with the authority, and is reached directly whatever proxies the environment names', async () => {
    const nobody = 'http://127.0.0.1:1';
    expect(await probed({ NODE_EXTRA_CA_CERTS: authority, NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: nobody, HTTP_PROXY: nobody, https_proxy: nobody, http_proxy: nobody })).toEqual({ error: null, status: 200 });
  }, 30_000);
});
