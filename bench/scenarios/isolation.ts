import { capacityOf, share } from '../capacity.ts';
import { besideP99, type Figure, type Latency, once, remark } from '../figure.ts';
import { startReceiver, type Receiver } from '../receiver.ts';
import type { Run, Scenario } from '../run.ts';
import { newDataDir, startTested, type TestedServer } from '../server.ts';
import { alike, orderTo, type Subscriber, subscribe } from '../traffic.ts';

const good = 20;
const others = 200;
/** Half of the events are for the good receivers, by turns, half for the others. */
const part = 0.4;
const manners = ['hang', 'drip', 'reset', 'fail'] as const;

/** How old events are at good receivers, while the same is published: when nobody gets the other half, when ten times as many that are well do, and when these are bad. */
export const isolation: Scenario = {
  name: 'isolation',
  about: '20 good receivers without others, with 200 healthy and with 200 bad ones, at 40 % of capacity',
  async figures(run) {
    const seconds = run.isShort ? 2 : 60;
    const badReceiver = await startReceiver();
    const server = await startTested(run, await newDataDir(run, 'isolation'), { KF_ALLOW_HTTP: 'true' });
    try {
      const goodOnes = alike(good, (index) => ({ id: `good-${index}`, eventPattern: `good.g${index}`, targetUrl: run.receiver.url('timed', 'good') }));
      await subscribe(server, goodOnes);
      const capacity = await capacityOf(run, server, goodOnes);
      const types = alike(others, (index) => other(index, '')).flatMap(({ eventPattern }, index) => [goodOnes[index % good]?.eventPattern ?? '', eventPattern]);
      const published = { types, ...share(capacity, part, seconds) };
      const without = await ofGood(run, server, `good receivers, and nobody else, for ${seconds} s`, published);
      await subscribe(server, alike(others, (index) => other(index, run.receiver.url('timed', 'other'))));
      const withHealthy = await ofGood(run, server, `good receivers, with ${others} healthy, for ${seconds} s`, published);
      await subscribe(server, alike(others, (index) => other(index, badTarget(badReceiver, index))));
      const withBad = await ofGood(run, server, `good receivers, with ${others} bad, for ${seconds} s`, published);
      const beside = [withHealthy, withBad].map((figure) => besideP99(figure, without, 'without'));
      return [remark('capacity: published one at a time, delivered to one', `${Math.round(capacity).toLocaleString('en-US')} events/s`), without, ...beside];
    } finally {
      await server.stop();
      await badReceiver.end();
    }
  },
};

const other = (index: number, targetUrl: string): Subscriber => ({ id: `other-${index}`, eventPattern: `other.o${index}`, targetUrl });

/** A fifth of them each: no answer, one byte a second, a reset, 500, a name that nobody has (RFC 6761, section 6.4). */
function badTarget(receiver: Receiver, index: number): string {
  const manner = manners[index % (manners.length + 1)];
  return manner === undefined ? `http://nobody-${index}.invalid/` : receiver.url(manner, String(index));
}

async function ofGood(run: Run, server: TestedServer, name: string, order: Parameters<typeof orderTo>[1]): Promise<Figure> {
  const toGood = Array.from({ length: order.events }, (_, index) => order.types[index % order.types.length]).filter((type) => type?.startsWith('good.')).length;
  const work = async (): Promise<{ operations: number; latency: Latency }> => {
    const reached = await run.receiver.expect([toGood], 'good');
    await run.generator.post(orderTo(server, order));
    await reached(toGood, 120_000);
    return { operations: order.events, latency: await run.receiver.latency('good') };
  };
  return await once({ name, of: server, do: work });
}
