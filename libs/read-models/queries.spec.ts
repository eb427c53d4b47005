import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import { type DeliveryEvent, evolveDelivery, initialDelivery } from '#deliveries';
import { deliveryId, type DomainEvent, eventStream, isLedgerEvent, isRefusal, type Refusal, type Site, type Stored, stored, streamOf } from '#kernel';
import type { DeliveryView, DueDelivery, Page, Place } from '#read-models';
import { evolveSubscription, initialSubscription, type SubscriptionEvent } from '#subscriptions';
import { readModelsFixture } from '../../test/support/read-models.ts';
import { ModelFile } from './model-file.ts';
import { approvalCandidates } from './queries/approvals.ts';
import { deliveryView, lanes, listDeliveries, openDeliveries } from './queries/deliveries.ts';

const site: Site = { tenant: 't', environment: 'production' };
const incarnation = '00000000-0000-4000-8000-000000000001';
const of = readModelsFixture();
jest.setTimeout(30_000);

const items = <Item>(page: Page<Item> | Refusal): readonly Item[] => {
  if (isRefusal(page)) throw new Error(page.detail);
  return page.items;
};

/** How SQLite will go about what is asked. */
function plansOf(ask: (database: ModelFile['database']) => void): readonly string[] {
  const model = new ModelFile(join(of().dataDir, 'plans.db'), { historyDays: 30 });
  const plans: string[] = [];
  const prepare = model.database.prepare.bind(model.database);
  model.database.prepare = (text: string) => {
    const values = [...text.matchAll(/\?/g)].map(() => null);
    const named = Object.fromEntries([...text.matchAll(/@(\w+)/g)].map(([, name = '']) => [name, null]));
    plans.push(...prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values, named).map((step) => (step as { detail: string }).detail));
    return prepare(text);
  };
  ask(model.database);
  model.close();
  return plans;
}

/** Every page of a list, two items at a time. */
async function pages<Item>(list: (cursor: string | undefined) => Promise<Page<Item> | Refusal>): Promise<readonly Item[]> {
  const all: Item[] = [];
  for (let cursor: string | undefined, n = 0; n < 50; n += 1) {
    const page = await list(cursor);
    if (isRefusal(page)) throw new Error(page.detail);
    all.push(...page.items);
    if (page.nextCursor === null) return all;
    cursor = page.nextCursor;
  }
  throw new Error('the list has no end');
}

/** The subscription whs_1 with deliveries in all states: returns their ids by state. */
async function deliveries() {
  const { log } = of();
  await log.create(site, 'whs_1');
  const open = async (n: number): Promise<string> => {
    await log.pass(1_000).publish(site, `e${n}`);
    return log.schedule(site, `e${n}`, 'whs_1', incarnation);
  };
  const pending = await open(1);
  const scheduled = await open(2);
  await log.attempt(site, scheduled, 'AttemptFailed');
  const delivered = await open(3);
  await log.attempt(site, delivered, 'Succeeded');
  const dead = await open(4);
  await log.attempt(site, dead, 'DeadLettered');
  return { pending, scheduled, delivered, dead };
}

/** A delivery as a reader of the log alone sees it. */
async function foldedDelivery(id: string): Promise<DeliveryView> {
  const events = async <Event extends DomainEvent<string, object>>(stream: string): Promise<readonly Stored<Event>[]> => (await of().store.readStream(stream)).flatMap((event) => (isLedgerEvent(event) ? [] : [stored<Event>(event)]));
  const state = (await events<DeliveryEvent>(streamOf('webhookdelivery', site, id))).reduce(evolveDelivery, initialDelivery);
  const subscription = (await events<SubscriptionEvent>(streamOf('webhooksubscription', site, 'whs_1'))).reduce(evolveSubscription, initialSubscription);
  if (state.status === 'NONE') throw new Error(`there is no delivery ${id}`);
  return deliveryView({ id, state, subscription: subscription.status === 'NONE' ? null : subscription });
}

