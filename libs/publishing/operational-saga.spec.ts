import { describe, expect, it } from '@jest/globals';
import { approvalAnnouncements } from '#approvals';
import { deliveryAnnouncements } from '#deliveries';
import { type CreateOutput, eventStream, parsePattern, streamOf } from '#kernel';
import { subscriptionAnnouncements } from '#subscriptions';
import { Reacting } from '../../test/support/reacting.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';
import { operationalEvents } from './operational-saga.ts';

const site = { tenant: 'acme', environment: 'production' };
const subscription = streamOf('webhooksubscription', site, 'whs_1');
const delivery = streamOf('webhookdelivery', site, 'dlv_1');
const approval = streamOf('approval', site, 'apr_1');

const saga = (): Reacting<never, CreateOutput> => new Reacting(operationalEvents({ ...subscriptionAnnouncements, ...deliveryAnnouncements, ...approvalAnnouncements }));
const announced = (outputs: readonly CreateOutput[]): readonly object[] => outputs.map(({ metadata, data }) => ({ type: metadata?.['publishedtype'], ...data }));

describe('an operational event', () => {
  it('is published into the site where it happened, under an id of its cause', () => {
    const reacting = saga();
    const event = reacting.writes(subscription, 'WebhookSubscriptionPaused', { reason: 'endpoint-gone' });
    const [output] = reacting.meets(event);
    const publishedId = output?.metadata?.['publishedid'] ?? '';
    expect(output).toEqual({
      do: 'create',
      key: event.id,
      site,
      stream: eventStream(site, publishedId),
      type: 'EventPublished',
      data: { webhookSubscriptionId: 'whs_1', reason: 'endpoint-gone' },
      metadata: { publishedid: publishedId, publishedtype: 'webhook.subscription.paused', operational: 'true', occurredat: new Date(simulatedStart).toISOString() },
      because: { correlationId: 'corr', causationId: event.id },
    });
    expect(publishedId).toMatch(/^evt_[0-9a-z]{26}$/);
    expect(output?.stream).toBe(streamOf('event', site, publishedId));
    expect(reacting.meets(event)).toEqual([output]);
  });

  it('tells ids and reasons of what happens to subscriptions, and no settings, target or secret', () => {
    const reacting = saga();
    const secret = { versionId: 'v1', kind: 'managed', fingerprint: 'f' };
    const settings = { eventPattern: '**', targetUrl: 'https://user:pass@receiver.test/?token=t', deliveryMode: 'ORDERED', description: 'd' };
    const happened = [
      reacting.happens(subscription, 'WebhookSubscriptionCreated', { ...settings, secret }),
      reacting.happens(subscription, 'WebhookSubscriptionUpdated', settings),
      reacting.happens(subscription, 'WebhookSubscriptionResumed'),
      reacting.happens(subscription, 'WebhookSubscriptionSecretRotated', { secret }),
      reacting.happens(subscription, 'WebhookSubscriptionDeleted', { purgeAt: '2027-01-01T00:00:00.000Z' }),
      reacting.happens(subscription, 'WebhookSubscriptionRestored'),
      reacting.happens(subscription, 'WebhookSubscriptionPurged', { shreddedSecrets: ['v1'] }),
      reacting.happens(subscription, 'CommandExecuted', { result: { secret: 'no' } }),
    ];
    const webhookSubscriptionId = 'whs_1';
    expect(happened.flatMap(announced)).toEqual([
      { type: 'webhook.subscription.created', webhookSubscriptionId },
      { type: 'webhook.subscription.updated', webhookSubscriptionId },
      { type: 'webhook.subscription.resumed', webhookSubscriptionId },
      { type: 'webhook.subscription.secret_rotated', webhookSubscriptionId },
      { type: 'webhook.subscription.deleted', webhookSubscriptionId, purgeAt: '2027-01-01T00:00:00.000Z' },
      { type: 'webhook.subscription.restored', webhookSubscriptionId },
      { type: 'webhook.subscription.purged', webhookSubscriptionId },
    ]);
  });

  it('tells of a dead letter, but not of one of an operational event', () => {
    const outcome = { attempt: 10, reason: 'attempts-exhausted' };
    const [usual, operational] = [false, true].map((isOperational) => {
      const reacting = saga();
      reacting.happens(delivery, 'WebhookDeliveryScheduled', { subscriptionId: 'whs_1', eventId: 'e1', eventType: 'a.b', operational: isOperational });
      return announced(reacting.happens(delivery, 'WebhookDeliveryDeadLettered', outcome));
    });
    expect(usual).toEqual([{ type: 'webhook.delivery.dead_lettered', webhookDeliveryId: 'dlv_1', webhookSubscriptionId: 'whs_1', eventId: 'e1', eventType: 'a.b', reason: 'attempts-exhausted', attempts: 10 }]);
    expect(operational).toEqual([]);
  });

  it('tells of deliveries nothing else: neither that they were scheduled nor that they went well', () => {
    const reacting = saga();
    const data = { subscriptionId: 'whs_1', eventId: 'e1', eventType: 'a.b', operational: false };
    expect(['WebhookDeliveryScheduled', 'WebhookDeliverySucceeded', 'WebhookDeliveryAttemptFailed', 'WebhookDeliveryReplayRequested'].flatMap((type) => reacting.happens(delivery, type, data))).toEqual([]);
  });

  it('tells of every step of an approval but the single votes, always with what it is for', () => {
    const reacting = saga();
    const request = { binding: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1' }, requester: { type: 'USER', id: 'sam' }, dueOn: null, expiresOn: '2026-12-01T00:00:00.000Z', reason: 'leak', payload: { signingSecretRef: 'managed' } };
    const steps: readonly (readonly [string, object])[] = [
      ['ApprovalRequested', request],
      ['ApprovalVoteCast', {}],
      ['ApprovalGranted', {}],
      ['ApprovalDenied', { reason: 'no' }],
      ['ApprovalWithdrawn', { reason: null }],
      ['ApprovalRevoked', { reason: 'late' }],
      ['ApprovalUseMirrored', { commandId: 'c1' }],
      ['ApprovalExpired', {}],
      ['ApprovalInvalidated', { cause: 'policy-changed' }],
      ['ApprovalDueReminded', {}],
    ];
    const about = { approvalId: 'apr_1', commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', requester: 'USER:sam', dueOn: null, expiresOn: '2026-12-01T00:00:00.000Z' };
    expect(steps.flatMap(([type, data]) => announced(reacting.happens(approval, type, data)))).toEqual([
      { type: 'approval.requested', ...about, reason: 'leak' },
      { type: 'approval.granted', ...about },
      { type: 'approval.denied', ...about, reason: 'no' },
      { type: 'approval.withdrawn', ...about, reason: null },
      { type: 'approval.revoked', ...about, reason: 'late' },
      { type: 'approval.consumed', ...about, commandId: 'c1' },
      { type: 'approval.expired', ...about },
      { type: 'approval.invalidated', ...about, cause: 'policy-changed' },
      { type: 'approval.overdue', ...about },
    ]);
  });

  it('has a type that a pattern can name', () => {
    const reacting = saga();
    const [output] = reacting.happens(subscription, 'WebhookSubscriptionSecretRotated');
    expect(parsePattern(output?.metadata?.['publishedtype'] ?? '')).toEqual(['webhook.subscription.secret_rotated']);
  });

  it('is not told of an event that is not in a resource\'s stream: that is poison', () => {
    const reacting = saga();
    expect(() => reacting.happens('webhooksubscription-nowhere', 'WebhookSubscriptionResumed')).toThrow("no resource's stream");
  });
});
