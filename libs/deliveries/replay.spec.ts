import { describe, expect, it } from '@jest/globals';
import type { Stored } from '#kernel';
import type { AttemptOutcome, DeliveryEvent } from './events.ts';
import { decideReplay, type ReplayDelivery } from './replay.ts';
import { type DeliveryState, evolveDelivery, initialDelivery } from './state.ts';

const deliveryOf = (...history: DeliveryEvent[]): DeliveryState =>
  history.reduce<DeliveryState>((state, event, index) => {
    const envelope = { id: `e${index}`, stream: 'webhookdelivery-acme.production.dlv_1', revision: index, position: String(10 + index), recordedAt: 1_000 + index, metadata: {} };
    const recorded: Stored<DeliveryEvent> = { ...event, ...envelope };
    return evolveDelivery(state, recorded);
  }, initialDelivery);

const given = (...history: DeliveryEvent[]) => ({
  when: (change: Partial<ReplayDelivery> = {}) => {
    const active = { status: 'ACTIVE', incarnation: 'inc-1', lastDeletedAt: null } as const;
    const state = deliveryOf(...history);
    const decision = decideReplay(state, { webhookDeliveryId: 'dlv_1', resetAttempts: false, includeDelivered: false, includeCancelled: false, inFlight: false, subscription: active, ...change });
    return {
      then: (...events: DeliveryEvent[]) => {
        expect(decision).toEqual({ events, result: { webhookDeliveryId: 'dlv_1', status: 'PENDING' } });
        return deliveryOf(...history, ...events);
      },
      thenNothing: () => expect(decision).toEqual({ events: [], result: { webhookDeliveryId: 'dlv_1', status: 'PENDING' } }),
      thenRefused: (code: string, words = '') => expect(decision).toEqual({ refused: code, detail: expect.stringContaining(words) }),
    };
  },
});

const outcome: AttemptOutcome = { attempt: 1, startedAt: '2026-01-01T00:00:00.000Z', durationMs: 5, status: 500, error: null, subscriptionRevision: 1, secretVersionIds: ['v1'], transcriptSha256: '00' };
const scheduled: DeliveryEvent = {
  type: 'WebhookDeliveryScheduled',
  data: { subscriptionId: 's1', incarnation: 'inc-1', eventId: 'e1', eventType: 'a.b', eventPosition: '9', eventStream: 'event-acme.production.e1', operational: false },
};
const failed: DeliveryEvent = { type: 'WebhookDeliveryAttemptFailed', data: { ...outcome, nextAttemptAt: '2026-01-01T00:05:00.000Z', why: 'status-500' } };
const deadLettered: DeliveryEvent = { type: 'WebhookDeliveryDeadLettered', data: { ...outcome, reason: 'attempts-exhausted' } };
const succeeded: DeliveryEvent = { type: 'WebhookDeliverySucceeded', data: { ...outcome, status: 200 } };
const replayed = (resetAttempts = false, manual = false): DeliveryEvent => ({ type: 'WebhookDeliveryReplayRequested', data: { subscriptionId: 's1', resetAttempts, manual } });

