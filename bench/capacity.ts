import type { Order } from './generator.ts';
import type { Run } from './run.ts';
import type { TestedServer } from './server.ts';
import { deliver, orderTo, type Subscriber } from './traffic.ts';

const full = { warm: 4_000, events: 12_000 };
const short = { warm: 100, events: 400 };

/** How many events a second a server takes one at a time and delivers to one subscriber each, by turns, without falling behind. Patterns are types. */
export async function capacityOf(run: Run, server: TestedServer, subscribers: readonly Subscriber[]): Promise<number> {
  const { warm, events } = run.isShort ? short : full;
  const order = (count: number): Order => orderTo(server, { types: subscribers.map(({ eventPattern }) => eventPattern), events: count, batch: 1, connections: 64 });
  await deliver(run, server, order(warm), subscribers);
  const startMs = performance.now();
  await deliver(run, server, order(events), subscribers);
  return (1_000 * events) / (performance.now() - startMs);
}

/** So large a part of a capacity, for so many seconds. */
export function share(capacity: number, part: number, seconds: number): Pick<Order, 'events' | 'eventsPerSecond' | 'batch' | 'connections'> {
  const eventsPerSecond = capacity * part;
  return { events: Math.ceil(eventsPerSecond * seconds), eventsPerSecond, batch: 1, connections: 128 };
}
