import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Site, streamOf } from '#kernel';
import { History } from '../../test/support/history.ts';
import { folded } from '../../test/support/map-rows.ts';
import { subscriptionProjection, subscriptionTable, subscriptionVersionTable } from './projection.ts';

const site: Site = { tenant: 't', environment: 'production' };

const given = async (write: (log: History) => Promise<unknown>) => {
  const log = new MemoryLog();
  await write(new History(createMemoryEventStore(log)));
  const rows = folded(subscriptionProjection, log.events);
  return { subscriptions: rows.all(subscriptionTable), versions: rows.all(subscriptionVersionTable) };
};

describe('the projection of subscriptions', () => {
  it('counts what changes the state, not receipts and fences', async () => {
    const { subscriptions } = await given(async (log) => {
      await log.create(site, 'whs_1');
      await log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
      await log.write(streamOf('webhooksubscription', site, 'whs_1'), { type: 'ApprovalFenced', data: { approvalId: 'apr_1' } });
    });
    expect(subscriptions).toMatchObject([{ id: 'whs_1', status: 'PAUSED', revision: 2 }]);
  });

  it('makes nothing of a fence before the first creation', async () => {
    const { subscriptions } = await given((log) => log.write(streamOf('webhooksubscription', site, 'whs_1'), { type: 'ApprovalFenced', data: { approvalId: 'apr_1' } }));
    expect(subscriptions).toEqual([]);
  });

  it('begins a version where pattern, filter, status or mode change, and ends the one before at that very position', async () => {
    const { versions } = await given(async (log) => {
      await log.create(site, 'whs_1', { eventPattern: 'a.*' });
      await log.subscription(site, 'whs_1', 'Updated', { eventPattern: 'b.*', targetUrl: 'https://example.org', deliveryMode: 'ORDERED', description: null });
      await log.subscription(site, 'whs_1', 'Updated', { eventPattern: 'b.*', targetUrl: 'https://example.net', deliveryMode: 'ORDERED', description: 'only the target' });
      await log.subscription(site, 'whs_1', 'Updated', { eventPattern: 'b.*', filter: 'data.a > 1', targetUrl: 'https://example.net', deliveryMode: 'ORDERED', description: null });
      await log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    });
    expect(versions).toMatchObject([
      { eventPattern: 'a.*', filter: null, status: 'ACTIVE', deliveryMode: 'AT_LEAST_ONCE', fromPosition: '1', toPosition: '3' },
      { eventPattern: 'b.*', filter: null, status: 'ACTIVE', deliveryMode: 'ORDERED', fromPosition: '3', toPosition: '7' },
      { eventPattern: 'b.*', filter: 'data.a > 1', status: 'ACTIVE', deliveryMode: 'ORDERED', fromPosition: '7', toPosition: '9' },
      { eventPattern: 'b.*', filter: 'data.a > 1', status: 'DELETED', fromPosition: '9', toPosition: null },
    ]);
  });

  it('ends the last version with the purge, and goes on counting revisions for the next incarnation', async () => {
    const { subscriptions, versions } = await given(async (log) => {
      await log.create(site, 'whs_1');
      await log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
      await log.subscription(site, 'whs_1', 'Purged', { shreddedSecrets: [] });
      await log.create(site, 'whs_1');
    });
    expect(versions.map(({ status, toPosition }) => [status, toPosition])).toEqual([
      ['ACTIVE', '3'],
      ['DELETED', '5'],
      ['ACTIVE', null],
    ]);
    expect(subscriptions).toMatchObject([{ status: 'ACTIVE', revision: 4, deletedPosition: null }]);
  });

  it('remembers the deletion after a restore', async () => {
    const { subscriptions } = await given(async (log) => {
      await log.create(site, 'whs_1');
      await log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
      await log.subscription(site, 'whs_1', 'Restored');
    });
    expect(subscriptions).toMatchObject([{ status: 'ACTIVE', deletedPosition: '3' }]);
  });

  it('stops at a type it does not know', async () => {
    await expect(given((log) => log.write(streamOf('webhooksubscription', site, 'whs_1'), { type: 'WebhookSubscriptionRenamed', data: {} }))).rejects.toThrow('WebhookSubscriptionRenamed at 1');
  });
});
