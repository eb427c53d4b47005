import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readServerConfig } from '#config';
import { createLog } from '#telemetry';
import { createServer, type Server } from '../../apps/server/server.ts';
import { systemClock, systemIds } from '../../apps/server/system.ts';
import { person } from '../support/demo/client.ts';
import { type Receiver, startReceiver, verifies } from '../support/demo/receiver.ts';

const keyOf = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const rootKey = 'a-root-key-of-the-environment-0123456789';

let folder: string;
let receiver: Receiver;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-master-key-'));
  receiver = await startReceiver();
});

afterAll(async () => {
  await receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a server with these master keys; `saidSoon` resolves when its log says so. */
async function start(environment: Record<string, string>): Promise<{ server: Server; saidSoon: (text: string) => Promise<void> }> {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const write = (line: string): void => {
    lines.push(line);
    for (const look of waiting) look();
  };
  const config = readServerConfig({ KF_PORT: '0', KF_DATA_DIR: folder, KF_ALLOW_TARGETS: 'loopback', KF_ROOT_KEY: rootKey, ...environment });
  const onFatal = (error: Error): never => {
    throw error;
  };
  const server = await createServer({ config, clock: systemClock, ids: systemIds, log: createLog('info', { write }), version: 'test', processMetrics: false, onFatal });
  const saidSoon = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (lines.some((line) => line.includes(text))) resolve();
      };
      waiting.add(look);
      look();
    });
  return { server, saidSoon };
}

const root = (server: Server): ReturnType<typeof person> => person(server.url, rootKey, { type: 'USER', id: 'root' });

describe('a change of the master key', () => {
  it('seals everything anew while the previous key is there; afterwards the new key is enough, and the old one is not', async () => {
    const first = await start({ KF_MASTER_KEY: keyOf(1) });
    const payload = { webhookSubscriptionId: 'whs_1', eventPattern: '**', targetUrl: `${receiver.url}/hook`, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
    const { secret } = (await root(first.server).command('UpsertWebhookSubscription', payload)).body['result'] as { secret: string };
    await first.server.close();

    const change = await start({ KF_MASTER_KEY: keyOf(2), KF_MASTER_KEY_PREVIOUS: keyOf(1) });
    await change.saidSoon('every secret is sealed under the current master key');
    await change.server.close();

    const after = await start({ KF_MASTER_KEY: keyOf(2) });
    await root(after.server).publish('evt-1', 'version.published', '{}');
    expect(verifies(secret, await receiver.waitFor('the delivery', () => true))).toBe(true);
    await after.server.close();

    await expect(start({ KF_MASTER_KEY: keyOf(1) })).rejects.toThrow(/master key/i);
  }, 60_000);
});
