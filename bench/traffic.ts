import { randomUUID } from 'node:crypto';
import type { Order } from './generator.ts';
import { drive } from './load.ts';
import type { Run } from './run.ts';
import type { TestedServer } from './server.ts';
import { until } from './within.ts';

export const tenant = 'bench';
/** Whatever is published at once. */
export const batchSize = 100;
const maxMs = 600_000;

export interface Subscriber {
  readonly id: string;
  readonly eventPattern: string;
  readonly targetUrl: string;
  readonly deliveryMode?: 'AT_LEAST_ONCE' | 'BEST_EFFORT' | 'ORDERED';
  readonly tenant?: string;
}

/** Makes active subscriptions with a managed secret each. */
export async function subscribe({ client }: TestedServer, subscribers: readonly Subscriber[]): Promise<void> {
  await drive({ operations: subscribers.length, concurrency: 32, maxMs: Infinity }, async (index) => {
    const { id, tenant: site = tenant, deliveryMode = 'AT_LEAST_ONCE', ...rest } = subscribers[index] as Subscriber;
    const payload = { webhookSubscriptionId: id, signingSecretRef: 'managed', status: 'ACTIVE', deliveryMode, ...rest };
    await client.post('/api/commands/UpsertWebhookSubscription', JSON.stringify({ tenant: site, actor: { type: 'SERVICE', id: 'bench' }, payload }), { 'idempotency-key': randomUUID() });
  });
}

/** So many that are alike, numbered. */
export const alike = (count: number, one: (index: number) => Subscriber): readonly Subscriber[] => Array.from({ length: count }, (_, index) => one(index));

/** An order to publish on a server: batches, a few at a time, unless it says otherwise. */
export const orderTo = ({ url, rootKey }: TestedServer, order: Pick<Order, 'types' | 'events'> & Partial<Order>, site = tenant): Order => ({
  url,
  path: `/api/events?siteId=${site}`,
  key: rootKey,
  batch: batchSize,
  connections: 4,
  eventsPerSecond: null,
  ...order,
});

/**
 * Publishes events that are delivered to one of these subscriptions each, or to all, and resolves when the last outcome is recorded.
 * Answers how many deliveries there were.
 */
export async function deliver({ generator, receiver }: Run, server: TestedServer, order: Order, to: readonly Subscriber[], each: 'one' | 'all' = 'one'): Promise<number> {
  const deliveries = order.events * (each === 'one' ? 1 : to.length);
  const reached = await receiver.expect([deliveries]);
  await generator.post(order);
  await reached(deliveries, maxMs);
  for (const { id } of to) await recorded(server, id);
  return deliveries;
}

/** Asks the read models for what is open of one subscription: how much is open of all is counted, which takes the server's time. */
const recorded = ({ client }: TestedServer, subscriptionId: string): Promise<void> =>
  until(async () => (await client.get(`/api/webhooks/${subscriptionId}/deliveries?siteId=${tenant}&status=PENDING&limit=1`)).includes('"items":[]'), maxMs, 10, `every delivery to ${subscriptionId} is recorded`);
