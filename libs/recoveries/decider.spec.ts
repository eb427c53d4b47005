import { describe, expect, it } from '@jest/globals';
import { formatInstant, isRefusal } from '#kernel';
import type { LiveSubscription, SubscriptionState } from '#subscriptions';
import { decisionsOf } from '../../test/support/given.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';
import { decideRecovery, type RecoveryCommand } from './decider.ts';
import type { RecoveryEvent } from './events.ts';
import { evolveRecovery, initialRecovery, type RecoveryState } from './state.ts';

const hourMs = 3_600_000;
const live: LiveSubscription = {
  status: 'ACTIVE',
  eventPattern: '**',
  targetUrl: 'https://receiver.example/',
  deliveryMode: 'AT_LEAST_ONCE',
  description: null,
  incarnation: 'inc-1',
  secret: { versionId: 'v1', kind: 'managed', fingerprint: 'f' },
  previousSecret: null,
  secretVersionIds: ['v1'],
  lastDeletedPosition: null,
  createdAtMs: 0,
  updatedAtMs: 0,
};
const deleted: SubscriptionState = { ...live, status: 'DELETED', before: { status: 'ACTIVE' }, deletedAtMs: 0, purgeAtMs: simulatedStart };

type Start = Extract<RecoveryCommand, { do: 'start' }>;
const start = (more: Partial<Start> = {}): RecoveryCommand => ({
  do: 'start',
  recoveryId: 'rec_1',
  webhookSubscriptionId: 's1',
  subscription: live,
  sinceMs: simulatedStart - hourMs,
  untilMs: null,
  statuses: ['MISSED', 'DEAD_LETTERED'],
  ratePerSecond: 100,
  nowMs: simulatedStart,
  replayIsGated: false,
  ...more,
});
const cancel: RecoveryCommand = { do: 'cancel', recoveryId: 'rec_1' };

const started: RecoveryEvent = {
  type: 'WebhookRecoveryStarted',
  data: { subscriptionId: 's1', incarnation: 'inc-1', since: formatInstant(simulatedStart - hourMs), until: formatInstant(simulatedStart), statuses: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 100 },
};
const progressed = (recovered: number): RecoveryEvent => ({ type: 'WebhookRecoveryProgressed', data: { cursor: { part: 'DELIVERIES', position: '7' }, total: 3, recovered, skipped: 0 } });
const finished: RecoveryEvent = { type: 'WebhookRecoveryFinished', data: { total: 3, recovered: 2, skipped: 1, detail: null } };
const cancelled: RecoveryEvent = { type: 'WebhookRecoveryCancelled', data: {} };

// Who asked stands in the envelope, which the given history has none of.
const evolve = (state: RecoveryState, event: Parameters<typeof evolveRecovery>[1]): RecoveryState => evolveRecovery(state, { ...event, metadata: { ...event.metadata, actortype: 'USER', actorid: 'sam' } });
const { given } = decisionsOf({ initialState: initialRecovery, evolve, decide: decideRecovery });
const pathOf = (more: Partial<Start>): unknown => {
  const decision = given().when(start(more)).decision;
  return isRefusal(decision) ? decision.members?.['errors'] : undefined;
};

describe('RecoverWebhookDeliveries', () => {
  it('starts a job for what was lost between two times, until now when no end is given', () => {
    given().when(start()).then(started);
    expect(given().when(start()).decision).toMatchObject({ result: { recoveryId: 'rec_1', webhookSubscriptionId: 's1', status: 'RUNNING', statuses: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 100 } });
  });

  it('works while the subscription is paused: the deliveries wait', () => {
    given().when(start({ subscription: { ...live, status: 'PAUSED', pausedReason: 'requested' } })).then(started);
  });

  it('has nothing to do for a job that is there', () => {
    given(started).when(start()).thenNothing();
  });

  it('refuses an unknown subscription: not-found', () => {
    given().when(start({ subscription: { status: 'NONE' } })).thenRefused('not-found');
  });

  it('refuses a deleted subscription: subscription-deleted', () => {
    given().when(start({ subscription: deleted })).thenRefused('subscription-deleted');
  });

  it('refuses a start in the future, an end in the future, and an empty stretch of time: validation-failed', () => {
    given().when(start({ sinceMs: simulatedStart + 1 })).thenRefused('validation-failed');
    expect(pathOf({ sinceMs: simulatedStart + 1 })).toEqual([{ path: 'payload.since', message: expect.stringContaining('not be in the future') }]);
    given().when(start({ untilMs: simulatedStart + 1 })).thenRefused('validation-failed');
    expect(pathOf({ untilMs: simulatedStart + 1 })).toEqual([{ path: 'payload.until', message: expect.stringContaining('not be in the future') }]);
    given().when(start({ sinceMs: simulatedStart - 5, untilMs: simulatedStart - 5 })).thenRefused('validation-failed');
    expect(pathOf({ sinceMs: simulatedStart - 5, untilMs: simulatedStart - 5 })).toEqual([{ path: 'payload.since', message: expect.stringContaining('before until') }]);
    given().when(start({ untilMs: simulatedStart })).then(started);
  });

  it('does not go past a policy that asks for an approval of each replay: approval-required', () => {
    given().when(start({ replayIsGated: true })).thenRefused('approval-required');
    given().when(start({ replayIsGated: true, statuses: ['SCHEDULED'] })).thenRefused('approval-required');
  });

  it('replays nothing of what was missed, so no such policy is in the way of that alone', () => {
    given().when(start({ replayIsGated: true, statuses: ['MISSED'] })).then({ ...started, data: { ...started.data, statuses: ['MISSED'] } });
  });
});

describe('CancelWebhookRecovery', () => {
  it('ends a running job', () => {
    given(started).when(cancel).then(cancelled);
    given(started, progressed(1)).when(cancel).then(cancelled);
  });

  it('has nothing to do when the job is over', () => {
    given(started, finished).when(cancel).thenNothing();
    given(started, cancelled).when(cancel).thenNothing();
  });

  it('refuses an unknown recovery: not-found', () => {
    given().when(cancel).thenRefused('not-found');
  });
});

describe('a recovery', () => {
  it('knows who asked for it, how far it is and how it ended', () => {
    expect(given(started).state).toMatchObject({ status: 'RUNNING', requestedBy: { type: 'USER', id: 'sam' }, cursor: null, total: null, startedPosition: '1', recordedPosition: '1' });
    expect(given(started, progressed(2)).state).toMatchObject({ status: 'RUNNING', cursor: { part: 'DELIVERIES', position: '7' }, total: 3, recovered: 2, startedPosition: '1', recordedPosition: '2' });
    expect(given(started, progressed(2), finished).state).toMatchObject({ status: 'FINISHED', total: 3, recovered: 2, skipped: 1, finishedAtMs: simulatedStart, detail: null });
    expect(given(started, progressed(2), cancelled).state).toMatchObject({ status: 'CANCELLED', recovered: 2, finishedAtMs: simulatedStart });
  });

  it('makes no progress before its start or after its end: such a log is broken', () => {
    expect(() => given(progressed(1))).toThrow('without a running recovery');
    expect(() => given(started, cancelled, progressed(1))).toThrow('without a running recovery');
  });
});
