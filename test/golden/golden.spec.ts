import { createHash } from 'node:crypto';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { approvalAnnouncements, approvalHousekeeping } from '#approvals';
import { commandDefinitions, createAggregates, subscriptionFold } from '#command-pipeline';
import { createRoleClaim } from '#coordination';
import { deliveryAnnouncements, type DeliveryEvent, type DeliveryState, evolveDelivery, initialDelivery, subscriptionHealth, subscriptionTests, type TranscriptsRecorded } from '#deliveries';
import type { EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Clock, deliveryId, isLedgerEvent, isRefusal, parseStream, placeOf, type RecordedEvent, Secret, sha256Hex, stored } from '#kernel';
import { operationalEvents, readPublishedEvent } from '#publishing';
import { acceptedFilter, EventData } from '#event-filter';
import { openReadModels, type ReadModels } from '#read-models';
import type { AnySaga, SagaOutput } from '#sagas';
import { createSecretVault, formatSigningSecret, loadMasterKeys } from '#secret-vault';
import { type Ending, type LiveSubscription, subscriptionAnnouncements, subscriptionLifecycle, type SubscriptionState } from '#subscriptions';
import { systemIds } from '../../apps/server/system.ts';
import { digestOf } from '../support/read-models.ts';
import { simulatedClock } from '../support/simulated-clock.ts';

/** Every history there is, as it was when it was added. */
const histories: Readonly<Record<string, string>> = {
  'filters.jsonl': '60be2752d75a525ad98fdbaa5105244f608bb5fa86224f7da197c6c576adead9',
  'first-release.jsonl': '595f537b2760d2ac01e86c964447dbd1b3ba7fdeedc9281e12ff96401ccd9678',
  'headers.jsonl': '4797c304470996f38eaccb8d52feab28b06c37111c30addd66bf913244442f11',
  'labels.jsonl': '183ffd12c0766e89466dc5fd5e377725df67d11d54ed74afaa4d794b970c9a40',
  'listed-attempts.jsonl': 'b9f64c14f6f34ecf00a9badf382cbd1542d5793de9cdc92f6e3cd83524d78f16',
  'operator-surface.jsonl': 'da3ace06d70365dcd83d396b6117797e756472329ff1a159bcbbb1704eeb0922',
  'rate-limits.jsonl': '36e0a5276eb4a37cf88cda541c1c8e8ee95b85368189aee23597918f3a2d4956',
  'replays.jsonl': '1d8832830c6062c24bdf4c8c3b898228c351ece1699c5eb553da199554262fdc',
  'request-timeouts.jsonl': 'b46b14309c836bfe7c41eb638e88f55d244fe6d986126e51623c51b93c6e6e4c',
  'retry-schedules.jsonl': '4a6a2613dc511316882a1779b4fdc5cfb181e0142714994f88b01f03556024a6',
  'several-processes.jsonl': '25ba0825102452ad82deb61e5ef8717e4083f19b66d0404eb5d0cfd0016a48b4',
  'whose-outcomes.jsonl': '16bcf208e0c8df61447517403dfef8a9d1231ce7585d43126578833adf02fa65',
};

const folder = fileURLToPath(new URL('.', import.meta.url));
const textOf = (name: string): string => readFileSync(join(folder, name), 'utf8');
const eventsOf = (name: string): readonly RecordedEvent[] => textOf(name).trimEnd().split('\n').map((line) => JSON.parse(line) as RecordedEvent);
const everything = Object.keys(histories).flatMap(eventsOf);

/** The history as a log: with the positions it had. */
function storeOf(events: readonly RecordedEvent[]): EventStore {
  const log = new MemoryLog();
  log.events = [...events];
  log.head = Number(events.at(-1)?.position ?? 0);
  for (const event of events) log.streams.set(event.stream, [...(log.streams.get(event.stream) ?? []), event]);
  return createMemoryEventStore(log);
}

/** When the last event was written, standing still. */
function clockAt(events: readonly RecordedEvent[]): Clock {
  const nowMs = Math.max(...events.map(({ metadata }) => Date.parse(metadata['recordedat'] ?? '')));
  return { now: () => nowMs, monotonicMs: () => performance.now(), after: (delayMs, wake) => { const timer = setTimeout(wake, delayMs); return () => clearTimeout(timer); } };
}

