import { describe, expect, it } from '@jest/globals';
import { formatInstant, streamOf } from '#kernel';
import { Reacting } from '../../test/support/reacting.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';
import { gateableCommands } from './events.ts';
import { approvalHousekeeping, type ApprovalOutput, graceMs, type KeptApproval } from './housekeeping-saga.ts';

type Saga = Reacting<KeptApproval, ApprovalOutput>;
const site = { tenant: 'acme', environment: 'production' };
const approval = streamOf('approval', site, 'apr_1');
const resource = streamOf('webhooksubscription', site, 'whs_1');
const policy = streamOf('approvalpolicy', site, 'RotateWebhookSubscriptionSecret');
const hour = 3_600_000;

const housekeeping = (): Saga => new Reacting(approvalHousekeeping);
const at = (ms: number): string => formatInstant(simulatedStart + ms);

function requested(saga: Saga, { id = 'apr_1', commandType = 'RotateWebhookSubscriptionSecret', resourceId = 'whs_1', dueOn = null as number | null, expiresOn = 24 * hour } = {}): void {
  saga.happens(streamOf('approval', site, id), 'ApprovalRequested', { binding: { commandType, resourceId }, dueOn: dueOn === null ? null : at(dueOn), expiresOn: at(expiresOn) });
  saga.passes(graceMs);
}

const did = (outputs: readonly ApprovalOutput[]): readonly string[] => outputs.map(({ do: what, approvalId }) => `${what} ${approvalId}`);

