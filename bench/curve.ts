import { type Filling, fill } from './fill.ts';
import { type Figure, inTurns, spreadOf } from './figure.ts';
import { type Run, timesOf } from './run.ts';
import { newDataDir, startTested } from './server.ts';
import { deliver, orderTo, subscribe, tenant } from './traffic.ts';

/** What an event costs that one subscription matches, while there is more and more of what it has nothing to do with. */
export async function curveOver(run: Run, what: Filling['what'], points: readonly number[], nameOf: (point: string) => string): Promise<readonly Figure[]> {
  const events = run.isShort ? 300 : 4_000;
  const dataDir = await newDataDir(run, what);
  const first = await startTested(run, dataDir);
  const matching = [{ id: 'matching', eventPattern: 'bench.happened', targetUrl: run.receiver.url('ok', 'matching') }];
  await subscribe(first, matching);
  await first.stop();
  const figures: Figure[] = [];
  for (const [index, to] of points.entries()) {
    await fill(dataDir, { what, from: points[index - 1] ?? 0, to, tenant });
    const server = await startTested(run, dataDir);
    try {
      await server.settled();
      const order = orderTo(server, { types: ['bench.happened'], events });
      figures.push(...(await inTurns(timesOf(run), [{ name: nameOf(to.toLocaleString('en-US')), of: server, do: () => deliver(run, server, order, matching) }])));
    } finally {
      await server.stop();
    }
  }
  return [...figures, ...spreadOf(figures)];
}
