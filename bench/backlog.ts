import { machineMs } from './clock.ts';
import { type Done, type Figure, once } from './figure.ts';
import { peakMemoryMiB } from './linux.ts';
import type { Run } from './run.ts';
import { newDataDir, startTested } from './server.ts';
import { alike, orderTo, subscribe } from './traffic.ts';

const maxMs = 600_000;
const subscriptions = 100;

export interface Backlog {
  /** Of a server that has ended. */
  readonly dataDir: string;
  /** The most memory that it had. */
  readonly peakMiB: number | null;
}

/** So many deliveries that wait for their first attempt: a server published and scheduled, and sent nothing. */
export async function makeBacklog(run: Run, deliveries: number): Promise<Backlog> {
  const server = await startTested(run, await newDataDir(run, 'backlog'), { KF_ROLES: 'api,sagas' });
  try {
    await subscribe(server, alike(subscriptions, (index) => ({ id: `waiting-${index}`, eventPattern: 'waiting.*', targetUrl: run.receiver.url('ok', 'waiting') })));
    await run.generator.post(orderTo(server, { types: ['waiting.happened'], events: deliveries / subscriptions }));
    await server.settled(deliveries);
    return { dataDir: server.dataDir, peakMiB: peakMemoryMiB(server.pid) };
  } finally {
    await server.stop();
  }
}

/** Of the deliveries of a backlog, which are measured: those behind the first so many, as many as this. */
export interface Stretch {
  readonly name: string;
  readonly behind: number;
  readonly count: number;
}

export interface Drained {
  readonly figure: Figure;
  /** From the start of the process to the first request at a receiver. */
  readonly firstAttemptMs: number;
}

/** Starts a server on a backlog, and measures what it sends. */
export async function drain({ receiver, ...run }: Run, dataDir: string, { name, behind, count }: Stretch): Promise<Drained> {
  const reached = await receiver.expect([1, behind, behind + count]);
  const startMs = machineMs();
  const server = await startTested({ receiver, ...run }, dataDir);
  try {
    const firstAttemptMs = (await reached(1, maxMs)) - startMs;
    const fromMs = await reached(behind, maxMs);
    const rest = async (): Promise<Done> => ({ operations: count, seconds: ((await reached(behind + count, maxMs)) - fromMs) / 1_000 });
    return { firstAttemptMs, figure: await once({ name, of: server, do: rest }) };
  } finally {
    await server.stop();
  }
}
