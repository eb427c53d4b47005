import { describe, expect, it } from '@jest/globals';
import { type CreateOutput, deliveryId } from '#kernel';
import { readPublishedEvent } from '#publishing';
import type { LiveSubscription, SubscriptionState } from '#subscriptions';
import { decisionsOf } from '../../test/support/given.ts';
import { Reacting } from '../../test/support/reacting.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';
import { decideTest, evolveTest, initialTest, type RequestTest, type TestRequestEvent } from './test-request.ts';
import { subscriptionTests } from './test-saga.ts';

const acme = { tenant: 'acme', environment: 'production' };
const live: LiveSubscription = {
  status: 'ACTIVE',
  eventPattern: 'order.*',
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
const request = (subscription: SubscriptionState): RequestTest => ({ site: acme, webhookSubscriptionId: 's1', subscription, eventId: 'evt_1', eventType: 'webhook.test', nowMs: simulatedStart });

const id = deliveryId(acme, 'evt_1', 's1', simulatedStart);
const requested: TestRequestEvent = {
  type: 'WebhookTestRequested',
  data: {
    subscriptionId: 's1',
    incarnation: 'inc-1',
    deliveryId: id,
    eventId: 'evt_1',
    eventType: 'webhook.test',
    data: { test: true, webhookSubscriptionId: 's1', message: 'A test of this webhook subscription. Nothing has happened.' },
  },
};
const { given } = decisionsOf({ initialState: initialTest, evolve: evolveTest, decide: decideTest });

describe('TestWebhookSubscription', () => {
  it('asks for one synthetic event to the subscription, and says what its delivery is called', () => {
    given().when(request(live)).then(requested);
    expect(given().when(request(live)).decision).toMatchObject({ result: { webhookSubscriptionId: 's1', status: 'ACTIVE', deliveryId: id, eventId: 'evt_1' } });
  });

  it('is taken for a paused subscription, and says so: the delivery waits', () => {
    given().when(request({ ...live, status: 'PAUSED', pausedReason: 'requested' })).then(requested);
    expect(given().when(request({ ...live, status: 'PAUSED', pausedReason: 'requested' })).decision).toMatchObject({ result: { status: 'PAUSED' } });
  });

  it('has nothing to do for a request that is there', () => {
    given(requested).when(request(live)).thenNothing();
  });

  it('refuses an unknown subscription: not-found', () => {
    given().when(request({ status: 'NONE' })).thenRefused('not-found');
  });

  it('refuses a deleted subscription: subscription-deleted', () => {
    given().when(request(deleted)).thenRefused('subscription-deleted');
  });
});

describe('the saga of tests', () => {
  const reacting = (): Reacting<never, ReturnType<typeof subscriptionTests.react>['outputs'][number]> => new Reacting(subscriptionTests);

  it('writes the event first, where the fan-out does not look, then its delivery to that subscription alone', () => {
    const [event, delivery, ...more] = reacting().happens('probe-acme.production.tst_1', requested.type, requested.data);
    expect(more).toEqual([]);
    expect(event).toMatchObject({ do: 'create', stream: 'probe-acme.production.evt_1', type: 'EventPublished', data: requested.data.data });
    expect(delivery).toMatchObject({
      do: 'create',
      stream: `webhookdelivery-acme.production.${id}`,
      type: 'WebhookDeliveryScheduled',
      data: { subscriptionId: 's1', incarnation: 'inc-1', eventId: 'evt_1', eventType: 'webhook.test', eventStream: 'probe-acme.production.evt_1', operational: true },
    });
  });

  it('gives the event the time of the request, of which the delivery’s id was made', () => {
    const [event] = reacting().happens('probe-acme.production.tst_1', requested.type, requested.data, 5);
    const { type, data, stream, metadata = {} } = event as CreateOutput;
    const recorded = { id: 'e', type, data: JSON.stringify(data), stream, revision: 0, position: '9', metadata: { ...acme, ...metadata } };
    expect(readPublishedEvent(recorded)).toMatchObject({ eventId: 'evt_1', type: 'webhook.test', recordedAtMs: simulatedStart + 5, operational: true });
  });

  it('looks at nothing else in such streams: not at its own event, not at probes', () => {
    expect(reacting().happens('probe-acme.production.evt_1', 'EventPublished')).toEqual([]);
    expect(reacting().happens('probe-acme.production.prb_1', 'WebhookProbeSent')).toEqual([]);
  });
});
