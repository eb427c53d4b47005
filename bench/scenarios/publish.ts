import { startValidatingCeiling } from '../ceilings/validating.ts';
import { besideCeiling, type Work } from '../figure.ts';
import type { Order } from '../generator.ts';
import { type Scenario, timesOf } from '../run.ts';
import { newDataDir, startTested } from '../server.ts';
import { batchSize, orderTo } from '../traffic.ts';

const full = { single: 4_000, inBatches: 20_000 };
const short = { single: 100, inBatches: 1_000 };

/** Events of 1 KB that reach nobody, beside Nest and Fastify with the same validation and nothing behind it. */
export const publish: Scenario = {
  name: 'publish',
  about: 'publishing through HTTP, one event at a time and in batches',
  async figures(run) {
    const size = run.isShort ? short : full;
    const bare = await startValidatingCeiling();
    const server = await startTested(run, await newDataDir(run, 'publish'));
    const work = (name: string, of: Work['of'], order: Order): Work => ({ name, of, do: async () => ({ operations: order.events, latency: await run.generator.post(order) }) });
    const pair = (what: string, order: Pick<Order, 'events' | 'batch' | 'connections'>): ReturnType<typeof besideCeiling> => {
      const published = orderTo(server, { types: ['never.matched'], ...order });
      return besideCeiling(timesOf(run), work(`bare Nest + Fastify: validate ${what}`, bare, { ...published, url: bare.url }), [work(`publish ${what}`, server, published)]);
    };
    try {
      return [
        ...(await pair('one event', { events: size.single, batch: 1, connections: 64 })),
        ...(await pair(`batches of ${batchSize}, per event`, { events: size.inBatches, batch: batchSize, connections: 4 })),
      ];
    } finally {
      await bare.end();
      await server.stop();
    }
  },
};
