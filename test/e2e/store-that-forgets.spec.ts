import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import Database from 'better-sqlite3';
import { Api } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { startEventStoreDb } from '../support/eventstoredb/server.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';

const rootKey = `root-${'k'.repeat(32)}`;
const keys = { KF_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), KF_ROOT_KEY: rootKey };

/** Whether an event stands in the file of the read models, and not in memory alone. */
function heldBy(dataDir: string, eventId: string): boolean {
  const file = new Database(join(dataDir, 'read-models.db'), { readonly: true });
  try {
    return file.prepare('SELECT 1 FROM events WHERE eventId = ?').get(eventId) !== undefined;
  } finally {
    file.close();
  }
}

it('a store that lost what it acknowledged ends the server, with the reason; the next start makes the read models anew and goes on', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'countersign-forgets-'));
  const store = await startEventStoreDb();
  const start = (): Promise<ServerProcess> => startServer({ dataDir, environment: { ...keys, KF_EVENT_STORE: store.url } });
  const log = (): string => readFileSync(join(dataDir, 'server.log'), 'utf8');
  let server: ServerProcess | undefined;
  try {
    server = await start();
    const api = new Api(server.url, rootKey);
    await api.publish('order.placed', { n: 1 });
    const kept = store.log.events.length;
    const { eventId } = await api.publish('order.placed', { n: 2 });
    await eventually('the read models hold what will be lost', () => heldBy(dataDir, eventId) || undefined);
    store.misbehave.failOver(store.log.events.length - kept);
    await server.ended;
    expect(log()).toContain('events that were acknowledged are gone');
    server = await start();
    expect(log()).toContain('read-models-remade');
    const again = await new Api(server.url, rootKey).publishOne({ eventId, type: 'order.placed', data: { n: 2 } });
    expect(again).toMatchObject({ eventId, status: 'ACCEPTED' });
  } finally {
    await server?.stop();
    await store.stop();
    rmSync(dataDir, { recursive: true });
  }
}, 90_000);