describe('the list of subscriptions', () => {
  it('is newest first, pages without a gap or a double while new ones come, and leaves out the deleted', async () => {
    for (const n of [1, 2, 3, 4, 5]) await of().log.pass(n === 3 ? 0 : 1).create(site, `whs_${n}`);
    await of().log.subscription(site, 'whs_4', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    const models = await of().caughtUp(await of().started());
    let more = 0;
    const listed = await pages(async (cursor) => {
      const page = await models.listSubscriptions({ site, includeDeleted: false, limit: 2, cursor });
      more += 1;
      await of().log.pass(1_000).create(site, `whs_later_${more}`);
      await of().caughtUp(models);
      return page;
    });
    expect(listed.map(({ id }) => id)).toEqual(['whs_5', 'whs_3', 'whs_2', 'whs_1']);
    expect(items(await models.listSubscriptions({ site, includeDeleted: true, limit: 50 })).find(({ id }) => id === 'whs_4')).toMatchObject({ status: 'DELETED', purgeAt: '2026-02-01T00:00:00.000Z' });
  });

  it('refuses a cursor that it did not make', async () => {
    const models = await of().started();
    const refused = { refused: 'validation-failed', members: { errors: [{ path: 'cursor' }] } };
    expect(await models.listSubscriptions({ site, includeDeleted: false, limit: 2, cursor: 'x' })).toMatchObject(refused);
    expect(await models.listSubscriptions({ site, includeDeleted: false, limit: 2, cursor: Buffer.from('["subscriptions","a","b"]').toString('base64url') })).toMatchObject(refused);
    expect(await models.listDeliveries({ site, limit: 2, cursor: Buffer.from('["deliveries",1]').toString('base64url') })).toMatchObject(refused);
  });

  it('refuses the cursor of another list that is sorted alike', async () => {
    const refused = { refused: 'validation-failed', members: { errors: [{ path: 'cursor' }] } };
    await deliveries();
    await of().log.create(site, 'whs_2');
    const models = await of().caughtUp(await of().started());
    const cursorOf = (page: Page<unknown> | Refusal): string | undefined => (isRefusal(page) ? undefined : (page.nextCursor ?? undefined));
    const ofSubscriptions = cursorOf(await models.listSubscriptions({ site, includeDeleted: false, limit: 1 }));
    const ofDeliveries = cursorOf(await models.listDeliveries({ site, limit: 1 }));
    expect([typeof ofSubscriptions, typeof ofDeliveries]).toEqual(['string', 'string']);
    expect(await models.listApiKeys({ limit: 1, cursor: ofSubscriptions })).toMatchObject(refused);
    expect(await models.listApprovals({ site, limit: 1, cursor: ofDeliveries })).toMatchObject(refused);
  });

  it('has those with a label, and no others', async () => {
    const settings = { eventPattern: '**', targetUrl: 'https://example.org/hook', deliveryMode: 'AT_LEAST_ONCE', description: null };
    const labels = [{ team: 'orders', 'tier.of-2': '1' }, { team: 'claims' }, { tier: 'orders' }, { team: 'orders' }, undefined, { team: '0' }];
    for (const [n, own] of labels.entries()) {
      await of().log.create(site, `whs_${n}`);
      await of().log.subscription(site, `whs_${n}`, 'Updated', { ...settings, ...(own === undefined ? {} : { labels: own }) });
    }
    const models = await of().caughtUp(await of().started());
    const withLabel = async (...label: [string, string]) => (await pages((cursor) => models.listSubscriptions({ site, includeDeleted: false, label, limit: 1, cursor }))).map(({ id }) => id).sort();
    expect(await withLabel('team', 'orders')).toEqual(['whs_0', 'whs_3']);
    expect(await withLabel('tier.of-2', '1')).toEqual(['whs_0']);
    expect(await withLabel('team', '0')).toEqual(['whs_5']);
    expect(await withLabel('tier', '1')).toEqual([]);
  });

  it('carries every field of the contract, with the health that is derived', async () => {
    const { pending } = await deliveries();
    await of().log.subscription(site, 'whs_1', 'SecretRotated', { secret: { versionId: 'v2', kind: 'managed', fingerprint: 'g' }, previous: { versionId: 'v-whs_1', graceUntil: '2026-01-02T00:00:00.000Z' }, retired: [] });
    await of().log.subscription(site, 'whs_1', 'Paused', { reason: 'sustained-failure' });
    await of().log.publish(site, 'e5');
    const models = await of().caughtUp(await of().started());
    const view = {
      id: 'whs_1',
      siteId: 't',
      events: ['**'],
      filter: null,
      url: 'https://example.org/hook',
      description: null,
      deliveryMode: 'AT_LEAST_ONCE',
      timeoutMs: 15_000,
      retrySchedule: null,
      rateLimit: null,
      labels: {},
      headers: {},
      status: 'PAUSED',
      pausedReason: 'sustained-failure',
      secret: { kind: 'managed', versionId: 'v2', graceUntil: '2026-01-02T00:00:00.000Z' },
      health: { lastSuccessAt: '2026-01-01T00:00:03.000Z', consecutiveFailures: 1, oldestUndeliveredAt: '2026-01-01T00:00:01.000Z', missedWhilePaused: 1 },
      revision: 3,
      createdAt: '2026-01-01T00:00:00.000Z',
      updatedAt: '2026-01-01T00:00:04.000Z',
      purgeAt: null,
    };
    expect(await models.subscription(site, 'whs_1')).toEqual(view);
    expect(items(await models.listSubscriptions({ site, includeDeleted: false, limit: 5 }))).toEqual([view]);
    expect(await models.subscriptionHealth(site, 'whs_1')).toEqual({ ...view.health, firstFailureAt: '2026-01-01T00:00:04.000Z' });
    of().clock.wallMs = Date.UTC(2026, 0, 2);
    expect((await models.subscription(site, 'whs_1'))?.secret.graceUntil).toBeNull();
    expect(await models.delivery(site, pending)).toMatchObject({ status: 'PENDING' });
    expect([await models.queueDepth(), await models.oldestUndeliveredAt()]).toEqual([{ pending: 1, scheduled: 1 }, Date.UTC(2026, 0, 1, 0, 0, 1)]);
  });
});

describe('the versions of subscriptions', () => {
  it('are those in force somewhere after one position and up to another', async () => {
    const created = await of().log.create(site, 'whs_1');
    const paused = await of().log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
    const resumed = await of().log.subscription(site, 'whs_1', 'Resumed');
    const models = await of().caughtUp(await of().started());
    const statuses = async (after: number, through: number) => (await models.subscriptionVersions(site, { overlapping: [String(after), String(through)] })).map(({ status }) => status);
    // The event comes before the receipt in its append.
    const [from, pause, resume] = [Number(created) - 1, Number(paused) - 1, Number(resumed) - 1];
    expect(await statuses(0, from)).toEqual([]);
    expect(await statuses(from, from + 1)).toEqual(['ACTIVE']);
    expect(await statuses(pause - 1, pause)).toEqual(['ACTIVE']);
    expect(await statuses(pause, pause + 1)).toEqual(['PAUSED']);
    expect(await statuses(pause - 1, resume + 1)).toEqual(['ACTIVE', 'PAUSED', 'ACTIVE']);
    expect(await statuses(resume, 1_000)).toEqual(['ACTIVE']);
  });
});

describe('the list of deliveries', () => {
  it('is newest first, of a site or a subscription, by status, by event and by time', async () => {
    const { pending, scheduled, delivered, dead } = await deliveries();
    const models = await of().caughtUp(await of().started());
    const listed = async (list: object) => (await pages((cursor) => models.listDeliveries({ site, limit: 2, cursor, ...list }))).map(({ id }) => id);
    expect(await listed({})).toEqual([dead, delivered, scheduled, pending]);
    expect(await listed({ subscriptionId: 'whs_1' })).toEqual([dead, delivered, scheduled, pending]);
    expect(await listed({ subscriptionId: 'whs_2' })).toEqual([]);
    expect(await listed({ status: 'SCHEDULED' })).toEqual([scheduled]);
    expect(await listed({ status: 'CANCELLED' })).toEqual([]);
    expect(await listed({ eventId: 'e3' })).toEqual([delivered]);
    expect(await listed({ eventId: 'e3', status: 'PENDING' })).toEqual([]);
    expect(await listed({ eventId: 'unknown' })).toEqual([]);
    expect(await listed({ sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) })).toEqual([dead, delivered]);
  });

  it('of a site is read of no more subscriptions than it has items, however many there are', async () => {
    const { log, store } = of();
    const scheduled: string[] = [];
    for (let n = 0; n < 40; n += 1) {
      await log.create(site, `whs_${n}`);
      await log.pass(1_000).publish(site, `e${n}`);
      scheduled.push(await log.schedule(site, `e${n}`, `whs_${n}`, incarnation));
      if (n % 3 === 0) await log.attempt(site, scheduled[n] ?? '', 'Succeeded');
    }
    const model = new ModelFile(join(of().dataDir, 'many.db'), { historyDays: 30 });
    const { events, position } = await store.readAll('0', undefined, 10_000);
    model.apply(events, position);
    model.show();
    const ranges = jest.spyOn(Object.getPrototypeOf(model.database.prepare('SELECT 1')) as { iterate: () => unknown }, 'iterate');
    const [first, second] = [items(listDeliveries(model.database, { site, limit: 5 })), items(listDeliveries(model.database, { site, limit: 2, status: 'DELIVERED' }))];
    model.close();
    expect(first.map(({ id }) => id)).toEqual(scheduled.slice(-5).toReversed());
    expect(second.map(({ id }) => id)).toEqual([scheduled[39], scheduled[36]]);
    expect(ranges).toHaveBeenCalledTimes(6 + 3);
    ranges.mockRestore();
  });

  it('shows what is open as cancelled from the deletion of its subscription on, also after a restore, until it is opened again', async () => {
    const { pending, scheduled, delivered } = await deliveries();
    await of().log.pass(1_000).subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    const models = await of().caughtUp(await of().started());
    const cancelled = async () => items(await models.listDeliveries({ site, status: 'CANCELLED', limit: 10 })).map(({ id }) => id);
    expect(await cancelled()).toEqual([scheduled, pending]);
    expect(items(await models.listDeliveries({ site, status: 'PENDING', limit: 10 }))).toEqual([]);
    expect(await models.delivery(site, pending)).toMatchObject({ status: 'CANCELLED', reason: 'subscription-deleted', nextAttemptAt: null, updatedAt: '2026-01-01T00:00:05.000Z' });
    expect(await models.delivery(site, delivered)).toMatchObject({ status: 'DELIVERED' });
    expect([await models.lanes(), await models.queueDepth(), await models.oldestUndeliveredAt()]).toEqual([[], { pending: 0, scheduled: 0 }, null]);
    await of().log.subscription(site, 'whs_1', 'Restored');
    await of().caughtUp(models);
    expect(await cancelled()).toEqual([scheduled, pending]);
    expect(await models.lanes()).toEqual([]);
    await of().log.replay(site, pending);
    await of().caughtUp(models);
    expect(await cancelled()).toEqual([scheduled]);
    expect(await models.lanes()).toMatchObject([{ subscriptionId: 'whs_1' }]);
  });

  it('shows what an earlier incarnation left as cancelled', async () => {
    const { pending } = await deliveries();
    await of().log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    await of().log.subscription(site, 'whs_1', 'Purged', { shreddedSecrets: [] });
    await of().log.create(site, 'whs_1');
    const models = await of().caughtUp(await of().started());
    expect(await models.delivery(site, pending)).toMatchObject({ status: 'CANCELLED' });
    expect(await models.lanes()).toEqual([]);
  });

  it('reads the same as each delivery folded from its stream, whatever became of its subscription', async () => {
    const ids = Object.values(await deliveries());
    const models = await of().caughtUp(await of().started());
    const same = async (): Promise<readonly string[]> => {
      await of().caughtUp(models);
      const listed = items(await models.listDeliveries({ site, limit: 10 }));
      const folded = await Promise.all(ids.map((id) => foldedDelivery(id)));
      // When it was cancelled is not in the stream of a subscription that was restored or created again since.
      const withoutTime = ({ updatedAt, ...view }: DeliveryView): object => (view.status === 'CANCELLED' ? view : { updatedAt, ...view });
      expect(folded.map(withoutTime)).toEqual(listed.toReversed().map(withoutTime));
      return folded.map(({ status }) => status);
    };
    expect(await same()).toEqual(['PENDING', 'SCHEDULED', 'DELIVERED', 'DEAD_LETTERED']);
    await of().log.pass(1_000).subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    expect(await same()).toEqual(['CANCELLED', 'CANCELLED', 'DELIVERED', 'DEAD_LETTERED']);
    expect(await foldedDelivery(ids[0] ?? '')).toEqual(await models.delivery(site, ids[0] ?? ''));
    await of().log.subscription(site, 'whs_1', 'Restored');
    await of().log.replay(site, ids[0] ?? '');
    expect(await same()).toEqual(['PENDING', 'CANCELLED', 'DELIVERED', 'DEAD_LETTERED']);
    await of().log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    await of().log.subscription(site, 'whs_1', 'Purged', { shreddedSecrets: [] });
    expect((await foldedDelivery(ids[0] ?? '')).status).toBe('CANCELLED');
    await of().log.create(site, 'whs_1');
    expect((await foldedDelivery(ids[0] ?? '')).status).toBe('CANCELLED');
  });

  it('leads to the recorded requests and to their transcripts, which stay in the log', async () => {
    const { scheduled } = await deliveries();
    const transcript = { deliveryId: scheduled, attempt: 1, request: { method: 'POST' } };
    await of().log.write('transcript-20260101.0', { type: 'WebhookTranscriptsRecorded', data: { transcripts: [{ deliveryId: 'dlv_other', attempt: 1 }, transcript] } });
    const models = await of().caughtUp(await of().started());
    expect(await models.attempts(site, scheduled)).toMatchObject([{ type: 'WebhookDeliveryAttemptFailed', outcome: { attempt: 1, why: '500' } }]);
    expect(await models.transcripts(site, scheduled)).toEqual([transcript]);
    await of().store.tombstone('transcript-20260101.0');
    expect(await models.transcripts(site, scheduled)).toEqual([]);
  });
});