/** Everything that a saga asks for when it meets the history from its start. */
function outputsOf(saga: AnySaga, events: readonly RecordedEvent[]): readonly SagaOutput[] {
  const open = new Map<string, object>();
  const followed = events.filter((event) => saga.prefixes.some((prefix) => event.stream.startsWith(prefix)));
  return followed.flatMap((event) => {
    if (!saga.wants(event, open)) return [];
    const origin = saga.wantsOrigin?.(event) === true ? (events.find(({ stream }) => stream === event.stream) ?? null) : null;
    return saga.instancesOf(event, origin, open).flatMap((instance) => {
      const { state, outputs } = saga.react(instance, open.get(instance) ?? null, { kind: 'event', event, origin });
      if (state === null) open.delete(instance);
      else open.set(instance, state);
      return outputs;
    });
  });
}

describe('the golden histories', () => {
  it('are all known, and are what they were', () => {
    const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
    expect(Object.fromEntries(files.map((name) => [name, createHash('sha256').update(textOf(name)).digest('hex')]))).toEqual(histories);
  });

  it('hold an example of every type and version that the code writes today', () => {
    const libs = fileURLToPath(new URL('../../libs', import.meta.url));
    const sources = globSync('**/*.ts', { cwd: libs }).filter((name) => !name.endsWith('.spec.ts')).map((name) => readFileSync(join(libs, name), 'utf8'));
    const named = (form: RegExp): readonly string[] => sources.flatMap((source) => [...source.matchAll(form)].map(([, name]) => name ?? ''));
    const types = new Set([...named(/DomainEvent<\s*'(\w+)'/g), ...named(/^(?:export )?const \w+ = '([A-Z]\w+(?:Published|Checkpointed))';$/gm)]);
    expect(types.size).toBeGreaterThan(35);
    expect([...new Set(everything.map(({ type }) => type))].sort()).toEqual([...types].sort());
    expect(new Set(everything.map(({ metadata }) => metadata['schemaversion']))).toEqual(new Set(named(/schemaversion: '(\d+)'/g)));
  });
});

