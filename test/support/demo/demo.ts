import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readServerConfig, type ServerConfig } from '#config';
import { createLog } from '#telemetry';
import type { Seams } from '../../../apps/server/composition.ts';
import { createServer } from '../../../apps/server/server.ts';
import { systemClock, systemIds } from '../../../apps/server/system.ts';
import { startReceiver } from './receiver.ts';
import { takeTour } from './tour.ts';

export interface DemoOptions {
  readonly say: (line: string) => void;
  /** What the server may be without, to see that the tour notices. */
  readonly seams?: Seams;
  readonly allowTargets?: string;
  /** What else the server is told. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Where the tour asks, in place of the server itself. */
  readonly before?: (serverUrl: string) => Promise<string>;
}

const rootKeyOf = ({ rootKey, dataDir }: ServerConfig): string => rootKey?.reveal() ?? readFileSync(join(dataDir, 'root.key'), 'utf8').trim();

/** The tour against a server of its own in a temporary folder, with a receiver of its own. Answers the exit code. */
export async function runDemo({ say, seams = {}, allowTargets = 'loopback', environment = {}, before = (url) => Promise.resolve(url) }: DemoOptions): Promise<0 | 1> {
  const dataDir = await mkdtemp(join(tmpdir(), 'countersign-demo-'));
  const config = readServerConfig({ KF_PORT: '0', KF_DATA_DIR: dataDir, KF_ALLOW_TARGETS: allowTargets, KF_RETRY_SCHEDULE: '0s,1s', KF_LOG_LEVEL: 'fatal', ...environment });
  const receiver = await startReceiver();
  try {
    const onFatal = (error: Error): never => {
      throw error;
    };
    const server = await createServer({ config, clock: systemClock, ids: systemIds, log: createLog(config.logLevel), version: 'demo', processMetrics: false, onFatal, seams });
    try {
      say(`A server of its own listens on ${server.url}; the receiver on ${receiver.url}.`);
      await takeTour({ url: await before(server.url), rootKey: rootKeyOf(config), receiver, say });
      return 0;
    } finally {
      await server.close();
    }
  } catch (error) {
    say(`Not as it should be: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await receiver.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}
