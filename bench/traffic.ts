import { randomUUID } from 'node:crypto';
import type { Order } from './generator.ts';
import { drive } from './load.ts';
import type { Run } from './run.ts';
import type { TestedServer } from './server.ts';

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

/** Publishes events that are delivered to so many each, and resolves when the last outcome is recorded. Answers how many deliveries there were. */
export async function deliver({ generator, receiver }: Run, server: TestedServer, order: Order, each = 1): Promise<number> {
  const deliveries = order.events * each;
  const reached = await receiver.expect([deliveries]);
  await generator.post(order);
  await reached(deliveries, maxMs);
  await server.recorded();
  return deliveries;
}
