import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer } from '../test/support/server-process.ts';
import type { Commits, Figure, Measured } from './figure.ts';
import { type Client, connect } from './http.ts';
import { peakMemoryMiB } from './linux.ts';

/** What a scenario needs to know of the run: where it may write, and whether profiles are wanted. */
export interface Run {
  readonly folder: string;
  readonly profileDir: string | null;
}

/** A server under test on a folder of its own, with a client that speaks with its root key. */
export interface TestedServer extends Measured {
  readonly dataDir: string;
  readonly client: Client;
  connect(connections: number, key: string): Client;
  /** The figure, with the server's peak memory so far. */
  withPeak(figure: Figure): Figure;
  openDeliveries(): Promise<number>;
  stop(): Promise<void>;
}

export async function startTested({ folder, profileDir }: Run, name: string, connections: number): Promise<TestedServer> {
  const dataDir = await mkdtemp(join(folder, `${name}-`));
  const nodeArguments = profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const server = await startServer({ dataDir, nodeArguments });
  const client = connect(server.url, connections, server.rootKey);
  const metric = async (named: string): Promise<number> => metricOf(await client.get('/metrics'), named);
  return {
    dataDir,
    client,
    pid: server.pid,
    connect: (others, key) => connect(server.url, others, key),
    withPeak: (figure) => ({ ...figure, peakMiB: peakMemoryMiB(server.pid) }),
    openDeliveries: () => metric('countersign_deliveries_open'),
    commits: async (): Promise<Commits> => ({ commits: await metric('countersign_commit_batch_events_count'), events: await metric('countersign_commit_batch_events_sum') }),
    async stop() {
      await client.close();
      await server.stop();
    },
  };
}

/** A value without labels in the text form of Prometheus. */
function metricOf(text: string, name: string): number {
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`the server counts no ${name}`);
  return Number(value);
}
