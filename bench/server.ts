import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer } from '../test/support/server-process.ts';
import type { Commits, Measured } from './figure.ts';
import { type Client, connect } from './http.ts';
import type { Run } from './run.ts';
import { until } from './within.ts';

/** A server under test on a folder of its own, with a client that speaks with its root key. */
export interface TestedServer extends Measured {
  readonly dataDir: string;
  readonly url: string;
  readonly rootKey: string;
  readonly client: Client;
  /** Resolves when read models and sagas have seen all of the log, and so many deliveries are open. */
  settled(openDeliveries?: number): Promise<void>;
  stop(): Promise<void>;
}

const clientConnections = 64;
const settledWithinMs = 600_000;

interface Status {
  readonly openDeliveries: number;
  readonly projections: readonly { readonly behindMs: number }[];
  readonly processes: readonly { readonly sagas: readonly { readonly behindMs: number }[] }[];
}

/** A new folder for a server. */
export const newDataDir = ({ folder }: Run, name: string): Promise<string> => mkdtemp(join(folder, `${name}-`));

/** Starts a server on a folder and resolves when it listens: with all roles, and an environment, unless told otherwise. */
export async function startTested({ profileDir }: Run, dataDir: string, environment: Readonly<Record<string, string>> = {}): Promise<TestedServer> {
  const nodeArguments = profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const server = await startServer({ dataDir, nodeArguments, environment, until: 'listening' });
  const { url, pid, rootKey } = server;
  // However this process ends, the server goes with it.
  const kill = (): boolean => process.kill(pid, 'SIGKILL');
  process.once('exit', kill);
  const client = connect(url, clientConnections, rootKey);
  const metric = async (named: string): Promise<number> => metricOf(await client.get('/metrics'), named);
  return {
    dataDir,
    url,
    rootKey,
    client,
    pid,
    commits: async (): Promise<Commits> => ({ commits: await metric('countersign_commit_batch_events_count'), events: await metric('countersign_commit_batch_events_sum') }),
    settled: (wanted) => until(async () => isSettled(JSON.parse(await client.get('/api/status')) as Status, wanted), settledWithinMs, 500, `the server in ${dataDir} has seen all of its log`),
    async stop() {
      await client.close();
      await server.stop();
      process.off('exit', kill);
    },
  };
}

function isSettled({ openDeliveries, projections, processes }: Status, wanted: number | undefined): boolean {
  const behind = [...projections, ...processes.flatMap(({ sagas }) => sagas)].some(({ behindMs }) => behindMs > 0);
  return !behind && (wanted === undefined || openDeliveries === wanted);
}

/** A value without labels in the text form of Prometheus. */
function metricOf(text: string, name: string): number {
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`the server counts no ${name}`);
  return Number(value);
}