describe('the feed of open deliveries', () => {
  it('is in log order, or for retries by the time they are due, after a place', async () => {
    const { pending, scheduled } = await deliveries();
    const sooner = await of().log.pass(-3_600_000).schedule(site, 'e8', 'whs_1', incarnation);
    await of().log.attempt(site, sooner, 'AttemptFailed');
    const last = await of().log.schedule(site, 'e9', 'whs_1', incarnation);
    const models = await of().caughtUp(await of().started());
    const feed = (status: 'PENDING' | 'SCHEDULED', order: 'due' | 'log', after: Place | null = null, limit = 10) => models.openDeliveries({ site, subscriptionId: 'whs_1', status, order, after, limit });
    const idsOf = (page: readonly DueDelivery[]): string[] => page.map(({ deliveryId: id }) => id);
    const waiting = await feed('PENDING', 'log');
    expect(idsOf(waiting)).toEqual([pending, last]);
    expect(idsOf(await feed('PENDING', 'log', waiting[0]))).toEqual([last]);
    expect(idsOf(await feed('PENDING', 'log', null, 1))).toEqual([pending]);
    const retries = await feed('SCHEDULED', 'due');
    expect(idsOf(retries)).toEqual([sooner, scheduled]);
    expect(idsOf(await feed('SCHEDULED', 'due', retries[0]))).toEqual([scheduled]);
    expect(idsOf(await feed('SCHEDULED', 'log'))).toEqual([scheduled, sooner]);
    expect(retries[1]).toEqual({
      site,
      deliveryId: scheduled,
      subscriptionId: 'whs_1',
      incarnation,
      eventId: 'e2',
      eventType: 'version.published',
      eventStream: eventStream(site, 'e2'),
      operational: false,
      revision: 1,
      attempts: 1,
      attemptsCounted: 1,
      lastChance: false,
      scheduledPosition: expect.any(String),
      openedPosition: retries[1]?.scheduledPosition,
      dueAtMs: Date.UTC(2026, 0, 1, 0, 0, 2) + 5_000,
    });
    expect(waiting[0]?.dueAtMs).toBe(Date.UTC(2026, 0, 1, 0, 0, 1));
    expect(await models.lanes()).toEqual([{ site, subscriptionId: 'whs_1', failures: 2 }]);
    await of().log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
    await of().caughtUp(models);
    expect(await models.lanes()).toHaveLength(1);
  });

  it('is read from its indexes, however many deliveries there are', () => {
    const feed = { site, subscriptionId: 'whs_1', after: null, limit: 10 } as const;
    const plans = plansOf((database) => {
      openDeliveries(database, { ...feed, status: 'PENDING', order: 'log' });
      openDeliveries(database, { ...feed, status: 'SCHEDULED', order: 'due' });
      lanes(database);
      listDeliveries(database, { site, subscriptionId: 'whs_1', limit: 10 });
    });
    expect(plans.filter((step) => step.includes('TEMP B-TREE') || /SCAN d/.test(step))).toEqual([]);
    expect(plans.filter((step) => step.includes('SEARCH d USING')).length).toBe(5);
  });
});