describe.each(['first-release.jsonl', 'operator-surface.jsonl'])('today’s code reads %s', (name) => {
  const events = eventsOf(name);
  const first = (stream: string): RecordedEvent | null => events.find((event) => event.stream === stream) ?? null;
  const ofType = (type: string): readonly RecordedEvent[] => events.filter((event) => event.type === type);

  it('as state: every resource, its revision and its receipts', async () => {
    const aggregates = createAggregates(storeOf(events));
    const folded = new Set<string>();
    for (const { category, fold } of commandDefinitions) {
      for (const stream of new Set(events.map((event) => event.stream).filter((one) => one.startsWith(`${category}-`)))) {
        const own = events.filter((event) => event.stream === stream);
        const resourceIds = own.filter(({ type }) => type === 'CommandExecuted').map(({ data }) => (JSON.parse(data) as { resourceId: string }).resourceId);
        const { revision, receipts } = await aggregates.load(stream, fold(resourceIds[0] ?? placeOf(stream).id));
        expect([stream, revision]).toEqual([stream, own.filter((event) => !isLedgerEvent(event)).length]);
        expect([...receipts.keys()]).toEqual(own.filter(({ type }) => type === 'CommandExecuted').map(({ data }) => (JSON.parse(data) as { commandId: string }).commandId));
        folded.add(category);
      }
    }
    const first = ['apikey', 'approval', 'approvalpolicy', 'webhookdelivery', 'webhooksubscription'];
    expect([...folded].sort()).toEqual(name === 'first-release.jsonl' ? first : [...first, 'probe', 'recovery'].sort());
  });

  it('as published events, with the publisher’s text', () => {
    for (const event of ofType('EventPublished')) expect(readPublishedEvent(event).dataText).toBe(event.data);
  });

  it('as read models, in which nothing is poison, and which a rebuild gives again', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'countersign-golden-'));
    const alarms: object[] = [];
    const models = await openReadModels({ dataDir, store: storeOf(events), clock: clockAt(events), historyDays: 30, onAlarm: (alarm) => alarms.push(alarm) });
    try {
      models.start();
      const names = models.status().map((status) => status.name);
      expect(await models.waitFor(events.at(-1)?.position ?? '0', 10_000, names)).toBe('reached');
      expect(models.status().map(({ poison }) => poison).filter((poison) => poison !== null)).toEqual([]);
      const digest = await models.digest();
      for (const projection of names) {
        const rebuild = models.rebuild(projection);
        if (isRefusal(rebuild)) throw new Error(rebuild.detail);
        await rebuild.done;
      }
      expect(await models.digest()).toEqual(digest);
      expect(await replayOf(models)).toMatchObject({ kind: 'result', position: events.at(-1)?.position, equal: true });
      expect(alarms).toEqual([]);
      await (name === 'first-release.jsonl' ? firstRelease(models) : operatorSurface(models));
    } finally {
      await models.close();
      rmSync(dataDir, { recursive: true });
    }
  }, 30_000);

  it('as inputs of the sagas, whose outputs are the events that were written then', () => {
    const sagas = [approvalHousekeeping, subscriptionHealth(), subscriptionTests, subscriptionLifecycle({ historyDays: 30, transcriptPartitions: 1 }), operationalEvents({ ...approvalAnnouncements, ...deliveryAnnouncements, ...subscriptionAnnouncements })] as readonly AnySaga[];
    const written = new Set(events.map(({ stream }) => stream));
    const created = sagas.flatMap((saga) => outputsOf(saga, events)).flatMap((output) => (output.do === 'create' ? [output.stream] : []));
    expect(created.filter((stream) => !written.has(stream))).toEqual([]);
    expect(created.length).toBeGreaterThan(20);
  });

  it('with the ids that today’s code would give its deliveries, and the hashes it would give their transcripts', () => {
    for (const event of ofType('WebhookDeliveryScheduled')) {
      const { eventId, eventStream, subscriptionId } = JSON.parse(event.data) as { eventId: string; eventStream: string; subscriptionId: string };
      const published = first(eventStream);
      const { site, id } = placeOf(event.stream);
      expect(id).toBe(deliveryId(site, eventId, subscriptionId, Date.parse(published?.metadata['recordedat'] ?? '')));
    }
    const hashes = new Set(ofType('WebhookTranscriptsRecorded').flatMap(({ data }) => (JSON.parse(data) as TranscriptsRecorded['data']).transcripts.map((transcript) => sha256Hex(JSON.stringify(transcript)))));
    const outcomes = events.flatMap(({ type, data }) => (/^WebhookDelivery(Succeeded|AttemptFailed|DeadLettered)$/.test(type) ? [(JSON.parse(data) as { transcriptSha256: string }).transcriptSha256] : []));
    expect(outcomes.filter((hash) => !hashes.has(hash))).toEqual([]);
  });
});

/** What a replay of the whole log ends with. */
async function replayOf(models: ReadModels): Promise<object | undefined> {
  const replay = models.replay(undefined);
  if (isRefusal(replay)) throw new Error(replay.detail);
  let last: object | undefined;
  for await (const step of replay.steps(new AbortController().signal)) last = step;
  return last;
}

const site = { tenant: 'tnt_demo', environment: 'production' };
const items = (page: object): readonly { readonly status: string; readonly id: string; readonly code?: string }[] => ('items' in page ? (page.items as { status: string; id: string }[]) : []);

/** What the operator surface's history came to. */
async function operatorSurface(models: ReadModels): Promise<void> {
  expect(items(await models.listRecoveries({ site, limit: 10 })).map(({ status }) => status)).toEqual(['CANCELLED', 'FINISHED']);
  const codes = items(await models.listRefusals({ site, limit: 500 })).map(({ code }) => code);
  expect([...new Set(codes)].sort()).toEqual(['actor-not-allowed', 'approval-binding-mismatch', 'approval-required', 'approver-conflict']);
}

