import { capacityOf, share } from '../capacity.ts';
import { inTurns, type Latency, remark, type Work } from '../figure.ts';
import type { Order } from '../generator.ts';
import { type Run, type Scenario, timesOf } from '../run.ts';
import { newDataDir, startTested } from '../server.ts';
import { alike, deliver, orderTo, subscribe } from '../traffic.ts';

const parts = [0.1, 0.8];
const subscriptions = 20;

/** How old events are at their receiver when they are published one at a time on a schedule, beside the same requests without a server. */
export const latency: Scenario = {
  name: 'latency',
  about: 'from publishing to receiving, at 10 % and 80 % of capacity',
  async figures(run) {
    const seconds = run.isShort ? 0.5 : 6;
    const server = await startTested(run, await newDataDir(run, 'latency'));
    try {
      const subscribers = alike(subscriptions, (index) => ({ id: `timed-${index}`, eventPattern: `timed.t${index}`, targetUrl: run.receiver.url('timed', 'receivers') }));
      await subscribe(server, subscribers);
      const types = subscribers.map(({ eventPattern }) => eventPattern);
      const capacity = await capacityOf(run, server, subscribers);
      const pairs = parts.flatMap((part): readonly Work[] => {
        const order = orderTo(server, { types, ...share(capacity, part, seconds) });
        const at = `at ${Math.round(100 * part)} % of capacity`;
        return [
          { name: `straight to the receiver, ${at}`, of: run.generator, do: async () => ({ operations: order.events, latency: await straight(run, order) }) },
          { name: `publish to receive, ${at}`, of: server, do: async () => ({ operations: await deliver(run, server, order, subscribers), latency: await run.receiver.latency('receivers') }) },
        ];
      });
      const figures = await inTurns(timesOf(run, 3), pairs);
      return [remark('capacity: published one at a time, delivered to one', `${Math.round(capacity).toLocaleString('en-US')} events/s`), ...figures];
    } finally {
      await server.stop();
    }
  },
};

/** The publisher posts to the receiver itself: what the two of them and the machine take of the time. */
async function straight({ generator, receiver }: Run, order: Order): Promise<Latency> {
  const { origin, pathname } = new URL(receiver.url('timed', 'straight'));
  await receiver.expect([]);
  await generator.post({ ...order, url: origin, path: pathname, key: null });
  return receiver.latency('straight');
}
