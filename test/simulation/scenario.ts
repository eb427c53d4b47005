import type { CommandAnswer, CommandRequest } from '#command-pipeline';
import { isRefusal, type Json, type JsonObject, type Principal, type Refusal } from '#kernel';
import { approver, callerOf, requester, site } from './installation.ts';
import type { Random } from './random.ts';

/** One thing a client wants, and how it ended for the client. */
export interface Operation {
  readonly request: CommandRequest;
  /** Every answer that reached the client, in order. */
  readonly answers: (CommandAnswer | Refusal)[];
}

export const subscriptions = ['whs_a', 'whs_b'] as const;

/** Approvals granted before the chaos begins: two for the first subscription, so that both a race for one and a choice happen. */
export const approvals = ['apr_one', 'apr_two'] as const;

/** An approval that was asked for and not decided: the same request again is answered with it, where the index knows it. */
export const openApproval = 'apr_open';

export const askPayload = (resourceId: string, more: Readonly<Record<string, Json>> = {}): JsonObject => ({ commandType: 'RotateWebhookSubscriptionSecret', resourceId, expiresOn: '2026-01-02T00:00:00Z', ...more });

const keys = ['k1', 'k2', 'k3'] as const;

export const requestOf = (commandType: string, idempotencyKey: string, actor: Principal, payload: JsonObject, more: Partial<CommandRequest> = {}): CommandRequest => ({
  commandType,
  site,
  actor,
  caller: callerOf(actor),
  idempotencyKey,
  payload,
  correlationId: 'simulation',
  ...more,
});

export const upsertPayload = (webhookSubscriptionId: string, more: Readonly<Record<string, Json>> = {}): JsonObject => ({
  webhookSubscriptionId,
  eventPattern: 'version.*',
  targetUrl: 'https://receiver.example/hook',
  signingSecretRef: 'managed',
  deliveryMode: 'AT_LEAST_ONCE',
  status: 'ACTIVE',
  ...more,
});

/** What the clients of one schedule want, all at once: few keys and few resources, so that they meet. */
export function operationsOf(random: Random): Operation[] {
  const operations = Array.from({ length: 3 + random.below(5) }, () => wish(random));
  // The same request from two clients with one key is the commonest race of all.
  if (random.chance(0.6)) operations.push(random.pick(operations));
  return operations.map((request) => ({ request, answers: [] }));
}

function wish(random: Random): CommandRequest {
  const key = random.pick(keys);
  const id = random.pick(subscriptions);
  const kind = random.pick(['rotate', 'rotate', 'rotate', 'rotate', 'pause', 'resume', 'upsert', 'create', 'ask', 'revoke', 'revoke', 'withdraw'] as const);
  switch (kind) {
    case 'rotate':
      return requestOf('RotateWebhookSubscriptionSecret', key, requester, { webhookSubscriptionId: subscriptions[0] }, random.chance(0.5) ? { approvalId: random.pick(approvals) } : {});
    case 'pause':
      return requestOf('PauseWebhookSubscription', key, requester, { webhookSubscriptionId: id });
    case 'resume':
      return requestOf('ResumeWebhookSubscription', key, requester, { webhookSubscriptionId: id });
    case 'upsert':
      return requestOf('UpsertWebhookSubscription', key, requester, upsertPayload(id, { eventPattern: random.pick(['version.*', 'claim.**']), ...random.pick([{}, { headers: { 'X-Key': 'one' } }, { headers: { 'X-Key': 'two', 'X-Other': 'one' } }]) }));
    case 'create': {
      const { webhookSubscriptionId: _derived, ...payload } = upsertPayload('');
      return requestOf('UpsertWebhookSubscription', key, requester, payload);
    }
    case 'ask':
      return requestOf('RequestApproval', key, requester, askPayload(subscriptions[1]));
    case 'revoke':
      return requestOf('RevokeApproval', random.pick(['r1', 'r2']), approver, { approvalId: random.pick(approvals), reason: 'simulated' });
    case 'withdraw':
      return requestOf('WithdrawApproval', random.pick(['w1', 'w2']), requester, { approvalId: random.pick(approvals) });
  }
}

const retried: ReadonlySet<string> = new Set(['outcome-unknown', 'store-unavailable', 'idempotency-request-in-flight', 'concurrent-modification']);

/** Whether an honest client sends the same request again. */
export const isRetried = (answer: CommandAnswer | Refusal): boolean => isRefusal(answer) && retried.has(answer.refused);
