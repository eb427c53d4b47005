import { besideP99, type Latency, once } from '../figure.ts';
import { startGenerator } from '../generator.ts';
import type { Scenario } from '../run.ts';
import { newDataDir, startTested } from '../server.ts';
import { orderTo, subscribe } from '../traffic.ts';

const full = { events: 100, eventsPerSecond: 5 };
const short = { events: 5, eventsPerSecond: 10 };
const times = 1_000;

/** How old events of a small tenant are at its receiver, alone and while another tenant publishes 1,000 times as many as fast as it can. */
export const tenants: Scenario = {
  name: 'tenants',
  about: 'a small tenant alone, and beside one that publishes 1,000 times as much',
  async figures(run) {
    const size = run.isShort ? short : full;
    const flooding = await startGenerator();
    const server = await startTested(run, await newDataDir(run, 'tenants'));
    try {
      for (const tenant of ['small', 'large']) await subscribe(server, [{ id: tenant, tenant, eventPattern: '**', targetUrl: run.receiver.url('timed', tenant) }]);
      const trickle = orderTo(server, { types: ['small.happened'], batch: 1, ...size }, 'small');
      const flood = orderTo(server, { types: ['large.happened'], events: times * size.events }, 'large');
      const small = async (): Promise<{ operations: number; latency: Latency }> => {
        const reached = await run.receiver.expect([size.events], 'small');
        await run.generator.post(trickle);
        await reached(size.events, 300_000);
        return { operations: size.events, latency: await run.receiver.latency('small') };
      };
      if (!run.isShort) await small();
      const alone = await once({ name: 'small tenant, alone', of: server, do: small });
      const name = `small tenant, beside one that publishes ${flood.events.toLocaleString('en-US')}`;
      const beside = await once({ name, of: server, do: async () => (await Promise.all([small(), flooding.post(flood)]))[0] });
      return [alone, besideP99(beside, alone, 'alone')];
    } finally {
      await flooding.end();
      await server.stop();
    }
  },
};