describe('an approval', () => {
  it('is reviewed once soon after it was requested: what it is bound to may have changed meanwhile', () => {
    const saga = housekeeping();
    saga.happens(approval, 'ApprovalRequested', { binding: { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1' }, dueOn: null, expiresOn: at(24 * hour) });
    expect(saga.passes(graceMs - 1)).toEqual([]);
    expect(saga.passes(graceMs)).toEqual([{ do: 'review-approval', site, approvalId: 'apr_1', nowMs: simulatedStart + graceMs, because: { correlationId: 'corr', causationId: `id-${approval}-0` } }]);
  });

  it('is reviewed at dueOn and at expiresOn, and then over', () => {
    const saga = housekeeping();
    requested(saga, { dueOn: 2 * hour, expiresOn: 3 * hour });
    const times = [2 * hour - 1, 2 * hour, 3 * hour - 1, 3 * hour, 9 * hour];
    expect(times.map((ms) => did(saga.passes(ms)))).toEqual([[], ['review-approval apr_1'], [], ['review-approval apr_1'], []]);
    expect(saga.states.size).toBe(0);
  });

  it('whose dueOn is its expiresOn is reviewed once', () => {
    const saga = housekeeping();
    requested(saga, { dueOn: hour, expiresOn: hour });
    expect(did(saga.passes(hour))).toEqual(['review-approval apr_1']);
  });

  it.each(['ApprovalDenied', 'ApprovalExpired', 'ApprovalInvalidated', 'ApprovalUseMirrored', 'ApprovalWithdrawn'])('after %s needs no more housekeeping', (type) => {
    const saga = housekeeping();
    requested(saga);
    expect(saga.happens(approval, type)).toEqual([]);
    expect(saga.passes(99 * hour)).toEqual([]);
  });

  it('that is granted still expires', () => {
    const saga = housekeeping();
    requested(saga, { expiresOn: 3 * hour });
    saga.happens(approval, 'ApprovalVoteCast');
    saga.happens(approval, 'ApprovalGranted');
    expect(did(saga.passes(3 * hour))).toEqual(['review-approval apr_1']);
  });
});

describe('a use', () => {
  it('is mirrored into the approval, and that is all', () => {
    const saga = housekeeping();
    requested(saga);
    saga.happens(approval, 'ApprovalGranted');
    const event = saga.writes(resource, 'ApprovalConsumed', { approvalId: 'apr_1', commandId: 'cmd' });
    expect(saga.meets(event)).toEqual([{ do: 'mirror-use', site, approvalId: 'apr_1', commandId: 'cmd', position: event.position, because: { correlationId: 'corr', causationId: event.id } }]);
    expect(saga.passes(99 * hour)).toEqual([]);
  });

  it('is mirrored though the approval was ended after it', () => {
    const saga = housekeeping();
    requested(saga);
    saga.happens(approval, 'ApprovalGranted');
    saga.happens(approval, 'ApprovalRevoked');
    expect(did(saga.happens(resource, 'ApprovalConsumed', { approvalId: 'apr_1', commandId: 'cmd' }))).toEqual(['mirror-use apr_1']);
    expect(saga.passes(99 * hour)).toEqual([]);
  });
});

describe('a fence', () => {
  it.each(['ApprovalRevoked', 'ApprovalWithdrawn'])('left unfinished after %s is repeated when the command had its time', (type) => {
    const saga = housekeeping();
    requested(saga);
    saga.happens(approval, 'ApprovalGranted');
    saga.happens(approval, type, {}, hour);
    expect(saga.passes(hour + graceMs - 1)).toEqual([]);
    expect(did(saga.passes(hour + graceMs))).toEqual(['fence-approval apr_1']);
    expect(saga.passes(99 * hour)).toEqual([]);
  });

  it('that stands is not repeated', () => {
    const saga = housekeeping();
    requested(saga);
    saga.happens(approval, 'ApprovalGranted');
    saga.happens(approval, 'ApprovalRevoked');
    saga.happens(resource, 'ApprovalFenced', { approvalId: 'apr_1' });
    expect(saga.passes(99 * hour)).toEqual([]);
  });

  it('is not needed for what was never granted', () => {
    const saga = housekeeping();
    requested(saga);
    saga.happens(approval, 'ApprovalWithdrawn');
    expect(saga.passes(99 * hour)).toEqual([]);
  });
});

describe('a change of what approvals are bound to', () => {
  it.each([
    ['ApprovalPolicySet', policy],
    ['ApprovalPolicyOverridden', policy],
    ['WebhookSubscriptionCreated', resource],
    ['WebhookSubscriptionPurged', resource],
  ])('%s has the approvals it concerns reviewed, after the time a use under way may take', (type, stream) => {
    const saga = housekeeping();
    requested(saga);
    requested(saga, { id: 'apr_2' });
    requested(saga, { id: 'apr_3', commandType: 'PauseWebhookSubscription', resourceId: 'whs_9' });
    saga.happens(stream, type, {}, hour);
    expect(saga.passes(hour + graceMs - 1)).toEqual([]);
    expect(did(saga.passes(hour + graceMs)).toSorted()).toEqual(['review-approval apr_1', 'review-approval apr_2']);
  });

  it('concerns the approval of a creation only if that creation did not use it', () => {
    const saga = housekeeping();
    requested(saga, { commandType: 'UpsertWebhookSubscription', expiresOn: 9 * hour });
    requested(saga, { id: 'apr_2', commandType: 'UpsertWebhookSubscription', expiresOn: 9 * hour });
    saga.happens(resource, 'WebhookSubscriptionCreated', {}, hour);
    expect(did(saga.happens(resource, 'ApprovalConsumed', { approvalId: 'apr_1', commandId: 'cmd' }, hour))).toEqual(['mirror-use apr_1']);
    expect(did(saga.passes(2 * hour))).toEqual(['review-approval apr_2']);
  });

  it('is looked for in the stream of every gateable command', () => {
    const saga = housekeeping();
    for (const [index, commandType] of gateableCommands.entries()) requested(saga, { id: `apr_${index}`, commandType, resourceId: 'x' });
    const categories: unknown = Object.fromEntries([...saga.states.values()].map((state, index) => [gateableCommands[index], state.kind === 'open' ? state.resource.split('-')[0] : '']));
    expect(categories).toEqual({
      UpsertWebhookSubscription: 'webhooksubscription',
      PauseWebhookSubscription: 'webhooksubscription',
      ResumeWebhookSubscription: 'webhooksubscription',
      DeleteWebhookSubscription: 'webhooksubscription',
      RestoreWebhookSubscription: 'webhooksubscription',
      RotateWebhookSubscriptionSecret: 'webhooksubscription',
      ReplayWebhookDelivery: 'webhookdelivery',
      SetApprovalPolicy: 'approvalpolicy',
    });
  });
});
