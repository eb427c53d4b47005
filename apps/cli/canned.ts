import { JsonText, type Members, writeJson } from './json.ts';

const subscription = { webhookSubscriptionId: 'whs_q2mfx7ok3vdapb5jwn4yhs6tce' };
const approval = {
  approvalId: 'apr_7k2vdapb5jwn4yhs6tceq2mfxo',
  commandType: 'RotateWebhookSubscriptionSecret',
  resourceId: subscription.webhookSubscriptionId,
  requester: 'USER:usr_sam',
  dueOn: null,
  expiresOn: '2026-11-03T14:00:00.000Z',
};
const reason = { reason: 'The key was in a log.' };

/** What the operational events say, by example: the same members as the real ones have. */
const operational: Readonly<Record<string, Members>> = {
  'approval.requested': { ...approval, ...reason },
  'approval.granted': approval,
  'approval.denied': { ...approval, ...reason },
  'approval.withdrawn': { ...approval, ...reason },
  'approval.revoked': { ...approval, ...reason },
  'approval.consumed': { ...approval, commandId: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e' },
  'approval.expired': approval,
  'approval.invalidated': { ...approval, cause: 'policy-changed' },
  'approval.overdue': approval,
  'webhook.delivery.dead_lettered': { webhookDeliveryId: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc', ...subscription, eventId: 'evt_01jd4x8qk6m0v7h2w9y3z5a1bc', eventType: 'version.published', reason: 'attempts-exhausted', attempts: 10 },
  'webhook.subscription.created': subscription,
  'webhook.subscription.updated': subscription,
  'webhook.subscription.paused': { ...subscription, reason: 'requested' },
  'webhook.subscription.resumed': subscription,
  'webhook.subscription.secret_rotated': subscription,
  'webhook.subscription.deleted': { ...subscription, purgeAt: '2026-12-03T14:00:00.000Z' },
  'webhook.subscription.restored': subscription,
  'webhook.subscription.purged': subscription,
};

export const operationalTypes: readonly string[] = Object.keys(operational);

/** Data that an event of the type could have. What publishers put into theirs is not known here, so they all get the same. */
export function cannedData(type: string): JsonText {
  const data = JsonText.of(writeJson(operational[type] ?? { message: `A sample of ${type} from kf trigger: nothing was published.` }));
  if (data === undefined) throw new TypeError(`the sample of ${type} is not JSON`);
  return data;
}
