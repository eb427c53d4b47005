import { describe, expect, it } from '@jest/globals';
import { type CommandOutput, streamOf } from '#kernel';
import { Reacting } from '../../test/support/reacting.ts';
import { defaultSustainedFailureMs, type Failing, subscriptionHealth } from './health-saga.ts';

const site = { tenant: 'acme', environment: 'production' };
const subscription = streamOf('webhooksubscription', site, 'whs_1');
const hour = 3_600_000;

const health = (): Reacting<Failing, CommandOutput> => new Reacting(subscriptionHealth());
const delivery = (id: string): string => streamOf('webhookdelivery', site, id);
const scheduled = (saga: Reacting<Failing, CommandOutput>, id: string, subscriptionId = 'whs_1'): unknown => saga.happens(delivery(id), 'WebhookDeliveryScheduled', { subscriptionId });
const failed = (saga: Reacting<Failing, CommandOutput>, id: string, atMs: number, revision = 1): readonly CommandOutput[] => saga.happens(delivery(id), 'WebhookDeliveryAttemptFailed', { attempt: 1, subscriptionRevision: revision }, atMs);
const deadLettered = (saga: Reacting<Failing, CommandOutput>, id: string, reason: string, atMs = 0): readonly CommandOutput[] => saga.happens(delivery(id), 'WebhookDeliveryDeadLettered', { attempt: 1, reason, subscriptionRevision: 4 }, atMs);
const reasons = (outputs: readonly CommandOutput[]): readonly unknown[] => outputs.map(({ payload }) => payload['reason']);

describe('the health of a subscription', () => {
  it('410 Gone pauses it, as it was when the request was made', () => {
    const saga = health();
    scheduled(saga, 'd1');
    expect(deadLettered(saga, 'd1', 'endpoint-gone')).toEqual([
      {
        do: 'command',
        key: `endpoint-gone|id-${delivery('d1')}-1`,
        site,
        commandType: 'PauseWebhookSubscription',
        payload: { webhookSubscriptionId: 'whs_1', reason: 'endpoint-gone' },
        expectedRevision: 4,
        settledBy: ['precondition-failed', 'subscription-deleted', 'not-found'],
        because: { correlationId: 'corr', causationId: `id-${delivery('d1')}-1` },
      },
    ]);
  });

  it('a dead letter for another reason does not', () => {
    const saga = health();
    scheduled(saga, 'd1');
    expect(deadLettered(saga, 'd1', 'attempts-exhausted')).toEqual([]);
    expect(deadLettered(saga, 'd1', 'best-effort-failed')).toEqual([]);
  });

  it('five days of nothing but failures pause it, with the first attempt that fails then', () => {
    const saga = health();
    for (const id of ['d1', 'd2']) scheduled(saga, id);
    expect(failed(saga, 'd1', 0)).toEqual([]);
    expect(failed(saga, 'd2', defaultSustainedFailureMs - 1)).toEqual([]);
    const outputs = failed(saga, 'd1', defaultSustainedFailureMs, 7);
    expect(reasons(outputs)).toEqual(['sustained-failure']);
    expect(outputs[0]?.expectedRevision).toBe(7);
  });

  it('any success begins the count anew', () => {
    const saga = health();
    for (const id of ['d1', 'd2']) scheduled(saga, id);
    failed(saga, 'd1', 0);
    saga.happens(delivery('d2'), 'WebhookDeliverySucceeded', { attempt: 1 }, hour);
    expect(saga.states.size).toBe(0);
    failed(saga, 'd1', 2 * hour);
    expect(failed(saga, 'd1', hour + defaultSustainedFailureMs)).toEqual([]);
    expect(reasons(failed(saga, 'd1', 2 * hour + defaultSustainedFailureMs))).toEqual(['sustained-failure']);
  });

  it.each(['WebhookSubscriptionPaused', 'WebhookSubscriptionResumed', 'WebhookSubscriptionDeleted', 'WebhookSubscriptionRestored', 'WebhookSubscriptionPurged', 'WebhookSubscriptionCreated'])('%s begins the count anew', (type) => {
    const saga = health();
    scheduled(saga, 'd1');
    failed(saga, 'd1', 0);
    saga.happens(subscription, type);
    expect(failed(saga, 'd1', defaultSustainedFailureMs)).toEqual([]);
  });

  it('an edit does not: the failures are still failures', () => {
    const saga = health();
    scheduled(saga, 'd1');
    failed(saga, 'd1', 0);
    saga.happens(subscription, 'WebhookSubscriptionUpdated');
    expect(reasons(failed(saga, 'd1', defaultSustainedFailureMs))).toEqual(['sustained-failure']);
  });

  it('of one subscription says nothing about another', () => {
    const saga = health();
    scheduled(saga, 'd1');
    scheduled(saga, 'd2', 'whs_2');
    failed(saga, 'd1', 0);
    saga.happens(delivery('d2'), 'WebhookDeliverySucceeded', { attempt: 1 }, hour);
    expect(failed(saga, 'd2', defaultSustainedFailureMs)).toEqual([]);
    expect(reasons(failed(saga, 'd1', defaultSustainedFailureMs))).toEqual(['sustained-failure']);
  });

  it('knows from the outcome whose delivery it is, and asks the stream of an older one', () => {
    const saga = subscriptionHealth();
    const reacting = new Reacting(saga);
    const outcome = (data: object) => reacting.writes(delivery('d1'), 'WebhookDeliveryAttemptFailed', { attempt: 1, error: '"subscriptionId":', ...data });
    expect([{}, { subscriptionId: 'whs_1' }].map((data) => saga.wantsOrigin?.(outcome(data)))).toEqual([true, false]);
    expect(reacting.happens(delivery('d9'), 'WebhookDeliveryAttemptFailed', { attempt: 1, subscriptionId: 'whs_1' })).toEqual([]);
    expect([...reacting.states.keys()]).toEqual([subscription]);
  });

  it('looks at no success while nothing is failing', () => {
    const saga = subscriptionHealth();
    const success = new Reacting(saga).writes(delivery('d1'), 'WebhookDeliverySucceeded');
    expect([new Map(), new Map([['webhooksubscription-x', { sinceMs: 1 }]])].map((open) => saga.wants(success, open))).toEqual([false, true]);
  });

  it('an attempt that changed no state counts for nothing', () => {
    const saga = health();
    scheduled(saga, 'd1');
    expect(saga.happens(delivery('d1'), 'WebhookDeliveryDuplicateAttempted', { attempt: 1 })).toEqual([]);
    expect(saga.states.size).toBe(0);
  });

  it('each failure asks under a key of its own, the same whenever it is met again', () => {
    const saga = health();
    scheduled(saga, 'd1');
    failed(saga, 'd1', 0);
    const keys = [failed(saga, 'd1', defaultSustainedFailureMs), failed(saga, 'd1', defaultSustainedFailureMs + hour)].map(([output]) => output?.key);
    expect(new Set(keys).size).toBe(2);
  });

  it('an event that can not be read is poison', () => {
    const saga = health();
    scheduled(saga, 'd1');
    const event = saga.writes(delivery('d1'), 'WebhookDeliveryAttemptFailed');
    expect(() => saga.meets({ ...event, data: '{' })).toThrow(SyntaxError);
    expect(() => saga.meets({ ...event, metadata: {} })).toThrow('recordedat');
  });
});
