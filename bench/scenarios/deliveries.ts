import { startSendingCeiling } from '../ceilings/sending.ts';
import { besideCeiling, type Work } from '../figure.ts';
import { type Scenario, timesOf } from '../run.ts';
import { newDataDir, startTested } from '../server.ts';
import { alike, deliver, orderTo, subscribe } from '../traffic.ts';

const full = { events: 1_000 };
const short = { events: 100 };
const receivers = 10;
const modes = ['AT_LEAST_ONCE', 'BEST_EFFORT', 'ORDERED'] as const;

/**
 * Events in, signed requests out, every outcome on disk and in the read models; beside one sender that does nothing but sign and
 * send to the same receiver.
 */
export const deliveries: Scenario = {
  name: 'deliveries',
  about: 'from published events to recorded outcomes, in each mode',
  async figures(run) {
    const { events } = run.isShort ? short : full;
    const ceiling = await startSendingCeiling(run);
    const server = await startTested(run, await newDataDir(run, 'deliveries'));
    try {
      const works: Work[] = [];
      for (const deliveryMode of modes) {
        const topic = deliveryMode.toLowerCase();
        const subscribers = alike(receivers, (index) => ({ id: `${topic}-${index}`, eventPattern: `${topic}.*`, targetUrl: run.receiver.url('ok', topic), deliveryMode }));
        await subscribe(server, subscribers);
        const order = orderTo(server, { types: [`${topic}.happened`], events });
        works.push({ name: `publish in batches, deliver to ${receivers}, ${deliveryMode}`, of: server, do: () => deliver(run, server, order, subscribers, 'all') });
      }
      return await besideCeiling(timesOf(run), ceiling.work, works);
    } finally {
      await ceiling.end();
      await server.stop();
    }
  },
};