describe('ReplayWebhookDelivery', () => {
  it('moves a delivery that waits for a retry back to PENDING; its counter goes on', () => {
    expect(given(scheduled, failed).when().then(replayed())).toMatchObject({ status: 'PENDING', attempts: 1, attemptsCounted: 1, lastChance: false });
  });

  it('moves a dead letter back to PENDING for exactly one more attempt', () => {
    expect(given(scheduled, failed, deadLettered).when().then(replayed())).toMatchObject({ status: 'PENDING', attempts: 2, attemptsCounted: 2, lastChance: true });
  });

  it('gives a dead letter the whole schedule again when attempts are reset', () => {
    expect(given(scheduled, deadLettered).when({ resetAttempts: true }).then(replayed(true))).toMatchObject({ status: 'PENDING', attempts: 1, attemptsCounted: 0, lastChance: false });
  });

  it('sends again what was delivered when asked, marked as manual', () => {
    given(scheduled, succeeded).when({ includeDelivered: true }).then(replayed(false, true));
  });

  it('works while the subscription is paused: the delivery waits', () => {
    given(scheduled, failed).when({ subscription: { status: 'PAUSED', incarnation: 'inc-1', lastDeletedAt: null } }).then(replayed());
  });

  it('has nothing to do for a PENDING delivery', () => {
    given(scheduled).when().thenNothing();
    given(scheduled, deadLettered, replayed()).when({ resetAttempts: true }).thenNothing();
  });

  it('run twice, the second has nothing to do', () => {
    given(scheduled, failed, replayed()).when().thenNothing();
  });

  it('refuses an unknown delivery: not-found', () => {
    given().when().thenRefused('not-found', 'dlv_1');
  });

  it('refuses what was delivered unless asked: delivery-not-replayable', () => {
    given(scheduled, succeeded).when().thenRefused('delivery-not-replayable', 'DELIVERED');
  });

  it.each([[[scheduled]], [[scheduled, failed]]])('refuses a delivery in flight: delivery-not-replayable', (history) => {
    given(...history).when({ inFlight: true }).thenRefused('delivery-not-replayable', 'in flight');
  });

  it.each(['DELETED', 'NONE'] as const)('refuses a delivery that was cancelled with its subscription (%s): delivery-not-replayable', (status) => {
    given(scheduled).when({ subscription: { status, incarnation: 'inc-1', lastDeletedAt: '30' } }).thenRefused('delivery-not-replayable', 'CANCELLED');
  });

  it('refuses a delivery of an earlier incarnation: delivery-not-replayable', () => {
    given(scheduled, deadLettered).when({ subscription: { status: 'ACTIVE', incarnation: 'inc-2', lastDeletedAt: '30' } }).thenRefused('delivery-not-replayable', 'CANCELLED');
  });

  it('refuses a delivery that was cancelled before the subscription was restored: delivery-not-replayable', () => {
    const restored = { status: 'ACTIVE', incarnation: 'inc-1', lastDeletedAt: '30' } as const;
    given(scheduled, failed).when({ subscription: restored }).thenRefused('delivery-not-replayable', 'CANCELLED');
  });

  it.each([[[scheduled]], [[scheduled, failed]]])('opens again what was cancelled before the subscription was restored, when asked, and then has nothing more to do', (history) => {
    const restored = { includeCancelled: true, subscription: { status: 'ACTIVE', incarnation: 'inc-1', lastDeletedAt: '11' } } as const;
    expect(given(...history).when({ ...restored, subscription: { ...restored.subscription, lastDeletedAt: '12' } }).then(replayed())).toMatchObject({ status: 'PENDING', lastChance: false });
    given(...history, replayed()).when(restored).thenNothing();
  });

  it.each([
    ['deleted', { status: 'DELETED', incarnation: 'inc-1', lastDeletedAt: '30' }],
    ['purged', { status: 'NONE', incarnation: null, lastDeletedAt: null }],
    ['created anew', { status: 'ACTIVE', incarnation: 'inc-2', lastDeletedAt: null }],
  ] as const)('does not open it again while the subscription is %s, also when asked: delivery-not-replayable', (_, subscription) => {
    given(scheduled, failed).when({ includeCancelled: true, subscription }).thenRefused('delivery-not-replayable', 'CANCELLED');
  });

  it('takes a dead letter from before a deletion that was undone, and is idle when it was replayed since', () => {
    const restored = { status: 'ACTIVE', incarnation: 'inc-1', lastDeletedAt: '11' } as const;
    given(scheduled, deadLettered).when({ subscription: restored }).then(replayed());
    given(scheduled, deadLettered, replayed()).when({ subscription: restored }).thenNothing();
  });
});