describe('approvals', () => {
  const policy = { required: true, minApprovals: 1, approvers: null, binding: 'RESOURCE', minTtlSeconds: 1, maxTtlSeconds: 1000, dueOnMode: 'reminder', executor: 'REQUESTER', voters: 'BOUND' };
  const request = (id: string, requester: string, expiresOn: string): Promise<string> =>
    of().log.pass(1).write(streamOf('approval', site, id), {
      type: 'ApprovalRequested',
      data: {
        binding: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', incarnation, level: 'RESOURCE', actionDigest: null, policyVersion: 0 },
        policy,
        eligible: [],
        requester: { type: 'USER', id: requester },
        onBehalfOf: [],
        chain: [],
        requesterKeyId: 'key_1',
        reason: null,
        payload: null,
        dueOn: '2026-01-01T12:00:00.000Z',
        expiresOn,
      },
    });

  it('read as they are by the clock, and are found by what they are for', async () => {
    await request('apr_1', 'ann', '2026-01-03T00:00:00.000Z');
    await request('apr_2', 'bob', '2026-01-02T00:00:00.000Z');
    await request('apr_3', 'ann', '2026-01-04T00:00:00.000Z');
    await of().log.write(streamOf('approval', site, 'apr_3'), { type: 'ApprovalGranted', data: {} }, { type: 'ApprovalUseMirrored', data: { commandId: 'c', position: '1' } });
    const models = await of().caughtUp(await of().started());
    const target = { site, commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1' };
    const candidates = async () => (await models.approvalCandidates(target)).map(({ id, status }) => [id, status]);
    expect(await candidates()).toEqual([
      ['apr_2', 'PENDING'],
      ['apr_1', 'PENDING'],
      ['apr_3', 'CONSUMED'],
    ]);
    expect((await models.openApprovalsBy({ type: 'USER', id: 'ANN' }, target)).map(({ id }) => id)).toEqual(['apr_1']);
    expect(await models.approvalCandidates({ ...target, resourceId: 'whs_2' })).toEqual([]);
    of().clock.wallMs = Date.UTC(2026, 0, 2);
    expect(await candidates()).toEqual([
      ['apr_1', 'PENDING'],
      ['apr_3', 'CONSUMED'],
      ['apr_2', 'EXPIRED'],
    ]);
    const listed = async (list: object) => (await pages((cursor) => models.listApprovals({ site, limit: 2, cursor, ...list }))).map(({ id }) => id);
    expect(await listed({})).toEqual(['apr_3', 'apr_2', 'apr_1']);
    expect(await listed({ status: 'EXPIRED' })).toEqual(['apr_2']);
    expect(await listed({ requester: { type: 'USER', id: 'ann' } })).toEqual(['apr_3', 'apr_1']);
    expect(items(await models.listApprovals({ site, status: 'PENDING', limit: 2 }))).toMatchObject([{ id: 'apr_1', overdue: true, revision: 1 }]);
  });

  it('for a resource are found by its index, however many approvals there are', () => {
    const plans = plansOf((database) => approvalCandidates(database, { site, commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', nowMs: 0 }));
    expect(plans.filter((step) => / a( |$)/.test(step))).toEqual([expect.stringContaining('(tenant=? AND environment=? AND resourceId=? AND commandType=?)')]);
  });

  it('read as invalidated from the moment their policy is another', async () => {
    await request('apr_1', 'ann', '2026-01-03T00:00:00.000Z');
    await of().log.write(streamOf('approvalpolicy', site, 'RotateWebhookSubscriptionSecret'), { type: 'ApprovalPolicySet', data: policy });
    const models = await of().caughtUp(await of().started());
    expect(items(await models.listApprovals({ site, limit: 2 }))).toMatchObject([{ status: 'INVALIDATED' }]);
    expect(await models.listPolicies(site)).toMatchObject([{ commandType: 'RotateWebhookSubscriptionSecret', version: 1, policy: { minApprovals: 1 } }]);
  });
});

describe('API keys', () => {
  const key = (id: string, more: object): Promise<string> =>
    of().log.pass(1).write(streamOf('apikey', site, id), {
      type: 'ApiKeyCreated',
      data: { name: id, scopes: ['site:t:approve'], actor: { type: 'USER', id }, anyActor: false, defaultActor: null, owner: null, expiresOn: null, keySha256: `h-${id}`, ...more },
    });

  it('tell who may approve in a site: users with a live key of their own', async () => {
    await key('ann', {});
    await key('ann2', { actor: { type: 'USER', id: 'Ann' } });
    await key('bob', { scopes: ['site:t.*:approve'] });
    await key('cid', { scopes: ['site:t:write'] });
    await key('dan', { expiresOn: '2026-01-01T00:00:01.000Z' });
    await key('eve', {});
    await of().log.write(streamOf('apikey', site, 'eve'), { type: 'ApiKeyRevoked', data: {} });
    await key('fox', { actor: { type: 'SERVICE', id: 'fox' }, owner: { type: 'USER', id: 'ann' } });
    await key('any', { actor: null, anyActor: true, defaultActor: { type: 'USER', id: 'gus' } });
    of().clock.wallMs = Date.UTC(2026, 0, 1, 0, 0, 1);
    const models = await of().caughtUp(await of().started());
    const names = async (at: Site) => (await models.approversOf(at)).map(({ id }) => id.toLowerCase());
    expect(await names(site)).toEqual(['ann', 'bob']);
    expect(await names({ tenant: 't', environment: 'staging' })).toEqual(['bob']);
    expect(await names({ tenant: 'u', environment: 'production' })).toEqual([]);
  });

  it('tell who answers for a machine: the owner of every key ever bound to it, also of one that was revoked or has expired', async () => {
    const owned = (id: string, owner: string, more: object = {}) => key(id, { actor: { type: 'AGENT', id: 'fox' }, owner: { type: 'USER', id: owner }, ...more });
    await owned('live', 'ann');
    await owned('again', 'Ann');
    await owned('revoked', 'bob');
    await of().log.write(streamOf('apikey', site, 'revoked'), { type: 'ApiKeyRevoked', data: {} });
    await owned('expired', 'cid', { expiresOn: '2026-01-01T00:00:01.000Z' });
    await owned('other', 'dan', { actor: { type: 'AGENT', id: 'owl' } });
    await owned('any', 'eve', { actor: null, anyActor: true, defaultActor: { type: 'AGENT', id: 'fox' } });
    of().clock.wallMs = Date.UTC(2026, 0, 1, 0, 0, 1);
    const models = await of().caughtUp(await of().started());
    expect((await models.ownersOf({ type: 'AGENT', id: 'FOX' })).map(({ id }) => id.toLowerCase())).toEqual(['ann', 'bob', 'cid']);
  });

  it('are found by id, revoked ones too, and listed newest first', async () => {
    for (const id of ['k1', 'k2', 'k3']) await key(id, {});
    await of().log.write(streamOf('apikey', site, 'k1'), { type: 'ApiKeyRevoked', data: {} });
    const models = await of().caughtUp(await of().started());
    expect(await models.apiKeyById('k1')).toMatchObject({ keySha256: 'h-k1', actor: { type: 'USER', id: 'k1' }, anyActor: false, revokedAtMs: of().log.nowMs });
    expect(await models.apiKeyById('k9')).toBeUndefined();
    expect((await pages((cursor) => models.listApiKeys({ limit: 2, cursor }))).map(({ id }) => id)).toEqual(['k3', 'k2', 'k1']);
  });
});

describe('commands', () => {
  it('are found by their id in their site', async () => {
    await of().log.create(site, 'whs_1');
    const models = await of().caughtUp(await of().started());
    const { log } = of();
    await log.write(streamOf('webhooksubscription', site, 'whs_1'), log.receipt('PauseWebhookSubscription', 'whs_1', 1, 'c-pause'));
    await of().caughtUp(models);
    expect(await models.command(site, 'c-pause')).toMatchObject({ commandId: 'c-pause', commandType: 'PauseWebhookSubscription', resourceId: 'whs_1', outcome: 'APPLIED', actor: 'USER:ann' });
    expect(await models.command({ tenant: 'u', environment: 'production' }, 'c-pause')).toBeUndefined();
  });
});

describe('tenants', () => {
  it('see nothing of each other, even when every id is the same', async () => {
    const stranger: Site = { tenant: 't', environment: 'staging' };
    const { pending } = await deliveries();
    const { log } = of();
    const approval = streamOf('approval', site, 'apr_1');
    await log.write(approval, { type: 'ApprovalRequested', data: { binding: { commandType: 'PauseWebhookSubscription', resourceId: 'whs_1', policyVersion: 0 }, policy: {}, requester: { type: 'USER', id: 'ann' }, dueOn: null, expiresOn: '2027-01-01T00:00:00.000Z' } });
    const models = await of().caughtUp(await of().started());
    const seen = async (at: Site) => ({
      subscriptions: items(await models.listSubscriptions({ site: at, includeDeleted: true, limit: 10 })).map(({ url, health }) => [url, health.consecutiveFailures, health.missedWhilePaused]),
      one: (await models.subscription(at, 'whs_1'))?.url,
      versions: (await models.subscriptionVersions(at, { overlapping: ['0', '1000'] })).length,
      deliveries: items(await models.listDeliveries({ site: at, limit: 10 })).length,
      ofSubscription: items(await models.listDeliveries({ site: at, subscriptionId: 'whs_1', limit: 10 })).length,
      ofEvent: items(await models.listDeliveries({ site: at, eventId: 'e1', limit: 10 })).length,
      delivery: await models.delivery(at, pending),
      attempts: await models.attempts(at, pending),
      transcripts: await models.transcripts(at, pending),
      open: (await models.openDeliveries({ site: at, subscriptionId: 'whs_1', status: 'PENDING', order: 'log', after: null, limit: 10 })).length,
      event: await models.event(at, 'e1'),
      approvals: items(await models.listApprovals({ site: at, limit: 10 })).length,
      candidates: (await models.approvalCandidates({ site: at, commandType: 'PauseWebhookSubscription', resourceId: 'whs_1' })).length,
    });
    const nothing = await seen(stranger);
    expect(nothing).toEqual({ subscriptions: [], one: undefined, versions: 0, deliveries: 0, ofSubscription: 0, ofEvent: 0, delivery: undefined, attempts: [], transcripts: [], open: 0, event: undefined, approvals: 0, candidates: 0 });
    const before = await seen(site);
    await log.create(stranger, 'whs_1', { status: 'PAUSED' });
    await log.publish(stranger, 'e1');
    await log.attempt(stranger, await log.schedule(stranger, 'e1', 'whs_1', incarnation), 'DeadLettered');
    await of().caughtUp(models);
    expect(await seen(site)).toEqual(before);
    expect(deliveryId(stranger, 'e1', 'whs_1', 0)).not.toBe(deliveryId(site, 'e1', 'whs_1', 0));
  });
});
