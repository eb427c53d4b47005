import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Site, streamOf } from '#kernel';
import { History } from '../../test/support/history.ts';
import { folded } from '../../test/support/map-rows.ts';
import { defaultPolicy } from './policy.ts';
import { approvalPolicyProjection, approvalPolicyTable, approvalProjection, approvalTable } from './projection.ts';

const site: Site = { tenant: 't', environment: 'production' };
const policy = defaultPolicy('RotateWebhookSubscriptionSecret');
const requested = {
  binding: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', incarnation: 'i1', level: 'RESOURCE', actionDigest: null, policyVersion: 0 },
  policy,
  eligible: [],
  requester: { type: 'USER', id: 'Ann' },
  onBehalfOf: [],
  chain: [{ type: 'USER', id: 'Ann' }],
  requesterKeyId: 'key_1',
  reason: null,
  payload: null,
  dueOn: '2026-01-02T00:00:00.000Z',
  expiresOn: '2026-01-03T00:00:00.000Z',
};

const given = async (write: (log: History) => Promise<unknown>) => {
  const memory = new MemoryLog();
  await write(new History(createMemoryEventStore(memory)));
  return { approvals: folded(approvalProjection, memory.events).all(approvalTable), policies: folded(approvalPolicyProjection, memory.events).all(approvalPolicyTable) };
};
const approval = streamOf('approval', site, 'apr_1');

describe('the projection of approvals', () => {
  it('keeps what it is for and when it ends', async () => {
    const { approvals } = await given((log) => log.write(approval, { type: 'ApprovalRequested', data: requested }));
    expect(approvals).toMatchObject([{ id: 'apr_1', status: 'PENDING', commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', requester: 'user:ann', endsAtMs: Date.UTC(2026, 0, 3), revision: 1 }]);
  });

  it('ends at dueOn where that closes the decision, until it is decided', async () => {
    const closing = { ...requested, policy: { ...policy, dueOnMode: 'closesDecision' } };
    const open = await given((log) => log.write(approval, { type: 'ApprovalRequested', data: closing }));
    const granted = await given((log) => log.write(approval, { type: 'ApprovalRequested', data: closing }, { type: 'ApprovalGranted', data: {} }));
    expect([open.approvals[0]?.endsAtMs, granted.approvals[0]?.endsAtMs]).toEqual([Date.UTC(2026, 0, 2), Date.UTC(2026, 0, 3)]);
  });

  it('is consumed when its use is mirrored', async () => {
    const { approvals } = await given((log) => log.write(approval, { type: 'ApprovalRequested', data: requested }, { type: 'ApprovalGranted', data: {} }, { type: 'ApprovalUseMirrored', data: { commandId: 'c1', position: '9' } }));
    expect(approvals).toMatchObject([{ status: 'CONSUMED', revision: 3 }]);
  });
});

describe('the projection of approval policies', () => {
  it('counts how often each was set', async () => {
    const stream = streamOf('approvalpolicy', site, 'UpsertWebhookSubscription');
    const { policies } = await given((log) => log.write(stream, { type: 'ApprovalPolicySet', data: policy }, { type: 'ApprovalPolicyOverridden', data: { ...policy, minApprovals: 2 } }));
    expect(policies).toMatchObject([{ commandType: 'UpsertWebhookSubscription', version: 2 }]);
  });

  it('stops at a policy for no command type', async () => {
    await expect(given((log) => log.write(streamOf('approvalpolicy', site, 'FlyToTheMoon'), { type: 'ApprovalPolicySet', data: policy }))).rejects.toThrow('no command type');
  });
});
