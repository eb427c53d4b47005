import { randomUUID } from 'node:crypto';
import { startProgram } from '../../test/support/program.ts';
import { type ReceiverProcess, startReceiverProcess } from '../../test/support/receiver.ts';
import type { SendOrder } from '../ceilings/bare-sender.ts';
import { fastest, type Figure, measure } from '../figure.ts';
import { drive } from '../load.ts';
import type { Size } from '../options.ts';
import { type Run, startTested, type TestedServer } from '../server.ts';
import { filler } from '../text.ts';

const tenant = 'bench';
const subscriptions = 10;
const batchSize = 100;
const bodyBytes = 1_024;
const warmBatches = 2;
const signingSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

export interface Delivered {
  readonly figures: readonly Figure[];
  /** The folder of the server, which has ended. */
  readonly dataDir: string;
}

/** Events in, signed requests out, every step durable; beside one sender that does nothing but sign and send to the same receiver. */
export async function deliver(run: Run, size: Size): Promise<Delivered> {
  const receiver = await startReceiverProcess();
  try {
    const ceilings = await sendingCeilings(receiver, size);
    const server = await startTested(run, 'deliveries', 8);
    try {
      await subscribe(server, receiver);
      await publish(server, receiver, warmBatches, size);
      const delivered = await measure('publish 100, deliver to 10, durably', server, () => publish(server, receiver, size.batches, size), fastest(ceilings));
      return { figures: [...ceilings, server.withPeak(delivered)], dataDir: server.dataDir };
    } finally {
      await untilRecorded(server, size);
      await server.stop();
    }
  } finally {
    await receiver.close();
  }
}

async function sendingCeilings({ url }: ReceiverProcess, { ceilingRequests: requests, maxMsEach: maxMs }: Size): Promise<[Figure, ...Figure[]]> {
  const sender = startProgram(new URL('../ceilings/bare-sender.ts', import.meta.url));
  const says = <Key extends string>(key: Key): Promise<Record<Key, number>> => sender.message((message: object): message is Record<Key, number> => key in message);
  await says('ready');
  const send = async (connections: number, count: number): Promise<number> => {
    const order: SendOrder = { url, connections, requests: count, maxMs, body: filler(bodyBytes), signingSecret };
    const sent = says('sent');
    sender.send(order);
    return (await sent).sent;
  };
  const ceiling = (connections: number): Promise<Figure> => measure(`bare undici, both signatures, ${connections} connections`, sender, () => send(connections, requests));
  await send(16, Math.ceil(requests / 10));
  const figures: [Figure, ...Figure[]] = [await ceiling(16), await ceiling(64), await ceiling(128)];
  await sender.end();
  return figures;
}

async function subscribe({ client }: TestedServer, { url }: ReceiverProcess): Promise<void> {
  const settings = { eventPattern: 'bench.*', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
  for (let index = 0; index < subscriptions; index += 1) {
    const payload = { webhookSubscriptionId: `bench-${index}`, targetUrl: `${url}/${index}`, ...settings };
    await client.post('/api/commands/UpsertWebhookSubscription', JSON.stringify({ tenant, actor: { type: 'SERVICE', id: 'bench' }, payload }), { 'idempotency-key': randomUUID() });
  }
}

/** Publishes batches, a few at a time, and waits for the last delivery. Answers how many deliveries there were. */
async function publish({ client }: TestedServer, receiver: ReceiverProcess, batches: number, { maxMsEach }: Size): Promise<number> {
  const deliveries = batches * batchSize * subscriptions;
  const { done } = await receiver.expect(deliveries);
  await drive({ operations: batches, concurrency: 4, maxMs: Infinity }, async () => {
    const answer = await client.post(`/api/events?siteId=${tenant}`, JSON.stringify(Array.from({ length: batchSize }, newEvent)));
    if (answer.split('"ACCEPTED"').length !== batchSize + 1) throw new Error('an event was not accepted');
  });
  await within(done, 3 * maxMsEach, `${deliveries} deliveries`);
  return deliveries;
}

/** An event whose deliveries have a body of 1 KB: what the envelope takes is left out of the data. */
function newEvent(): object {
  const event = { eventId: randomUUID(), type: 'bench.happened', data: { filler: '' } };
  const envelope = { id: event.eventId, type: event.type, timestamp: new Date(0).toISOString(), tenant, environment: 'production', data: event.data };
  return { ...event, data: { filler: filler(bodyBytes - JSON.stringify(envelope).length) } };
}

async function within(done: Promise<void>, maxMs: number, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${maxMs} ms`)), maxMs);
  });
  await Promise.race([done, late]).finally(() => clearTimeout(timer));
}

/** The receiver has the last request before its outcome is recorded. */
async function untilRecorded(server: TestedServer, { maxMsEach }: Size): Promise<void> {
  const deadlineMs = performance.now() + maxMsEach;
  while ((await server.openDeliveries()) > 0 && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 50));
}
