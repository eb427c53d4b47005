import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { EventStore } from '#event-store';
import { isRefusal, type Site } from '#kernel';
import { createMemoryEventStore } from '#event-store/memory';
import { History } from '../../test/support/history.ts';
import type { ReadModelAlarm } from './port.ts';
import { openReadModels, type ReadModels } from './read-models.ts';

const site: Site = { tenant: 't', environment: 'production' };
const clock = { now: () => Date.UTC(2026, 0, 2), monotonicMs: () => performance.now(), after: (ms: number, wake: () => void) => { const timer = setTimeout(wake, ms); return () => clearTimeout(timer); } };

let dataDir: string;
let store: EventStore;
let log: History;
let models: ReadModels;
const alarms: ReadModelAlarm[] = [];

const open = async (): Promise<ReadModels> => {
  models = await openReadModels({ dataDir, store, clock, historyDays: 30, onAlarm: (alarm) => alarms.push(alarm) });
  models.start();
  return models;
};
const caughtUp = async (): Promise<void> => expect(await models.waitFor(await store.head(), 5_000)).toBe('reached');

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'read-models-'));
  store = createMemoryEventStore();
  log = new History(store);
  alarms.length = 0;
});
afterEach(async () => {
  await models.close();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('read models', () => {
  it('folds the log and answers lists', async () => {
    await open();
    await log.create(site, 'whs_1');
    await log.publish(site, 'e1');
    const id = await log.schedule(site, 'e1', 'whs_1', '00000000-0000-4000-8000-000000000001');
    await log.attempt(site, id, 'AttemptFailed');
    await caughtUp();
    const subscriptions = await models.listSubscriptions({ site, includeDeleted: false, limit: 10 });
    expect(subscriptions).toMatchObject({ items: [{ id: 'whs_1', siteId: 't', status: 'ACTIVE', health: { consecutiveFailures: 1 }, revision: 1 }], nextCursor: null });
    expect(isRefusal(subscriptions)).toBe(false);
    expect(await models.listDeliveries({ site, limit: 10 })).toMatchObject({ items: [{ id, status: 'SCHEDULED', attempts: 1 }] });
    expect(await models.lanes()).toEqual([{ site, subscriptionId: 'whs_1', dueAtMs: log.nowMs + 5_000 }]);
    expect(alarms).toEqual([]);
  });
});
