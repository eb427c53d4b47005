import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { readServerConfig } from '#config';
import { createLog } from '#telemetry';
import { createServer } from '../../apps/server/server.ts';
import { systemClock, systemIds } from '../../apps/server/system.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { startEventStoreDb } from '../support/eventstoredb/server.ts';

it('a server that stops hands its work over at once, while a command that takes long is still answered', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'countersign-stop-'));
  const store = await startEventStoreDb();
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const rootKey = 'r'.repeat(32);
  const server = await createServer({
    config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: dataDir, KF_EVENT_STORE: store.url, KF_MASTER_KEY: Buffer.alloc(32, 1).toString('base64'), KF_ROOT_KEY: rootKey }),
    clock: systemClock,
    ids: systemIds,
    log: createLog('fatal'),
    version: '0.0.0-test',
    processMetrics: false,
    onFatal: (error) => {
      throw error;
    },
    seams: {
      wrapPipeline: (pipeline) => ({
        ...pipeline,
        execute: async (request) => {
          asked.resolve();
          await goOn.promise;
          return await pipeline.execute(request);
        },
      }),
    },
  });
  const claims = (type: string): number => store.log.events.filter((event) => event.type === type).length;
  await eventually('both roles to be claimed', () => (claims('ProcessClaimed') === 2 ? true : undefined));
  const headers = { authorization: `Bearer ${rootKey}`, 'content-type': 'application/json', 'idempotency-key': 'k' };
  const body = JSON.stringify({ tenant: 'tnt_demo', actor: { type: 'USER', id: 'usr_sam' }, payload: { webhookSubscriptionId: 'whs_1' } });
  const answer = fetch(`${server.url}/api/commands/PauseWebhookSubscription`, { method: 'POST', headers, body });
  await asked.promise;
  const closed = server.close();
  await eventually('both roles to be released', () => (claims('ProcessReleased') === 2 ? true : undefined));
  goOn.resolve();
  expect((await answer).status).toBe(404);
  await closed;
  await store.stop();
  rmSync(dataDir, { recursive: true });
}, 60_000);
