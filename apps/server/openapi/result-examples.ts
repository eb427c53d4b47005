import { CommandAnswerDto, type CommandType } from '#contracts';
import { exampleOfSchema } from './examples.ts';
import { schemas } from './schemas.ts';

const orders = { webhookSubscriptionId: 'orders-receiver', status: 'ACTIVE' };
const approvalId = 'apr_01jd4x8qk6m0v7h2w9y3z5a1bc';
const recoveryId = 'rec_01jd4x8qk6m0v7h2w9y3z5a1bc';
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** What stands in `result` of each command. */
const results: Readonly<Record<CommandType, object>> = {
  UpsertWebhookSubscription: { ...orders, created: true, secret },
  PauseWebhookSubscription: { ...orders, status: 'PAUSED' },
  ResumeWebhookSubscription: orders,
  DeleteWebhookSubscription: { ...orders, status: 'DELETED', purgeAt: '2026-12-03T14:00:00.000Z' },
  RestoreWebhookSubscription: orders,
  RotateWebhookSubscriptionSecret: { ...orders, secretVersionId: 'sec_01jd4x8qk6m0v7h2w9y3z5a1bc', graceUntil: '2026-11-04T14:00:00.000Z', secret },
  ReplayWebhookDelivery: { webhookDeliveryId: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc', status: 'PENDING' },
  RecoverWebhookDeliveries: { recoveryId, status: 'RUNNING', webhookSubscriptionId: 'orders-receiver', since: '2026-11-02T14:00:00.000Z', until: '2026-11-03T14:00:00.000Z', statuses: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 100 },
  CancelWebhookRecovery: { recoveryId, status: 'CANCELLED' },
  TestWebhookSubscription: { ...orders, deliveryId: 'dlv_01jd4x8qk6m0v7h2w9y3z5a1bc', eventId: 'evt_01jd4x8qk6m0v7h2w9y3z5a1bc' },
  RequestApproval: { approvalId, status: 'PENDING', expiresOn: '2026-11-05T14:00:00.000Z' },
  GrantApproval: { approvalId, status: 'APPROVED', approvals: 1, minApprovals: 1 },
  DenyApproval: { approvalId, status: 'DENIED' },
  WithdrawApproval: { approvalId, status: 'WITHDRAWN' },
  RevokeApproval: { approvalId, status: 'REVOKED' },
  SetApprovalPolicy: { commandType: 'RotateWebhookSubscriptionSecret', required: true, minApprovals: 1, approvers: null, binding: 'RESOURCE', minTtlSeconds: 60, maxTtlSeconds: 604_800, dueOnMode: 'reminder', executor: 'REQUESTER', voters: 'BOUND' },
  PublishEvent: { eventId: 'evt-4711' },
  CreateApiKey: { keyId: 'key_01jd4x8qk6m0v7h2w9y3z5a1bc', name: 'registry', scopes: ['site:acme:write'], expiresOn: null, secret: 'kf_01jd4x8qk6m0v7h2w9y3z5a1bc_…' },
  RevokeApiKey: { keyId: 'key_01jd4x8qk6m0v7h2w9y3z5a1bc', status: 'REVOKED' },
};

/** The answer to a command that took effect. */
export function answerExample(commandType: CommandType): object {
  const result = results[commandType];
  const [resourceId] = Object.values(result) as readonly string[];
  return { ...(exampleOfSchema(schemas()['CommandAnswer'] ?? {}, schemas()) as CommandAnswerDto), commandType, resourceId: resourceId ?? 'orders-receiver', replayed: false, result };
}
