// The test server of EventStoreDB in a process of its own, told by its parent what to do wrong.
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type EventStoreDb, startEventStoreDb } from '../eventstoredb/server.ts';
import { History } from '../history.ts';
import type { Filling, FromStore, StoreFault, ToStore } from './store.ts';

const store = await startEventStoreDb();
const say = (message: FromStore): boolean => process.send?.(message) ?? false;

const faults: Readonly<Record<StoreFault, (store: EventStoreDb) => void | Promise<void>>> = {
  'streams-dropped': ({ misbehave }) => {
    misbehave.dropAppends();
    misbehave.dropSubscriptions();
  },
  'replies-lost': ({ misbehave }) => misbehave.writes('reply-lost'),
  'dropped-after-writing': ({ misbehave }) => misbehave.writes('dropped-after-writing'),
  'dropped-before-writing': ({ misbehave }) => misbehave.writes('dropped-before-writing'),
  'never-answers': ({ misbehave }) => misbehave.writes('ignored'),
  'not-leader': ({ misbehave, port }) => misbehave.refuse({ leader: { host: '127.0.0.1', port } }),
  'not-ready': ({ misbehave }) => misbehave.refuse('not-ready'),
  busy: ({ misbehave }) => misbehave.refuse('busy', 'writes'),
  'delivered-again': ({ misbehave }) => {
    misbehave.deliveredAgain = 200;
    misbehave.dropSubscriptions();
  },
  'silent-subscriptions': ({ misbehave }) => misbehave.stallSubscriptions(),
  slow: ({ misbehave }) => {
    misbehave.answerDelayMs = 300;
  },
  down: (running) => running.down(),
};

const hourMs = 3_600_000;

/** An hour ago. */
async function fill({ events, tenant, subscriptionId, incarnation }: Filling): Promise<void> {
  const written = new MemoryLog();
  const history = new History(createMemoryEventStore(written));
  const site = { tenant, environment: 'production' };
  history.nowMs = Date.now() - hourMs;
  for (let event = 0; written.events.length < events; event += 1) {
    const position = await history.publish(site, `evt-${event}`, 'filled.happened');
    const delivery = await history.schedule(site, `evt-${event}`, subscriptionId, incarnation, position);
    await history.attempt(site, delivery, 'Succeeded');
  }
  for (const { stream, revision, id, type, data, metadata } of written.events) {
    store.log.append(stream, revision === 0 ? 'no_stream' : BigInt(revision) - 1n, [{ id, type, contentType: 'application/json', data: Buffer.from(data), metadata: Buffer.from(JSON.stringify(metadata)) }]);
  }
}

async function obey(message: ToStore): Promise<void> {
  if ('begin' in message) await faults[message.begin](store);
  else if ('fill' in message) await fill(message.fill);
  else {
    store.misbehave.behave();
    await store.up();
  }
  say({ obeyed: message.order });
}

process.on('message', (message: ToStore) => void obey(message));
// It ends with its parent, however that ends.
process.on('disconnect', () => process.exit(0));
say({ url: store.url });