/** What the first release's history came to. */
async function firstRelease(models: ReadModels): Promise<void> {
  const counted = (all: readonly { readonly status: string }[]): object => Object.fromEntries([...Map.groupBy(all, ({ status }) => status)].map(([status, group]) => [status, group.length]));
  const subscriptions = items(await models.listSubscriptions({ site, includeDeleted: true, limit: 500 }));
  expect(Object.fromEntries(subscriptions.map(({ id, status }) => [id, status]))).toEqual({ orders: 'ACTIVE', closed: 'ACTIVE', ops: 'ACTIVE' });
  expect(counted(items(await models.listApprovals({ site, status: undefined, limit: 500 })))).toEqual({ CONSUMED: 1, DENIED: 1, WITHDRAWN: 1, REVOKED: 1, INVALIDATED: 1, EXPIRED: 1 });
  expect(counted(items(await models.listDeliveries({ site, limit: 500 })))).toEqual({ DELIVERED: 21, PENDING: 1 });
  const keys = await models.listApiKeys({ limit: 500 });
  expect('items' in keys ? keys.items.map(({ name, revokedAtMs }) => [name, revokedAtMs === null]) : []).toEqual([['ci', false], ['usr_lee', true], ['usr_kim', true]]);
}

describe('the outcomes of attempts', () => {
  it('of whose-outcomes.jsonl say whose delivery they are of, and come to what they came to then', async () => {
    const events = eventsOf('whose-outcomes.jsonl');
    const told = events.flatMap(({ type, stream, data }) => {
      const scheduled = events.find((event) => event.stream === stream)?.data ?? '{}';
      const [own, whose] = [data, scheduled].map((text) => (JSON.parse(text) as { subscriptionId?: string }).subscriptionId);
      return /^WebhookDelivery(Succeeded|AttemptFailed|DeadLettered)$/.test(type) ? [[type, own === whose]] : [];
    });
    expect(told).toEqual(['AttemptFailed', 'Succeeded', 'DeadLettered'].map((type) => [`WebhookDelivery${type}`, true]));
    const dataDir = mkdtempSync(join(tmpdir(), 'countersign-golden-'));
    const models = await openReadModels({ dataDir, store: storeOf(events), clock: clockAt(events), historyDays: 30, onAlarm: ({ alarm }) => told.push([alarm, false]) });
    try {
      models.start();
      expect(await models.waitFor(events.at(-1)?.position ?? '0', 10_000)).toBe('reached');
      expect(items(await models.listDeliveries({ site, limit: 10 })).map(({ status }) => status).sort()).toEqual(['DEAD_LETTERED', 'DELIVERED']);
    } finally {
      await models.close();
      rmSync(dataDir, { recursive: true });
    }
    expect(told).toHaveLength(3);
  });
});

describe('replays', () => {
  it('of replays.jsonl say whose delivery they are of, and what they were asked for', () => {
    const [scheduled, ...moves] = eventsOf('replays.jsonl').filter(({ stream, type }) => stream.startsWith('webhookdelivery-') && !isLedgerEvent({ type }));
    const { subscriptionId } = JSON.parse(scheduled?.data ?? '{}') as { subscriptionId?: string };
    const replays = moves.filter(({ type }) => type === 'WebhookDeliveryReplayRequested');
    expect(replays.map(({ data }) => JSON.parse(data) as unknown)).toEqual([
      { subscriptionId, resetAttempts: true, manual: false },
      { subscriptionId, resetAttempts: false, manual: true },
    ]);
    expect(subscriptionId).toMatch(/^whs_/);
    expect(moves.reduce<DeliveryState>((state, event) => evolveDelivery(state, stored<DeliveryEvent>(event)), evolveDelivery(initialDelivery, stored<DeliveryEvent>(scheduled as RecordedEvent)))).toMatchObject({ status: 'DELIVERED', subscriptionId, attempts: 3 });
  });
});

