import { beforeEach, describe, expect, it } from '@jest/globals';
import { deliveryId, formatInstant } from '#kernel';
import { governedWorld, type GovernedWorld, site, upsertOf } from '../../test/support/governed-world.ts';

const day = 24 * 3_600_000;
let at: GovernedWorld;
let webhookDeliveryId: string;

/** A delivery that was scheduled and given up. */
beforeEach(async () => {
  at = governedWorld();
  await at.must('UpsertWebhookSubscription', upsertOf('whs_1'));
  const [created] = await at.events('WebhookSubscriptionCreated');
  webhookDeliveryId = deliveryId(site, 'evt', 'whs_1', at.clock.now());
  const metadata = { recordedat: formatInstant(at.clock.now()) };
  const scheduled = { subscriptionId: 'whs_1', incarnation: created?.id, eventId: 'evt', eventType: 'version.published', eventPosition: '1', eventStream: 'event-tnt_demo.production.evt', operational: false };
  const outcome = { attempt: 1, startedAt: formatInstant(at.clock.now()), durationMs: 1, status: 500, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: '', reason: 'attempts-exhausted' };
  await at.store.append(`webhookdelivery-tnt_demo.production.${webhookDeliveryId}`, 'NO_STREAM', [
    { id: '0b3f7a52-0000-4000-8000-000000000001', type: 'WebhookDeliveryScheduled', data: JSON.stringify(scheduled), metadata },
    { id: '0b3f7a52-0000-4000-8000-000000000002', type: 'WebhookDeliveryDeadLettered', data: JSON.stringify(outcome), metadata },
  ]);
});

describe('ReplayWebhookDelivery', () => {
  it('moves a dead letter back to PENDING', async () => {
    expect(await at.must('ReplayWebhookDelivery', { webhookDeliveryId })).toMatchObject({ outcome: 'APPLIED', result: { status: 'PENDING' } });
    expect(await at.must('ReplayWebhookDelivery', { webhookDeliveryId })).toMatchObject({ outcome: 'NO_CHANGE' });
  });

  it('is refused once its subscription was deleted, and for what was open then also after a restore', async () => {
    await at.must('DeleteWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    expect(await at.refused('ReplayWebhookDelivery', { webhookDeliveryId })).toBe('delivery-not-replayable');
  });

  it('of a delivery that the history has dropped is 404, like one that never was', async () => {
    await at.clock.advance(31 * day);
    at.dropHistory();
    expect(await at.refused('ReplayWebhookDelivery', { webhookDeliveryId })).toBe('not-found');
    expect(await at.refused('ReplayWebhookDelivery', { webhookDeliveryId: 'dlv_unknown' })).toBe('not-found');
  });
});
