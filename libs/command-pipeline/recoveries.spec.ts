import { describe, expect, it } from '@jest/globals';
import { formatInstant, streamOf } from '#kernel';
import { type GovernedWorld, governedWorld, site, upsertOf } from '../../test/support/governed-world.ts';

const outcome = { attempt: 1, startedAt: '2026-01-01T00:00:00.000Z', durationMs: 5, status: 500, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: 't' };
const hourMs = 3_600_000;

async function subscribed(): Promise<GovernedWorld> {
  const world = governedWorld();
  await world.must('UpsertWebhookSubscription', upsertOf('s1'));
  await world.clock.advance(hourMs);
  return world;
}
const recover = (world: GovernedWorld): { readonly webhookSubscriptionId: string; readonly since: string } => ({ webhookSubscriptionId: 's1', since: formatInstant(world.clock.now() - 1_000) });

describe('RecoverWebhookDeliveries', () => {
  it('starts a job in a stream of its own, named after the command: the same key is the same job', async () => {
    const world = await subscribed();
    const payload = recover(world);
    const first = await world.must('RecoverWebhookDeliveries', payload, { idempotencyKey: 'k' });
    expect(first).toMatchObject({ outcome: 'APPLIED', revision: 1, result: { recoveryId: first.resourceId, status: 'RUNNING', statuses: ['DEAD_LETTERED', 'MISSED'], until: formatInstant(world.clock.now()), ratePerSecond: 100 } });
    expect(first.resourceId).toMatch(/^rec_[a-z0-9]{26}$/);
    await world.clock.advance(hourMs);
    expect(await world.must('RecoverWebhookDeliveries', payload, { idempotencyKey: 'k' })).toMatchObject({ replayed: true, resourceId: first.resourceId, result: first.result });
    expect((await world.must('RecoverWebhookDeliveries', payload)).resourceId).not.toBe(first.resourceId);
    expect((await world.events('WebhookRecoveryStarted')).map(({ stream }) => stream).slice(0, 1)).toEqual([streamOf('recovery', site, first.resourceId)]);
  });

  it('is refused for a subscription that is not there, was deleted, or times that make no sense', async () => {
    const world = await subscribed();
    expect(await world.refused('RecoverWebhookDeliveries', { ...recover(world), webhookSubscriptionId: 'none' })).toBe('not-found');
    expect(await world.refused('RecoverWebhookDeliveries', { ...recover(world), until: formatInstant(world.clock.now() + 1) })).toBe('validation-failed');
    await world.must('DeleteWebhookSubscription', { webhookSubscriptionId: 's1' });
    expect(await world.refused('RecoverWebhookDeliveries', recover(world))).toBe('subscription-deleted');
  });

  it('does not go past a policy on single replays; the jobs of a site without one go on', async () => {
    const world = await subscribed();
    await world.must('SetApprovalPolicy', { commandType: 'ReplayWebhookDelivery', required: true });
    expect(await world.refused('RecoverWebhookDeliveries', recover(world))).toBe('approval-required');
    const other = { site: { tenant: 'other', environment: 'production' } };
    await world.must('UpsertWebhookSubscription', upsertOf('s1'), other);
    await world.must('RecoverWebhookDeliveries', recover(world), other);
  });
});

describe('CancelWebhookRecovery', () => {
  it('ends a job once, and finds none of another site', async () => {
    const world = await subscribed();
    const { resourceId: recoveryId } = await world.must('RecoverWebhookDeliveries', recover(world));
    expect(await world.refused('CancelWebhookRecovery', { recoveryId }, { site: { tenant: 'other', environment: 'production' } })).toBe('not-found');
    expect(await world.must('CancelWebhookRecovery', { recoveryId })).toMatchObject({ outcome: 'APPLIED', result: { recoveryId, status: 'CANCELLED' } });
    expect(await world.must('CancelWebhookRecovery', { recoveryId })).toMatchObject({ outcome: 'NO_CHANGE', result: { recoveryId, status: 'CANCELLED' } });
  });
});

describe('ReplayWebhookDelivery', () => {
  it('opens what was cancelled for a recovery alone: a caller who asks for it is refused', async () => {
    const world = await subscribed();
    const [created] = await world.events('WebhookSubscriptionCreated');
    const data = { subscriptionId: 's1', incarnation: created?.id, eventId: 'e1', eventType: 'version.published', eventPosition: '1', eventStream: 'event-tnt_demo.production.e1', operational: false };
    const metadata = { recordedat: formatInstant(world.clock.now()), schemaversion: '1', ...site };
    const failed = { ...outcome, why: 'status-500', nextAttemptAt: formatInstant(world.clock.now() + hourMs) };
    await world.store.append(streamOf('webhookdelivery', site, 'dlv_1'), 'NO_STREAM', [
      { id: '00000000-0000-4000-8000-000000000001', type: 'WebhookDeliveryScheduled', data: JSON.stringify(data), metadata },
      { id: '00000000-0000-4000-8000-000000000002', type: 'WebhookDeliveryAttemptFailed', data: JSON.stringify(failed), metadata },
    ]);
    await world.must('DeleteWebhookSubscription', { webhookSubscriptionId: 's1' });
    await world.must('RestoreWebhookSubscription', { webhookSubscriptionId: 's1' });
    const payload = { webhookDeliveryId: 'dlv_1', includeCancelled: true };
    expect(await world.refused('ReplayWebhookDelivery', payload)).toBe('delivery-not-replayable');
    expect(await world.must('ReplayWebhookDelivery', payload, { caller: null, actor: { type: 'SYSTEM', id: 'recoveries' } })).toMatchObject({ outcome: 'APPLIED' });
  });
});

describe('TestWebhookSubscription', () => {
  it('answers what the delivery and its event are called; the same key is the same test', async () => {
    const world = await subscribed();
    const first = await world.must('TestWebhookSubscription', { webhookSubscriptionId: 's1' }, { idempotencyKey: 'k' });
    expect(first.resourceId).toMatch(/^tst_[a-z0-9]{26}$/);
    expect(first.result).toEqual({ webhookSubscriptionId: 's1', status: 'ACTIVE', deliveryId: expect.stringMatching(/^dlv_/), eventId: expect.stringMatching(/^evt_/) });
    await world.clock.advance(hourMs);
    expect(await world.must('TestWebhookSubscription', { webhookSubscriptionId: 's1' }, { idempotencyKey: 'k' })).toMatchObject({ replayed: true, result: first.result });
    expect(await world.events('WebhookTestRequested')).toHaveLength(1);
    expect(await world.refused('TestWebhookSubscription', { webhookSubscriptionId: 'none' })).toBe('not-found');
  });
});
