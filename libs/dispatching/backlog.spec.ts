import { describe, expect, it } from '@jest/globals';
import { createDispatcher, type DispatcherLimits, type FedDelivery, type OpenQuestion, partitions, type SubscriptionView } from '#dispatching';
import { type RecordedEvent, Secret } from '#kernel';
import { evolveSubscription, initialSubscription } from '#subscriptions';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../test/support/simulated-clock.ts';

const site = { tenant: 'acme', environment: 'production' };
const backlog = 100_000;

/** Two subscriptions with a long backlog each, of which only pages exist; every append succeeds. */
function backlogWorld(status: 'PENDING' | 'SCHEDULED', limits: Partial<DispatcherLimits> = {}) {
  const clock = simulatedClock();
  const asked: OpenQuestion[] = [];
  let mostWaiting = 0;
  let sent = 0;
  const row = (subscriptionId: string, index: number): FedDelivery => ({
    site,
    deliveryId: `dlv_${subscriptionId}_${index}`,
    subscriptionId,
    incarnation: 'inc',
    eventId: 'e1',
    eventType: 'a.b',
    eventStream: 'event-acme.production.e1',
    revision: 0,
    attempts: 0,
    attemptsCounted: 0,
    lastChance: false,
    scheduledPosition: String(index + 1),
    openedPosition: String(index + 1),
    dueAtMs: 1_000 + index,
  });
  const metadata = { recordedat: '2026-11-21T12:00:00.000Z', publishedid: 'e1', publishedtype: 'a.b', ...site };
  const secret = { versionId: 'v1', kind: 'managed', fingerprint: 'f' } as const;
  const view = (id: string): SubscriptionView => {
    const data = { eventPattern: '**', targetUrl: `https://${id}/`, deliveryMode: 'AT_LEAST_ONCE', description: null, status: 'ACTIVE', secret } as const;
    const created = { type: 'WebhookSubscriptionCreated', data, id: 'inc', stream: 's', revision: 0, position: '1', recordedAt: 0, metadata: {} } as const;
    return { state: evolveSubscription(initialSubscription, created), revision: 1 };
  };
  const dispatcher = createDispatcher({
    clock,
    limits,
    ids: seededIds(),
    feed: {
      lanes: () => Promise.resolve(['alpha', 'beta'].map((subscriptionId) => ({ site, subscriptionId, failures: 0 }))),
      reached: () => Promise.resolve(),
      open: (question) => {
        asked.push(question);
        if (question.status !== status) return Promise.resolve([]);
        const first = Number(question.after?.scheduledPosition ?? 0);
        const count = Math.max(0, Math.min(question.limit, backlog - first));
        return Promise.resolve(Array.from({ length: count }, (_, index) => row(question.subscriptionId, first + index)));
      },
    },
    subscription: (_site, id) => Promise.resolve(view(id)),
    store: {
      append: (_stream, expected) => Promise.resolve({ revision: expected === 'NO_STREAM' ? 0 : expected + 1, position: '1' }),
      readStream: (stream) => Promise.resolve([{ id: 'x', type: 'EventPublished', data: '{}', metadata, stream, revision: 0, position: '1' }]),
    },
    vault: { open: () => Promise.resolve(new Secret<Uint8Array>(Buffer.alloc(32))) },
    send: async ({ url }) => {
      sent += 1;
      mostWaiting = Math.max(mostWaiting, dispatcher.stats().waiting);
      await new Promise<void>((resolve) => void clock.after(10, resolve));
      const response = { status: 200, headers: {}, body: '', truncated: false };
      return { startedAt: '2026-11-21T12:00:00.000Z', durationMs: 10, request: { method: 'POST', url, headers: {} }, response, error: null, timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 0 }, remoteAddress: null, retryAfterMs: null };
    },
    onAlarm: ({ alarm }) => {
      throw new Error(alarm);
    },
  });
  return { dispatcher, clock, asked, mostWaiting: () => mostWaiting, sent: () => sent };
}

describe('very many subscriptions', () => {
  it('are forgotten when nothing waits for them', async () => {
    const world = backlogWorld('PENDING', { lanes: 50 });
    await world.dispatcher.take(partitions);
    for (let batch = 0; batch < 10; batch += 1) {
      const at = 1_000_000 + 1_000 * batch;
      const events = Array.from({ length: 20 }, (_, index) => scheduled(`s${batch}-${index}`, at + index));
      world.dispatcher.onCommitted({ position: String(at + 19), events });
      await world.clock.advance(30);
      const outcomes = events.map((event, index) => ({ ...event, type: 'WebhookDeliverySucceeded', revision: 1, position: String(at + 20 + index) }));
      world.dispatcher.onCommitted({ position: String(at + 39), events: outcomes });
    }
    expect(world.dispatcher.stats().lanes).toBeLessThan(90);
  });
});

const scheduled = (subscriptionId: string, position: number): RecordedEvent => ({
  id: 'x',
  type: 'WebhookDeliveryScheduled',
  data: JSON.stringify({ subscriptionId, incarnation: 'inc', eventId: 'e1', eventType: 'a.b', eventPosition: '1', eventStream: 'event-acme.production.e1', operational: false }),
  metadata: { recordedat: '2026-11-21T12:00:00.000Z' },
  stream: `webhookdelivery-acme.production.dlv_${subscriptionId}`,
  revision: 0,
  position: String(position),
});

describe('a backlog', () => {
  it.each(['PENDING', 'SCHEDULED'] as const)('of 100,000 %s deliveries costs a window of memory and a query for many', async (status) => {
    const world = backlogWorld(status);
    await world.dispatcher.take(partitions);
    await world.clock.advance(2_000);
    expect(world.sent()).toBeGreaterThan(2_000);
    expect(world.mostWaiting()).toBeGreaterThan(20);
    expect(world.mostWaiting()).toBeLessThanOrEqual(2 * 100);
    expect(world.asked.length).toBeLessThan(world.sent() / 40);
  });

  it('is worked off while the read model does not follow, but not without bound', async () => {
    const world = backlogWorld('PENDING', { unshown: 1_000 });
    await world.dispatcher.take(partitions);
    await world.clock.advance(2_000);
    const sent = world.sent();
    // One tenant has three quarters.
    expect(sent).toBeGreaterThanOrEqual(750);
    expect(sent).toBeLessThan(750 + 2 * 100 + 20);
    await world.clock.advance(1_000);
    expect(world.sent()).toBe(sent);
  });
});