describe('transcripts', () => {
  it('of listed-attempts.jsonl list whose attempts they are of, which comes to what reading them does', () => {
    const events = eventsOf('listed-attempts.jsonl');
    const [listed, whole] = [
      events.map((event) => (event.metadata['attempts'] === undefined ? event : { ...event, data: '' })),
      events.map((event) => ({ ...event, metadata: Object.fromEntries(Object.entries(event.metadata).filter(([name]) => name !== 'attempts')) })),
    ];
    expect(listed.filter(({ data }) => data === '')).toHaveLength(3);
    const dataDir = mkdtempSync(join(tmpdir(), 'countersign-golden-'));
    const digests = [listed, whole, events].map((history) => digestOf(dataDir, history));
    rmSync(dataDir, { recursive: true });
    expect(digests[0]).toEqual(digests[1]);
    expect(digests[2]).toEqual(digests[1]);
    expect(digests[0]?.tables['transcripts']).not.toBe(sha256Hex(''));
  });
});

describe('the options of subscriptions', () => {
  const orders = 'webhooksubscription-tnt_demo.production.orders';

  /** An option of the subscription `orders` after each of its events. */
  async function historyOf(name: string, option: keyof LiveSubscription): Promise<readonly unknown[]> {
    const history = eventsOf(name);
    const changes = history.filter(({ stream, type }) => stream === orders && type.startsWith('WebhookSubscription'));
    return await Promise.all(changes.map(async ({ position }) => {
      const { state } = await createAggregates(storeOf(history.slice(0, history.findIndex((event) => event.position === position) + 1))).load<SubscriptionState, never>(orders, subscriptionFold);
      return (state as LiveSubscription)[option];
    }));
  }

  it('of headers.jsonl hold until an update no longer says them, each with the version it has', async () => {
    const versions = (await historyOf('headers.jsonl', 'headers')) as readonly LiveSubscription['headers'][];
    expect(versions.map((headers) => headers && Object.keys(headers))).toEqual([['x-api-key', 'authorization'], ['x-api-key', 'authorization'], undefined, ['x-api-key'], ['x-api-key', 'x-empty']]);
    expect(versions[1]).toEqual(versions[0]);
    const values = [...Object.values(versions[0] ?? {}), ...Object.values(versions[3] ?? {})].map(({ versionId }) => versionId);
    const saga = subscriptionLifecycle({ historyDays: 30, transcriptPartitions: 1 });
    const open = new Map<string, Ending>();
    for (const event of eventsOf('headers.jsonl').filter((one) => saga.prefixes.some((prefix) => one.stream.startsWith(prefix)) && saga.wants(one, open))) {
      for (const instance of saga.instancesOf(event, null, open)) {
        const { state } = saga.react(instance, open.get(instance) ?? null, { kind: 'event', event, origin: null });
        if (state === null) open.delete(instance);
        else open.set(instance, state);
      }
    }
    expect([...open.keys()].filter((instance) => instance.startsWith('signingsecret-')).map((stream) => placeOf(stream).id).sort()).toEqual(values.sort());
  });

  it('of filters.jsonl hold until an update no longer says them, and judge the events as they did', async () => {
    const filters = await historyOf('filters.jsonl', 'filter');
    expect(filters).toEqual(['data.amount >= 100 && data.currency in ["EUR", "CHF"]', 'data.amount >= 100 && data.currency in ["EUR", "CHF"]', undefined, '!has(data.test) || size(data.tags) > 1']);
    const published = eventsOf('filters.jsonl').filter(({ metadata }) => metadata['publishedtype'] === 'order.created');
    expect(published.map(({ data }) => acceptedFilter(String(filters[0])).judge(new EventData(data)))).toEqual([{ wants: false }, { failed: 'there is no field "amount"' }]);
    const claims = eventsOf('filters.jsonl').find(({ type, stream }) => type === 'WebhookSubscriptionCreated' && stream !== orders);
    const { filter } = JSON.parse(claims?.data ?? '') as { readonly filter: string };
    expect(acceptedFilter(filter).judge(new EventData('{"items":[{"sku":"x-1","state":"void"},{"sku":"x-2","state":"open"}]}'))).toEqual({ wants: true });
  });

  it('of labels.jsonl hold until an update no longer says them', async () => {
    expect(await historyOf('labels.jsonl', 'labels')).toEqual([{ team: 'orders' }, { team: 'orders' }, undefined, { team: 'claims', 'tier.of-2': '1' }]);
  });

  it('of rate-limits.jsonl hold until an update no longer says them', async () => {
    expect(await historyOf('rate-limits.jsonl', 'rateLimitPerSecond')).toEqual([1_000, 1_000, undefined, 25]);
  });

  it('of retry-schedules.jsonl hold until an update no longer says them', async () => {
    expect(await historyOf('retry-schedules.jsonl', 'retryScheduleMs')).toEqual([[0, 300_000, 86_400_000], [0, 300_000, 86_400_000], undefined, [0, 250]]);
  });

  it('of request-timeouts.jsonl hold until an update no longer says them', async () => {
    expect(await historyOf('request-timeouts.jsonl', 'timeoutMs')).toEqual([30_000, 30_000, undefined, 1_000]);
  });
});

