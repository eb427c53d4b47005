// Writes events into the log of a server that has ended, as a server would have: `fill.ts <data folder>`, told how many of what.
import { createHash, randomUUID } from 'node:crypto';
import { openSqliteEventStore } from '#event-store/sqlite';
import { eventStream, formatInstant, type NewEvent, type Site, streamOf } from '#kernel';
import { eventPublished } from '#publishing';
import { decideSubscription, initialSubscription, type SubscriptionSettings } from '#subscriptions';
import type { Filling } from '../fill.ts';

const atATime = 4_000;

interface Write {
  readonly stream: string;
  readonly event: NewEvent;
}

const envelope = ({ tenant, environment }: Site, commandType: string): Readonly<Record<string, string>> => {
  const commandId = randomUUID();
  return {
    recordedat: formatInstant(Date.now()), schemaversion: '1', tenant, environment, actortype: 'SERVICE', actorid: 'bench', correlationid: randomUUID(),
    commandid: commandId, commandtype: commandType, attemptid: randomUUID(), idempotencykeyhash: createHash('sha256').update(commandId).digest('hex'),
  };
};

/** An event that reaches nobody. */
function published(site: Site): Write {
  const eventId = randomUUID();
  const metadata = { ...envelope(site, 'PublishEvent'), publishedid: eventId, publishedtype: 'filling.published', fingerprint: '0'.repeat(64), fpv: '1' };
  return { stream: eventStream(site, eventId), event: { id: randomUUID(), type: eventPublished, data: `{"eventId":"${eventId}","note":"one of many that were published before"}`, metadata } };
}

/** A subscription that no event is for. */
function subscribed(site: Site, index: number): Write {
  const id = `idle-${index}`;
  const settings: SubscriptionSettings = { eventPattern: `bench.idle-${index}`, targetUrl: 'http://127.0.0.1:9/', deliveryMode: 'AT_LEAST_ONCE', description: null };
  const version = { versionId: `sv-${randomUUID()}`, kind: 'env', reference: 'env:KF_WEBHOOK_SECRET_IDLE', fingerprint: '0'.repeat(64) } as const;
  const decision = decideSubscription(initialSubscription, { do: 'upsert', id, settings, status: 'ACTIVE', secret: { version, key: null, generated: false }, values: [] });
  const [created] = 'events' in decision ? decision.events : [];
  if (created === undefined) throw new Error(`subscription ${id} was refused`);
  return { stream: streamOf('webhooksubscription', site, id), event: { id: randomUUID(), type: created.type, data: JSON.stringify(created.data), metadata: envelope(site, 'UpsertWebhookSubscription') } };
}

async function fill({ what, from, to, tenant }: Filling): Promise<void> {
  const site = { tenant, environment: 'production' };
  const store = await openSqliteEventStore({ dataDir: process.argv[2] ?? '', recentEvents: 1 });
  let before: Promise<unknown> = Promise.resolve();
  for (let first = from; first < to; first += atATime) {
    const writes = Array.from({ length: Math.min(atATime, to - first) }, (_, index) => (what === 'events' ? published(site) : subscribed(site, first + index)));
    const written = Promise.all(writes.map(({ stream, event }) => store.append(stream, 'NO_STREAM', [event])));
    // The next ones are made while these are written.
    await before;
    before = written;
  }
  await before;
  await store.close();
}

process.on('message', (filling: Filling) => void fill(filling).then(() => process.send?.({ filled: true })));
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
