import { capacityOf, share } from '../capacity.ts';
import { besideP99, type Figure, type Latency, once, remark } from '../figure.ts';
import { startReceiver, type Receiver } from '../receiver.ts';
import type { Run, Scenario } from '../run.ts';
import { newDataDir, startTested, type TestedServer } from '../server.ts';
import { alike, orderTo, subscribe } from '../traffic.ts';

const good = 20;
const bad = 200;
/** Half of the events go to good receivers, by turns, half to bad ones. */
const part = 0.4;
const manners = ['hang', 'drip', 'reset', 'fail'] as const;


/** How old events are at good receivers, without bad ones and with ten times as many of them. */
export const isolation: Scenario = {
  name: 'isolation',
  about: '20 good receivers without and with 200 bad ones, at 40 % of capacity',
  async figures(run) {
    const seconds = run.isShort ? 2 : 60;
    const badReceiver = await startReceiver();
    const server = await startTested(run, await newDataDir(run, 'isolation'), { KF_ALLOW_HTTP: 'true' });
    try {
      const goodOnes = alike(good, (index) => ({ id: `good-${index}`, eventPattern: `good.g${index}`, targetUrl: run.receiver.url('timed', 'good') }));
      await subscribe(server, goodOnes);
      const capacity = await capacityOf(run, server, goodOnes);
      const goodTypes = goodOnes.map(({ eventPattern }) => eventPattern);
      const without = await ofGood(run, server, `good receivers, without the bad, for ${seconds} s`, { types: goodTypes, ...share(capacity, part / 2, seconds) });
      const badOnes = alike(bad, (index) => ({ id: `bad-${index}`, eventPattern: `bad.b${index}`, targetUrl: badTarget(badReceiver, index) }));
      await subscribe(server, badOnes);
      const both = badOnes.flatMap(({ eventPattern }, index) => [goodTypes[index % good] ?? '', eventPattern]);
      const withBad = await ofGood(run, server, `good receivers, with ${bad} bad, for ${seconds} s`, { types: both, ...share(capacity, part, seconds) });
      return [remark('capacity: published one at a time, delivered to one', `${Math.round(capacity).toLocaleString('en-US')} events/s`), without, besideP99(withBad, without, 'without')];
    } finally {
      await server.stop();
      await badReceiver.end();
    }
  },
};

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