describe('the vault', () => {
  it('opens the values of headers.jsonl under the master key of that history', async () => {
    const events = eventsOf('headers.jsonl');
    const [store, clock] = [storeOf(events), clockAt(events)];
    const masterKey = new Secret(Buffer.alloc(32, 'golden headers').toString('base64'));
    const masterKeys = await loadMasterKeys({ dataDir: folder, masterKey, previousMasterKey: undefined, shared: true, store, logIsEmpty: false, clock, ids: systemIds });
    const vault = createSecretVault({ store, masterKeys, clock, ids: systemIds, secretsDir: folder, environmentSecrets: () => undefined });
    const { state } = await createAggregates(store).load<SubscriptionState, never>('webhooksubscription-tnt_demo.production.orders', subscriptionFold);
    const { incarnation, headers = {} } = state as LiveSubscription;
    const place = { site: { tenant: 'tnt_demo', environment: 'production' }, subscriptionId: 'orders', incarnation };
    const opened = await Promise.all(Object.entries(headers).map(async ([name, { versionId }]) => [name, Buffer.from((await vault.open(place, { versionId, kind: 'managed' })).reveal()).toString()]));
    expect(opened).toEqual([['x-api-key', 'the third value'], ['x-empty', '']]);
  });

  it('opens the secrets of the first release, sealed anew, under the second master key of that history', async () => {
    const events = eventsOf('first-release.jsonl');
    const [store, clock] = [storeOf(events), clockAt(events)];
    const masterKey = new Secret(Buffer.alloc(32, 'golden key B').toString('base64'));
    const masterKeys = await loadMasterKeys({ dataDir: folder, masterKey, previousMasterKey: undefined, shared: true, store, logIsEmpty: false, clock, ids: systemIds });
    const vault = createSecretVault({ store, masterKeys, clock, ids: systemIds, secretsDir: folder, environmentSecrets: () => undefined });
    const orders = events.find(({ type, stream }) => type === 'WebhookSubscriptionCreated' && stream.endsWith('.orders'));
    if (orders === undefined) throw new Error('the history has no such subscription');
    const { secret } = stored<{ type: string; data: { secret: { versionId: string; kind: 'managed' } } }>(orders).data;
    const { site = { tenant: '', environment: '' } } = parseStream(orders.stream) ?? {};
    const opened = await vault.open({ site, subscriptionId: 'orders', incarnation: orders.id }, secret);
    expect(formatSigningSecret(opened).reveal()).toBe('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    const { state } = await createAggregates(store).load<SubscriptionState, never>(orders.stream, subscriptionFold);
    expect(state).toMatchObject({ status: 'ACTIVE', incarnation: orders.id });
    expect(await vault.rewrap()).toEqual({ rewrapped: 0, unchanged: 4, unreadable: [] });
  });
});

describe('a process', () => {
  it('waits for the holder of a role that several-processes.jsonl ends with, and takes it over when that one is silent', async () => {
    const clock = simulatedClock();
    const held: string[] = [];
    const claim = createRoleClaim({
      store: storeOf(eventsOf('several-processes.jsonl')),
      clock,
      ids: systemIds,
      role: 'dispatcher',
      process: 'today',
      begin: () => {
        held.push('today');
        return () => Promise.resolve();
      },
      onAlarm: ({ detail }) => held.push(detail),
      onFatal: (error) => {
        throw error;
      },
    });
    claim.start();
    await clock.advance(16_000);
    expect(held).toEqual([expect.stringContaining('another process, node-1 (pid 58), does it'), 'today']);
    await claim.stop();
  });
});
