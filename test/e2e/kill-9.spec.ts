import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import type { EventStore } from '#event-store';
import { isRefusal, type RecordedEvent } from '#kernel';
import { type Digest, openReadModels } from '#read-models';
import { createSecretVault, loadMasterKeys, type SecretVault } from '#secret-vault';
import { parseSigningSecret, verifyRoost } from '#webhook-sender/signing';
import { engine, Home } from '../support/e2e/home.ts';
import { wholeLog } from '../support/e2e/stored-log.ts';
import { steady } from '../support/kill/installation.ts';
import { expectedDeliveries, type Pair, receiptsAreEffects, rotationsConsume, secretsAreKept } from '../support/kill/promises.ts';
import { KillScenario, type Survived, underWayAtLeast } from '../support/kill/scenario.ts';
import type { Received } from '../support/receiver.ts';
import { randomIds } from '../support/vault.ts';
import { systemClock } from '../support/webhook-receivers.ts';

/** On a log that others may share it takes 15 s to know that who was killed is gone. */
const kills = engine === 'sqlite' ? 10 : 1;
const seed = randomInt(2 ** 31);

describe(`a server that is killed ${kills === 1 ? 'once' : `${kills} times`} while it is busy (seed ${seed})`, () => {
  const home = new Home();
  let survived: Survived;
  let store: EventStore;
  let events: readonly RecordedEvent[];

  beforeAll(async () => {
    survived = await new KillScenario(home, seed).run(kills);
    store = await home.openLog();
    events = await wholeLog(store);
  }, 240_000);
  afterAll(async () => {
    await store?.close();
    await home.remove();
  });

  it('had at least a hundred requests and a hundred deliveries under way each time', () => {
    expect(survived.kills).toHaveLength(kills);
    for (const { requests, deliveries } of survived.kills) {
      expect(requests).toBeGreaterThanOrEqual(underWayAtLeast);
      expect(deliveries).toBeGreaterThanOrEqual(underWayAtLeast);
    }
    expect(survived.repeatedRequests).toBeGreaterThanOrEqual(kills);
  });

  it('delivered every acknowledged event to every subscription that was always active', () => {
    const reached = new Set(survived.received.map(pairOf));
    const missing = survived.workload.published.flatMap((eventId) => steady.flatMap((id) => (reached.has(`${id} ${eventId}`) ? [] : [`${eventId} to ${id}`])));
    expect(survived.workload.published.length).toBeGreaterThanOrEqual(kills);
    expect(missing).toEqual([]);
  });

  it('delivered what the log says must be delivered, to whom it was active at that place, and nothing else', () => {
    const expected = expectedDeliveries(events);
    const reached = new Set(survived.received.map(pairOf));
    expect([...expected].filter((pair) => !reached.has(pair))).toEqual([]);
    expect([...reached].filter((pair) => !expected.has(pair))).toEqual([]);
  });

  it('sent a delivery again under the webhook-id it had before', () => {
    const ids = Map.groupBy(survived.received, pairOf);
    const several = [...ids].filter(([, all]) => new Set(all.map(({ headers }) => headers['webhook-id'])).size > 1);
    expect(several).toEqual([]);
    expect(new Set(survived.received.map(({ headers }) => headers['webhook-id'])).size).toBe(ids.size);
  });

  it('wrote one receipt for each acknowledged command, and no effect without one', () => {
    expect(receiptsAreEffects(events, survived.workload.acknowledged)).toEqual([]);
  });

  it('consumed one approval for each rotation, in its own append', () => {
    expect(rotationsConsume(events, survived.workload.acknowledged)).toEqual([]);
  });

  it('lost no secret and changed none: what was chosen or shown is what the vault holds', async () => {
    expect(await secretsAreKept(events, survived.workload.acknowledged, await vaultOf(store, home))).toEqual([]);
  });

  it('signed every request with a secret of its subscription', () => {
    const secrets = Map.groupBy(survived.workload.acknowledged.filter(({ chosenSecret }) => chosenSecret !== null), ({ resourceId }) => resourceId);
    const unsigned = survived.received.filter((one) => !isSigned(one, (secrets.get(subscriptionOf(one)) ?? []).flatMap(({ chosenSecret }) => chosenSecret ?? [])));
    expect(unsigned).toEqual([]);
  });

  it('has the read models that a rebuild gives, table by table', async () => {
    const before = await digestOf(home.dataDir, store);
    for (const suffix of ['', '-wal', '-shm']) await rm(join(home.dataDir, `read-models.db${suffix}`), { force: true });
    expect(Object.keys(before.tables).length).toBeGreaterThan(5);
    expect(await digestOf(home.dataDir, store)).toEqual(before);
  }, 60_000);
});

const subscriptionOf = ({ path }: Received): string => path.slice(1);
const pairOf = (received: Received): Pair => `${subscriptionOf(received)} ${(JSON.parse(received.body) as { id: string }).id}`;

async function vaultOf(store: EventStore, home: Home): Promise<SecretVault> {
  const parts = { store, clock: systemClock, ids: randomIds };
  const masterKeys = await loadMasterKeys({ ...parts, dataDir: home.dataDir, masterKey: await home.masterKey(), previousMasterKey: undefined, shared: false, logIsEmpty: false });
  return createSecretVault({ ...parts, masterKeys, secretsDir: join(home.dataDir, 'secrets'), environmentSecrets: () => undefined });
}

async function digestOf(dataDir: string, store: EventStore): Promise<Digest> {
  const alarms: object[] = [];
  const models = await openReadModels({ dataDir, store, clock: systemClock, historyDays: 30, onAlarm: (alarm) => alarms.push(alarm) });
  models.start();
  const outcome = await models.waitFor(await store.head(), 30_000, models.status().map(({ name }) => name));
  const digest = await models.digest();
  await models.close();
  expect([outcome, alarms]).toEqual(['reached', []]);
  return digest;
}

/** Both signatures hold: the standard one by the public library, ours by our own. */
function isSigned({ headers, body, atMs }: Received, secrets: readonly string[]): boolean {
  const keys = secrets.map(parseSigningSecret).flatMap((key) => (isRefusal(key) ? [] : [key]));
  const roost = verifyRoost({ signature: String(headers['roost-signature']), body, keys, nowSeconds: atMs / 1_000 });
  return roost === 'valid' && secrets.some((secret) => verifies(new Webhook(secret), body, headers as Record<string, string>));
}

function verifies(webhook: Webhook, body: string, headers: Record<string, string>): boolean {
  try {
    webhook.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}
